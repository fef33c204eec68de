//! What runs in the process that compiles: limits first, then one component from standard input, then
//! native code on standard output.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{CODE, MAGIC, REFUSAL};
use crate::aot::engine_hash;
use crate::options::CompileLimits;

/// Processor seconds and bytes of memory, before the component.
const HEADER_BYTES: usize = 16;
/// Lower priority than whoever serves.
const NICE: i32 = 10;

pub(super) fn header(limits: &CompileLimits) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&limits.cpu.as_secs().max(1).to_le_bytes());
    header[8..].copy_from_slice(&limits.memory_bytes.to_le_bytes());
    header
}

fn limits(header: [u8; HEADER_BYTES]) -> CompileLimits {
    let (cpu, memory) = header.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    CompileLimits {
        cpu: Duration::from_secs(number(cpu)),
        memory_bytes: number(memory),
        ..CompileLimits::default()
    }
}

/// Compiles one component: what a [`super::Compiler`]'s command has to run. Limits this whole process,
/// for good, so nothing else should live in it.
///
/// # Errors
/// The streams or the limits fail. To be printed on standard error; the process then ends with a
/// status other than 0. A component that does not compile is an answer, not an error.
pub fn compile_worker(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    input.read_exact(&mut header)?;
    confine(&limits(header))?;
    let mut wasm = Vec::new();
    input.read_to_end(&mut wasm)?;
    compile(&wasm, output)
}

/// Compiles within whatever limits there are.
fn compile(wasm: &[u8], output: &mut impl Write) -> io::Result<()> {
    let engine =
        crate::engine::for_compiling().map_err(|error| io::Error::other(format!("{error:#}")))?;
    let (what, bytes) = match engine.precompile_component(wasm) {
        Ok(native) => (CODE, native),
        Err(error) => (REFUSAL, format!("{error:#}").into_bytes()),
    };
    output.write_all(MAGIC)?;
    output.write_all(&engine_hash(&engine))?;
    output.write_all(&[what])?;
    output.write_all(&bytes)?;
    output.flush()
}

#[cfg(unix)]
fn confine(limits: &CompileLimits) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};

    let at_most = |most: u64| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(Resource::Cpu, at_most(limits.cpu.as_secs()))?;
    // Not every system limits address space; processor time bounds what can be filled.
    let _ = setrlimit(Resource::As, at_most(limits.memory_bytes));
    // No file that is left behind by a crash, and none that is written.
    let _ = setrlimit(Resource::Core, at_most(0));
    let _ = setrlimit(Resource::Fsize, at_most(0));
    let _ = nice(NICE);
    Ok(())
}

#[cfg(not(unix))]
fn confine(_: &CompileLimits) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_survive_the_way() {
        let sent = CompileLimits {
            cpu: Duration::from_secs(70),
            memory_bytes: 3 << 30,
            ..CompileLimits::default()
        };
        assert_eq!(limits(header(&sent)), sent);
    }

    /// Compiled here, loaded there: the engine that compiles has no pool, and its code fits one that has.
    #[test]
    fn code_is_for_the_hosts_engine() {
        let wasm = wat::parse_str("(component)").unwrap();
        let mut output = Vec::new();
        compile(&wasm, &mut output).unwrap();
        let host = crate::engine::build(&crate::RuntimeOptions {
            max_instances: 2,
            ..crate::RuntimeOptions::default()
        })
        .unwrap();
        assert!(host.pooled);
        let rest = output.strip_prefix(MAGIC.as_slice()).unwrap();
        let hash = engine_hash(&host.engine);
        let rest = rest.strip_prefix(hash.as_slice()).unwrap();
        assert!(rest[0] == CODE && rest.len() > 1);
    }

    #[test]
    fn what_is_no_component_is_said() {
        let mut output = Vec::new();
        compile(b"no component", &mut output).unwrap();
        assert_eq!(output[MAGIC.len() + 32], REFUSAL);
        assert!(!output[MAGIC.len() + 33..].is_empty());
    }
}
