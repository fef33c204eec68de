//! What a plugin writes to the log.
//!
//! A log line is read by people and by machines that trust its shape, so a plugin's text never reaches
//! it raw: control characters (line breaks, terminal escapes) are escaped, long messages cut, and
//! each instance has a budget of lines.

use tracing::Level as Severity;

use crate::bindings::imports::atoll::plugin::log::Level;
use crate::host::PluginShared;
use crate::options::LogLimits;

/// How much one instance may still log.
pub(crate) struct LogBudget {
    limits: LogLimits,
    lines: u32,
    /// The last line at level error, for the message of a fault that follows: a panic says why here.
    last_error: Option<String>,
}

impl LogBudget {
    pub fn new(limits: LogLimits) -> Self {
        Self {
            limits,
            lines: 0,
            last_error: None,
        }
    }

    /// The last line at level error since this was last asked for.
    pub fn take_last_error(&mut self) -> Option<String> {
        self.last_error.take()
    }

    /// Writes one line under the target `atoll::plugin`, or drops it; the first dropped one says so.
    pub fn write(&mut self, plugin: &PluginShared, request: &str, level: Level, message: &str) {
        self.lines = self.lines.saturating_add(1);
        let allowed = self.limits.lines;
        if self.lines > allowed {
            if self.lines == allowed.saturating_add(1) {
                tracing::warn!(
                    target: "atoll::plugin",
                    plugin = &*plugin.name, version = &*plugin.version, request,
                    "log budget of {allowed} lines used up; dropping the rest"
                );
            }
            return;
        }
        let message = sanitize(message, self.limits.message_bytes);
        if level == Level::Error {
            self.last_error = Some(message.clone());
        }
        macro_rules! emit {
            ($severity:expr) => {
                tracing::event!(
                    target: "atoll::plugin", $severity,
                    plugin = &*plugin.name, version = &*plugin.version, request, "{message}"
                )
            };
        }
        match level {
            Level::Trace => emit!(Severity::TRACE),
            Level::Debug => emit!(Severity::DEBUG),
            Level::Info => emit!(Severity::INFO),
            Level::Warn => emit!(Severity::WARN),
            Level::Error => emit!(Severity::ERROR),
        }
    }
}

/// At most `limit` bytes of `text`, control characters escaped, cut at a character with `...`.
pub(crate) fn sanitize(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        // Besides C0 and C1: line and paragraph separators, and the marks that reorder text on screen.
        let hostile = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let before = out.len();
        if hostile {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > limit {
            out.truncate(before);
            out.push_str("...");
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_gets_through() {
        assert_eq!(
            sanitize("a\r\nlevel=ERROR \u{1b}[2J\u{202e}x", 100),
            r"a\r\nlevel=ERROR \u{1b}[2J\u{202e}x"
        );
        assert_eq!(sanitize("héllo", 100), "héllo");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(sanitize("ééé", 5), "éé...");
        assert_eq!(sanitize("ééé", 6), "ééé");
    }
}
