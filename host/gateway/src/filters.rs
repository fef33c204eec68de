//! The chain of filters around one request.
//!
//! Requests pass the chain in its order, events in reverse: the last filter to touch the prompt is
//! the first to see the answer, so that what one replaced is restored before an earlier one looks.
//! Each request has its own sessions, one for the request and its answer. A filter that breaks ends the
//! request (compliance fails closed) unless its entry says otherwise; a filter that *refuses* always
//! ends it. What a filter held back when it broke is gone with it.
//!
//! What comes out of [`Chain::apply`] is the only form of the request that the rest of the host sees:
//! prompt, caches, logs and stores get what the filters left.

use std::sync::Arc;

use atoll_plugin_runtime::types::{Event, FilterContext, Operation, Verdict};
use atoll_plugin_runtime::{Filter, PluginError, Session};

use crate::audit::{Audit, AuditError, AuditFinding, AuditRecord, Decision, Phase};
use crate::failure::{self, Failure};
use crate::{operation, seen};

/// One place in the chain: a loaded filter with its settings, and where it applies.
#[derive(Clone)]
pub struct FilterEntry {
    /// The plugin.
    pub filter: Arc<Filter>,
    /// Models it applies to, with `*` for any run of characters; empty means all.
    pub models: Vec<String>,
    /// Names of the keys whose requests it applies to, with `*` likewise; empty means all requests, those
    /// without a key included.
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
    /// The request goes on without this filter, unless it has changed the answer already: half an answer
    /// filtered is worse than none. The fault is logged.
    Open,
}

impl FilterEntry {
    /// A filter for every request that fails closed.
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
        let any = |patterns: &[String], text: Option<&str>| {
            patterns.is_empty()
                || text.is_some_and(|text| patterns.iter().any(|pattern| matches(pattern, text)))
        };
        any(&self.models, Some(&context.model)) && any(&self.keys, context.key_name.as_deref())
    }
}

/// The sessions of one request.
pub(crate) struct Chain {
    links: Vec<Link>,
    audit: Arc<dyn Audit>,
    facts: Facts,
}

/// What every record of a request repeats.
struct Facts {
    request: String,
    dialect: String,
    key: Option<String>,
    operation: &'static str,
}

struct Link {
    session: Session,
    filter: Arc<Filter>,
    on_fault: OnFault,
    /// Broke and fails open: everything passes by.
    bypassed: bool,
    /// Has changed the answer.
    touched: bool,
}

impl Chain {
    /// Opens a session of every filter that applies and passes the operation through them. The audit has
    /// its records before this returns, whatever it returns.
    pub(crate) async fn apply(
        entries: &[FilterEntry],
        audit: Arc<dyn Audit>,
        context: FilterContext,
        mut operation: Operation,
    ) -> Result<(Self, Operation), Failure> {
        let mut chain = Self {
            links: Vec::new(),
            audit,
            facts: Facts {
                request: context.request_id.clone(),
                dialect: context.dialect.clone(),
                key: context.key_name.clone(),
                operation: text_operation(&operation).unwrap_or_default(),
            },
        };
        if text_operation(&operation).is_none() {
            return Ok((chain, operation));
        }
        let mut records = Vec::new();
        let mut outcome = Ok(());
        for entry in entries.iter().filter(|entry| entry.applies_to(&context)) {
            outcome = chain
                .enter(entry, &context, &mut operation, &mut records)
                .await;
            if outcome.is_err() {
                break;
            }
        }
        let recorded = chain.audit.record(records).await;
        outcome?;
        recorded.map_err(unrecorded)?;
        if !chain.links.is_empty() {
            seen::show(&chain.facts.request, &operation);
        }
        Ok((chain, operation))
    }

    /// One filter's turn on the request.
    async fn enter(
        &mut self,
        entry: &FilterEntry,
        context: &FilterContext,
        operation: &mut Operation,
        records: &mut Vec<AuditRecord>,
    ) -> Result<(), Failure> {
        let mut note = |decision, fault, findings: Vec<AuditFinding>| {
            let record = self.facts.record(&entry.filter, Phase::Request);
            records.push(AuditRecord {
                outcome: decision,
                fault,
                findings,
                ..record
            });
        };
        let mut broke = |fault: PluginError| {
            let kind = Some(fault_name(&fault));
            let tolerated = tolerate(entry.on_fault, fault);
            let decision = match tolerated {
                Ok(()) => Decision::Bypassed,
                Err(_) => Decision::Failed,
            };
            note(decision, kind, Vec::new());
            tolerated
        };
        let mut session = match entry.filter.open(context.clone()).await {
            Ok(Ok(session)) => session,
            Ok(Err(refusal)) => {
                note(Decision::Refused, None, Vec::new());
                return Err(Failure::Typed(refusal));
            }
            Err(fault) => return broke(fault),
        };
        let verdict = match session.on_request(operation).await {
            Ok(verdict) => verdict,
            Err(fault) => return broke(fault),
        };
        let findings = match session.findings().await {
            Ok(findings) => AuditFinding::counted(&findings),
            // What it made of the request may be sound, but nobody can say what it was.
            Err(fault) => return broke(fault),
        };
        match verdict {
            Ok(Verdict::Pass) => note(Decision::Passed, None, findings),
            Ok(Verdict::Replace(replacement)) => {
                *operation = replacement;
                note(Decision::Changed, None, findings);
            }
            Err(refusal) => {
                note(Decision::Refused, None, findings);
                return Err(Failure::Typed(refusal));
            }
        }
        self.links.push(Link {
            session,
            filter: Arc::clone(&entry.filter),
            on_fault: entry.on_fault,
            bypassed: false,
            touched: false,
        });
        Ok(())
    }

