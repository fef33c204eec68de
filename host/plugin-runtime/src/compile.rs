//! Compiling what strangers wrote, bounded.
//!
//! Cranelift cannot be interrupted, and a component made for it can cost far more than its size: so a
//! component that did not ship with the host is compiled in a process of its own, which limits its own
//! processor time and memory before it reads a byte, runs at low priority, and is killed when it takes
//! too long. The host only gives it bytes and takes bytes. It is the host's own program run again
//! ([`Compiler`]), so what comes back is trusted as far as our own compiler is; [`worker`] is what runs
//! there.

pub(crate) mod worker;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::aot::{MAX_NATIVE_BYTES, Native, engine_hash};
use crate::options::{CompileLimits, RuntimeOptions};

/// The command that runs [`crate::compile_worker`] between its standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Starts what the worker writes; the engine's hash, [`CODE`] or [`REFUSAL`], and its bytes follow.
const MAGIC: &[u8; 16] = b"atoll-compile-1\n";
/// Native code follows.
const CODE: u8 = 0;
/// A sentence follows: why there is none.
const REFUSAL: u8 = 1;
/// Of what the worker says on its standard error.
const MAX_MESSAGE: u64 = 2048;
/// More threads than this gain little on one component, and each costs memory.
const MAX_THREADS: usize = 4;
/// How often the child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why there is no native code.
#[derive(Debug)]
pub(crate) enum CompileError {
    /// It does not compile, or not within the limits: a sentence.
    Refused(String),
    /// The command cannot be run, or is another host's.
    Unavailable(String),
}

/// Compiles for `engine`: in a process of its own where there is a command for that and the component
/// is not `ours`, else here.
///
/// # Errors
/// A sentence for whoever brought the component.
pub(crate) fn compile(
    engine: &Engine,
    wasm: &[u8],
    ours: bool,
    options: &RuntimeOptions,
) -> Result<Native, String> {
    if let (Some(compiler), false) = (&options.compiler, ours) {
        match compiler.compile(wasm, &engine_hash(engine), &options.compile) {
            Ok(native) => return Ok(Native::just_compiled(native)),
            Err(CompileError::Refused(reason)) => return Err(reason),
            // The program was replaced while it runs, or may not start others. Our own doing, so no
            // way around the limits for whoever wrote the component.
            Err(CompileError::Unavailable(reason)) => {
                tracing::warn!(
                    reason,
                    "the compiler cannot be run; compiling without limits"
                );
            }
        }
    }
    let native = engine
        .precompile_component(wasm)
        .map_err(|error| format!("it does not compile: {error:#}"))?;
    Ok(Native::just_compiled(native))
}

impl Compiler {
    /// Compiles `wasm` in a process of its own. Blocks until it ends or is killed.
    pub(crate) fn compile(
        &self,
        wasm: &[u8],
        engine_hash: &[u8; 32],
        limits: &CompileLimits,
    ) -> Result<Vec<u8>, CompileError> {
        let output = self.run(wasm, limits)?;
        let Some(rest) = output.strip_prefix(MAGIC.as_slice()) else {
            return Err(CompileError::Unavailable(
                "it is no compiler of this host".to_owned(),
            ));
        };
        match rest.strip_prefix(engine_hash.as_slice()) {
            Some([CODE, native @ ..]) => Ok(native.to_vec()),
            Some([REFUSAL, reason @ ..]) => {
                let reason = crate::host::sanitize(&String::from_utf8_lossy(reason), 500);
                Err(CompileError::Refused(format!(
                    "it does not compile: {reason}"
                )))
            }
            _ => Err(CompileError::Unavailable(
                "it compiles for another engine".to_owned(),
            )),
        }
    }

    fn run(&self, wasm: &[u8], limits: &CompileLimits) -> Result<Vec<u8>, CompileError> {
        let unavailable = |error: std::io::Error| {
            CompileError::Unavailable(format!("{}: {error}", self.program.display()))
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env("RAYON_NUM_THREADS", threads.min(MAX_THREADS).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(unavailable)?;
        let mut child = Killed(child);
        let (stdin, stdout, stderr) = (
            child.0.stdin.take(),
            child.0.stdout.take(),
            child.0.stderr.take(),
        );
        let header = worker::header(limits);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A worker that ends early says why in its status; the broken pipe says nothing more.
                if let Some(mut stdin) = stdin {
                    let _ = stdin
                        .write_all(&header)
                        .and_then(|()| stdin.write_all(wasm));
                }
            });
            let native = scope.spawn(move || read(stdout, MAX_NATIVE_BYTES));
            let said = scope.spawn(move || read(stderr, MAX_MESSAGE));
            let status = child.wait(limits.wall);
            // The readers below end when it does.
            child.end();
            let status = status.map_err(unavailable)?;
            let native = native.join().unwrap_or_default();
            let said = said.join().unwrap_or_default();
            match status {
                Some(status) if status.success() => Ok(native),
                Some(status) => Err(CompileError::Refused(reason(status, &said, limits))),
                None => Err(CompileError::Refused(format!(
                    "compiling it takes longer than {} s",
                    limits.wall.as_secs()
                ))),
            }
        })
    }
}

