//! Log lines: for people on a terminal, as JSON when a machine collects them.

use tracing_subscriber::EnvFilter;

use crate::output;

/// Starts logging to standard error. A server tells what it does; the other commands only warn.
/// `RUST_LOG` overrides both.
pub fn start(serving: bool) {
    // Of a stranger who knocks at an encrypted cluster, Zenoh says that the limit of open files should be
    // raised; the stranger's own log has the reason.
    let default = if serving {
        "info,zenoh_link_tls=error"
    } else {
        "warn"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Only a second call could fail, and there is none.
    let _ = if output::person_reads_errors() || !serving {
        builder.compact().with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
