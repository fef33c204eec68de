//! Builds the test plugins and leaves them in `OUT_DIR`.

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
    let crates = [
        "atoll-test-dialect",
        "atoll-test-filter",
        "atoll-test-outward",
    ];
    let built = atoll_plugin_build::build(&crates).map_err(|error| error.to_string())?;
    for (plugin, name) in built
        .iter()
        .zip(["dialect.wasm", "filter.wasm", "outward.wasm"])
    {
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
