//! Where filters' decisions go: counts, kinds and paths, never content.
//!
//! A record is made for each filter that looked at a request, and for each that found something in the
//! answer. What a plugin says about its findings is not trusted to be free of content: a kind, path or
//! action that is not a short plain word is left out ([`AuditFinding`]).

use std::collections::BTreeMap;
use std::fmt;

use atoll_plugin_runtime::types::Finding;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;

mod file;

pub use file::{AuditFile, AuditFileOptions};

/// Kinds and places that one record lists; more are counted together.
const MAX_GROUPS: usize = 256;

/// Receives what filters did.
pub trait Audit: Send + Sync + 'static {
    /// Takes the records of one step of one request, in the filters' order. The step goes on when this
    /// resolves; it must not block.
    ///
    /// # Errors
    /// Only where an unrecorded step must not go on: the request is refused then.
    fn record(&self, records: Vec<AuditRecord>) -> BoxFuture<'_, Result<(), AuditError>>;

    /// Records lost so far, for `/metrics`.
    fn lost(&self) -> u64 {
        0
    }
}

/// Why a step could not be recorded.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the audit trail {file} cannot be written: {reason}")]
pub struct AuditError {
    /// The file.
    pub file: String,
    /// The system's words.
    pub reason: String,
}

/// What one filter did in one step of one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditRecord {
    /// The host's id for the request; log lines have it too.
    pub request: String,
    /// The API it came by.
    pub dialect: String,
    /// What the client asked for: `generate`, `embed`, ...
    pub operation: &'static str,
    /// The name of the client's key, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which way the text went.
    pub phase: Phase,
    /// The filter.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Hash of the component, in hex.
    pub sha256: String,
    /// What it decided.
    pub outcome: Decision,
    /// The kind of fault, if it broke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// What it found.
    pub findings: Vec<AuditFinding>,
}

/// Which way the text went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// To the model.
    Request,
    /// To the client.
    Answer,
}

/// What a filter decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It left everything as it was.
    Passed,
    /// It changed something.
    Changed,
    /// It refused the request or ended the answer.
    Refused,
    /// It broke, and the request ended with it.
    Failed,
    /// It broke and fails open: the request went on without it.
    Bypassed,
}

/// Findings of one kind in one place. The words are the plugin's own and therefore checked: `?` stands
/// where one was not a short plain word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditFinding {
    /// `EMAIL_ADDRESS`.
    pub kind: String,
    /// `pseudonymise`, `mask`, `drop`, `block`, `report`.
    pub action: String,
    /// `messages[2].parts[0]`.
    pub path: String,
    /// How many.
    pub count: u32,
}

impl AuditFinding {
    /// Counts findings by kind, action and path, in order of these.
    #[must_use]
    pub fn counted(findings: &[Finding]) -> Vec<Self> {
        let mut groups: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
        for finding in findings {
            let mut key = (
                plain(&finding.kind, 64),
                plain(&finding.action, 32),
                plain(&finding.path, 128),
            );
            if groups.len() >= MAX_GROUPS && !groups.contains_key(&key) {
                key.2 = "*";
            }
            *groups.entry(key).or_insert(0) += 1;
        }
        groups
            .into_iter()
            .map(|((kind, action, path), count)| Self {
                kind: kind.to_owned(),
                action: action.to_owned(),
                path: path.to_owned(),
                count,
            })
            .collect()
    }
}

/// The word itself if it is plain and no longer than `longest`, else `?`.
fn plain(word: &str, longest: usize) -> &str {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    if (1..=longest).contains(&word.len()) && word.bytes().all(ok) {
        word
    } else {
        "?"
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Changed => "changed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Bypassed => "bypassed",
        })
    }
}

/// Writes records as log events of target `atoll::audit`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogAudit;

impl Audit for LogAudit {
    fn record(&self, records: Vec<AuditRecord>) -> BoxFuture<'_, Result<(), AuditError>> {
        for record in records {
            let found: u32 = record.findings.iter().map(|finding| finding.count).sum();
            tracing::info!(
                target: "atoll::audit",
                request = record.request,
                plugin = record.plugin,
                version = record.version,
                outcome = %record.outcome,
                found,
                "filter"
            );
        }
        async { Ok(()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(kind: &str, path: &str) -> Finding {
        Finding {
            kind: kind.to_owned(),
            path: path.to_owned(),
            start: 1,
            end: 2,
            action: "mask".to_owned(),
        }
    }

    #[test]
    fn findings_are_counted_and_a_plugin_cannot_smuggle_text_in() {
        let counted = AuditFinding::counted(&[
            finding("IBAN_CODE", "messages[0].parts[0]"),
            finding("IBAN_CODE", "messages[0].parts[0]"),
            finding("alice@example.com", "metadata.my card 4111"),
            finding("", "messages[1]\nforged line"),
        ]);
        let text = serde_json::to_string(&counted).unwrap();
        assert!(!text.contains("alice") && !text.contains("4111") && !text.contains("forged"));
        let iban = counted.iter().find(|c| c.kind == "IBAN_CODE").unwrap();
        assert_eq!(iban.count, 2);
        assert_eq!(counted.iter().map(|c| c.count).sum::<u32>(), 4);
    }

    #[test]
    fn a_flood_of_places_is_counted_together() {
        let many: Vec<_> = (0..1000)
            .map(|i| finding("EMAIL_ADDRESS", &format!("messages[{i}]")))
            .collect();
        let counted = AuditFinding::counted(&many);
        assert!(counted.len() <= MAX_GROUPS + 1);
        assert_eq!(counted.iter().map(|c| c.count).sum::<u32>(), 1000);
    }
}
