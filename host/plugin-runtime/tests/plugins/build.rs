//! Builds the two misbehaving plugins and leaves them in `OUT_DIR`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            report(&message);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let built = atoll_plugin_build::build(&["atoll-test-dialect", "atoll-test-filter"])
        .map_err(|error| error.to_string())?;
    for (plugin, name) in built.iter().zip(["dialect.wasm", "filter.wasm"]) {
        std::fs::copy(&plugin.wasm, out_dir.join(name))
            .map_err(|error| format!("copying {}: {error}", plugin.wasm.display()))?;
    }
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "cargo shows this to the person who builds"
)]
fn report(message: &str) {
    eprintln!("{message}");
}
