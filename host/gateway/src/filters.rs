//! The chain of filters around one request.
//!
//! Requests pass the chain in its order, events in reverse: the last filter to touch the prompt is
//! the first to see the answer, so that what one replaced is restored before an earlier one looks.
//! Each request has its own sessions. A filter that breaks ends the request (compliance fails
//! closed) unless its entry says otherwise; a filter that *refuses* always ends it.

use std::sync::Arc;

use atoll_plugin_runtime::types::{Event, FilterContext, Operation, Verdict};
use atoll_plugin_runtime::{Filter, PluginError, Session};

use crate::audit::{Audit, AuditEntry};
use crate::failure::Failure;

/// One place in the chain: a loaded filter with its settings, and where it applies.
#[derive(Clone)]
pub struct FilterEntry {
    /// The plugin.
    pub filter: Arc<Filter>,
    /// Models it applies to, with `*` for any run of characters; empty means all.
    pub models: Vec<String>,
    /// Names of keys it applies to, in the same way; empty means all, and requests without a key.
    pub keys: Vec<String>,
    /// What happens when it breaks.
    pub on_fault: OnFault,
}

/// What becomes of a request whose filter traps or exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFault {
    /// The request ends with an error. Nothing unfiltered reaches the model or the client.
    #[default]
    Closed,
    /// The request goes on without this filter; the fault is logged.
    Open,
}

impl FilterEntry {
    /// A filter for every model that fails closed.
    #[must_use]
    pub fn new(filter: Arc<Filter>) -> Self {
        Self {
            filter,
            models: Vec::new(),
            keys: Vec::new(),
            on_fault: OnFault::Closed,
        }
    }

    fn applies_to(&self, context: &FilterContext) -> bool {
        let any =
            |patterns: &[String], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
        let key = context.key_name.as_deref();
        (self.models.is_empty() || any(&self.models, &context.model))
            && (self.keys.is_empty() || key.is_some_and(|key| any(&self.keys, key)))
    }
}

/// The sessions of one request.
pub(crate) struct Chain {
    links: Vec<Link>,
    audit: Arc<dyn Audit>,
    request_id: String,
}

struct Link {
    session: Session,
    filter: Arc<Filter>,
    on_fault: OnFault,
    /// Broke and fails open: everything passes by.
    bypassed: bool,
}

impl Chain {
    /// Opens a session of every filter that applies and passes the operation through them.
    pub(crate) async fn apply(
        entries: &[FilterEntry],
        audit: Arc<dyn Audit>,
        context: FilterContext,
        mut operation: Operation,
    ) -> Result<(Self, Operation), Failure> {
        let request_id = context.request_id.clone();
        let mut chain = Self {
            links: Vec::new(),
            audit,
            request_id,
        };
        if !carries_text(&operation) {
            return Ok((chain, operation));
        }
        for entry in entries.iter().filter(|entry| entry.applies_to(&context)) {
            let opened = match entry.filter.open(context.clone()).await {
                Ok(Ok(session)) => session,
                Ok(Err(refusal)) => return Err(Failure::Typed(refusal)),
                Err(fault) => {
                    tolerate(entry.on_fault, fault)?;
                    continue;
                }
            };
            let mut link = Link {
                session: opened,
                filter: Arc::clone(&entry.filter),
                on_fault: entry.on_fault,
                bypassed: false,
            };
            match link.session.on_request(&operation).await {
                Ok(Ok(Verdict::Pass)) => {}
                Ok(Ok(Verdict::Replace(replacement))) => operation = replacement,
                Ok(Err(refusal)) => {
                    chain.links.push(link);
                    chain.audit().await;
                    return Err(Failure::Typed(refusal));
                }
                Err(fault) => link.fault(fault)?,
            }
            chain.links.push(link);
        }
        chain.audit().await;
        Ok((chain, operation))
    }

    /// Passes events through the chain, last filter first.
    pub(crate) async fn on_events(
        &mut self,
        mut events: Vec<Event>,
    ) -> Result<Vec<Event>, Failure> {
        for link in self.links.iter_mut().rev() {
            if link.bypassed || events.is_empty() {
                continue;
            }
            // Kept only where they may be needed again: without this filter.
            let unfiltered = (link.on_fault == OnFault::Open).then(|| events.clone());
            match link.session.on_events(events).await {
                Ok(Ok(filtered)) => events = filtered,
                Ok(Err(refusal)) => return Err(Failure::Typed(refusal)),
                Err(fault) => {
                    link.fault(fault)?;
                    events = unfiltered.unwrap_or_default();
                }
            }
        }
        Ok(events)
    }

    /// Hands what was found since the last time to the audit log.
    pub(crate) async fn audit(&mut self) {
        for link in self.links.iter_mut().filter(|link| !link.bypassed) {
            match link.session.findings().await {
                Ok(findings) if findings.is_empty() => {}
                Ok(findings) => {
                    let info = link.filter.info();
                    self.audit.record(AuditEntry {
                        request_id: &self.request_id,
                        filter: &info.name,
                        version: &info.version,
                        findings: &findings,
                    });
                }
                // The answer's fate was decided where it happened; an audit gap is still news.
                Err(fault) => tracing::warn!(%fault, "findings were lost"),
            }
        }
    }
}

impl Link {
    fn fault(&mut self, fault: PluginError) -> Result<(), Failure> {
        tolerate(self.on_fault, fault)?;
        self.bypassed = true;
        Ok(())
    }
}

fn tolerate(on_fault: OnFault, fault: PluginError) -> Result<(), Failure> {
    match on_fault {
        OnFault::Closed => Err(Failure::Fault(fault)),
        OnFault::Open => {
            tracing::warn!(%fault, "a filter broke; it fails open, so the request goes on without it");
            Ok(())
        }
    }
}

/// Operations without a prompt in them hold nothing for a filter.
fn carries_text(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Generate(_)
            | Operation::CountTokens(_)
            | Operation::Embed(_)
            | Operation::Other(_)
    )
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters. Linear in the
/// text for each star.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(first) = pieces.next() else {
        return false;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("atoll-demo", "atoll-demo", true),
            ("atoll-demo", "atoll-demo2", false),
            ("*", "", true),
            ("*", "anything/at:all", true),
            ("qwen*", "qwen3", true),
            ("qwen*", "my-qwen3", false),
            ("*/qwen3-*-4bit", "mlx/qwen3-0.6b-4bit", true),
            ("*/qwen3-*-4bit", "mlx/qwen3-4bit", false),
            ("a*a", "a", false),
            ("a*b*", "acbd", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
