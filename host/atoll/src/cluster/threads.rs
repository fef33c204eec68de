//! More threads for the transport than it takes by itself.
//!
//! When a machine is cut off, Zenoh closes its connections with data that nobody takes any more, and
//! the system keeps the closing thread waiting for up to ten seconds (`SO_LINGER`). By default Zenoh
//! sends with one thread: until it is free again this host would tell nobody anything, and others
//! would take it for lost, too. Zenoh reads the number of threads from the environment and from nowhere
//! else, and a process cannot safely change its own; so it starts itself once more with it. The process
//! id and everything else stay the same.

/// Where Zenoh looks.
const VARIABLE: &str = "ZENOH_RUNTIME";

/// Enough that several lost machines at once leave threads for the others. They sleep otherwise.
const THREADS: &str =
    "(rx: (worker_threads: 8), tx: (worker_threads: 8), net: (worker_threads: 4))";

/// Starts this program again with [`THREADS`], unless somebody has chosen already. Returns only if that
/// is so or not possible; to be called before there are threads or open files.
#[cfg(unix)]
pub fn ensure() {
    use std::os::unix::process::CommandExt as _;
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(VARIABLE, THREADS).exec();
    tracing::debug!(%error, "the transport has few threads");
}

/// Other systems have no such call.
#[cfg(not(unix))]
pub fn ensure() {}