    /// Passes events through the chain, last filter first. With the terminal event, what was found in
    /// the answer goes to the audit.
    pub(crate) async fn on_events(
        &mut self,
        mut events: Vec<Event>,
    ) -> Result<Vec<Event>, Failure> {
        for link in self.links.iter_mut().rev() {
            if link.bypassed || events.is_empty() {
                continue;
            }
            match link.on_events(events).await {
                Ok(filtered) => events = filtered,
                Err((failure, decision, fault)) => {
                    let record = self.facts.record(&link.filter, Phase::Answer);
                    let record = AuditRecord {
                        outcome: decision,
                        fault,
                        ..record
                    };
                    // The answer ends with a failure already; the writer reports its own.
                    let _ = self.audit.record(vec![record]).await;
                    return Err(failure);
                }
            }
        }
        if matches!(events.last(), Some(Event::Finished(_) | Event::Failed(_))) {
            self.conclude().await.map_err(unrecorded)?;
        }
        Ok(events)
    }

    /// Records what was found in the answer.
    async fn conclude(&mut self) -> Result<(), AuditError> {
        let mut records = Vec::new();
        for link in &mut self.links {
            let record = self.facts.record(&link.filter, Phase::Answer);
            if link.bypassed {
                records.push(AuditRecord {
                    outcome: Decision::Bypassed,
                    ..record
                });
                continue;
            }
            match link.session.findings().await {
                Ok(findings) if findings.is_empty() => {}
                Ok(findings) => records.push(AuditRecord {
                    outcome: if link.touched {
                        Decision::Changed
                    } else {
                        Decision::Passed
                    },
                    findings: AuditFinding::counted(&findings),
                    ..record
                }),
                // The answer's fate was decided event by event; an audit gap is still news.
                Err(fault) => tracing::warn!(%fault, "findings in an answer were lost"),
            }
        }
        self.audit.record(records).await
    }
}

impl Facts {
    fn record(&self, filter: &Filter, phase: Phase) -> AuditRecord {
        let info = filter.info();
        AuditRecord {
            request: self.request.clone(),
            dialect: self.dialect.clone(),
            operation: self.operation,
            key: self.key.clone(),
            phase,
            plugin: info.name.to_string(),
            version: info.version.to_string(),
            sha256: info.sha256.clone(),
            outcome: Decision::Passed,
            fault: None,
            findings: Vec::new(),
        }
    }
}

impl Link {
    async fn on_events(
        &mut self,
        events: Vec<Event>,
    ) -> Result<Vec<Event>, (Failure, Decision, Option<&'static str>)> {
        // Kept only where they may be needed again: without this filter.
        let spare = self.on_fault == OnFault::Open && !self.touched;
        let unfiltered = spare.then(|| events.clone());
        match self.session.on_events(events).await {
            Ok(Ok(filtered)) => {
                self.touched |= unfiltered.is_some_and(|unfiltered| unfiltered != filtered);
                Ok(filtered)
            }
            Ok(Err(refusal)) => Err((Failure::Typed(refusal), Decision::Refused, None)),
            Err(fault) => {
                let kind = Some(fault_name(&fault));
                let on_fault = if spare {
                    OnFault::Open
                } else {
                    OnFault::Closed
                };
                tolerate(on_fault, fault).map_err(|failure| (failure, Decision::Failed, kind))?;
                self.bypassed = true;
                Ok(unfiltered.unwrap_or_default())
            }
        }
    }
}

/// A step that could not be recorded does not go on.
fn unrecorded(error: AuditError) -> Failure {
    tracing::error!(%error, "a request was refused because its audit record could not be written");
    Failure::Typed(failure::error(
        atoll_plugin_runtime::types::ErrorKind::Internal,
        "the audit trail of this host cannot be written, and its policy refuses requests without one",
    ))
}

/// The kind of fault, for the audit.
fn fault_name(error: &PluginError) -> &'static str {
    match error {
        PluginError::Fault(fault) => fault.kind.as_str(),
        _ => "unusable",
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

/// The name of an operation that carries text; the others hold nothing for a filter.
fn text_operation(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Generate(_) => Some("generate"),
        Operation::CountTokens(_) => Some("count-tokens"),
        Operation::Embed(_) => Some("embed"),
        // A name and nothing else.
        Operation::Other(other) if other.kind == operation::FOLLOW => None,
        Operation::Other(_) => Some("other"),
        _ => None,
    }
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