/// What the reader holds at most is known; what goes beyond is left in the pipe, which ends the writer.
fn read(source: Option<impl Read>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(source) = source {
        let _ = source.take(limit).read_to_end(&mut bytes);
    }
    bytes
}

/// A child that does not outlive its handle.
struct Killed(Child);

impl Killed {
    /// Its status, or `None` if it had to be killed.
    fn wait(&mut self, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                self.end();
                return Ok(None);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Kills it, if it still runs.
    fn end(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.end();
    }
}

fn reason(status: ExitStatus, said: &[u8], limits: &CompileLimits) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        // SIGXCPU and SIGKILL: what the system sends when processor time is used up. An allocation
        // that fails aborts.
        match status.signal() {
            Some(9 | 24) => {
                let seconds = limits.cpu.as_secs();
                return format!("compiling it takes more than {seconds} s of processor time");
            }
            Some(6 | 11) => {
                let mib = limits.memory_bytes >> 20;
                return format!("compiling it takes more than {mib} MiB of memory, or crashes");
            }
            _ => {}
        }
    }
    let said = crate::host::sanitize(String::from_utf8_lossy(said).trim_end(), 500);
    format!("compiling it failed ({status}): {said}")
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Compiler {
        Compiler {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        }
    }

    fn limits() -> CompileLimits {
        CompileLimits {
            wall: Duration::from_secs(60),
            cpu: Duration::from_secs(7),
            memory_bytes: 1 << 30,
        }
    }

    fn refused(script: &str) -> String {
        match shell(script).compile(b"wasm", &[7; 32], &limits()) {
            Err(CompileError::Refused(reason)) => reason,
            other => panic!("{script}: {other:?}"),
        }
    }

    fn unavailable(compiler: &Compiler) -> String {
        match compiler.compile(b"wasm", &[7; 32], &limits()) {
            Err(CompileError::Unavailable(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_that_never_ends_is_killed() {
        let soon = CompileLimits {
            wall: Duration::from_millis(50),
            ..limits()
        };
        match shell("exec sleep 600").compile(b"wasm", &[7; 32], &soon) {
            Err(CompileError::Refused(reason)) => {
                assert!(reason.contains("longer than"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_that_the_system_ends_says_why() {
        for (signal, expected) in [("XCPU", "more than 7 s"), ("ABRT", "1024 MiB")] {
            let reason = refused(&format!("kill -{signal} $$"));
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn what_it_says_reaches_the_person() {
        let reason = refused("echo 'no	memory' >&2; exit 3");
        assert!(reason.ends_with(r"status: 3): no\tmemory"), "{reason}");
    }

    #[test]
    fn another_hosts_compiler_is_not_believed() {
        let none = Compiler {
            program: "/no/such/program".into(),
            arguments: vec![],
        };
        assert!(unavailable(&none).contains("/no/such/program"));
        assert!(unavailable(&shell("cat")).contains("no compiler"));
        let other = "printf 'atoll-compile-1\\n'; head -c 32 /dev/zero; echo code";
        assert!(unavailable(&shell(other)).contains("another engine"));
    }

    #[test]
    fn what_comes_back_is_what_follows_the_hash() {
        let hash = "head -c 32 /dev/zero";
        let answer = |tail: &str| {
            shell(&format!(
                "cat > /dev/null; printf 'atoll-compile-1\\n'; {hash}; printf '{tail}'"
            ))
            .compile(b"wasm", &[0; 32], &limits())
        };
        assert_eq!(answer("\\000code").unwrap(), b"code");
        let Err(CompileError::Refused(reason)) = answer("\\001no such instruction") else {
            panic!("a refusal");
        };
        assert_eq!(reason, "it does not compile: no such instruction");
        assert!(matches!(answer(""), Err(CompileError::Unavailable(_))));
    }
}
