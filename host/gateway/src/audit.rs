//! Where filters' findings go: counts and kinds, never content.

use atoll_plugin_runtime::types::Finding;

/// Receives what filters found. Called on the request's own task; must not block.
pub trait Audit: Send + Sync + 'static {
    /// One filter's findings in one request, possibly several times per request.
    fn record(&self, entry: AuditEntry<'_>);
}

/// What a filter found. Holds no text of the request: byte ranges, kinds and actions only.
#[derive(Debug, Clone, Copy)]
pub struct AuditEntry<'a> {
    /// The host's id for the request.
    pub request_id: &'a str,
    /// The filter's name.
    pub filter: &'a str,
    /// The filter's version.
    pub version: &'a str,
    /// What it found.
    pub findings: &'a [Finding],
}

/// Writes findings as log events of target `atoll::audit`, one per finding.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogAudit;

impl Audit for LogAudit {
    fn record(&self, entry: AuditEntry<'_>) {
        for finding in entry.findings {
            tracing::info!(
                target: "atoll::audit",
                request = entry.request_id,
                filter = entry.filter,
                version = entry.version,
                kind = %finding.kind,
                path = %finding.path,
                start = finding.start,
                end = finding.end,
                action = %finding.action,
                "finding"
            );
        }
    }
}
