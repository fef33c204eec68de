//! Builds the shipped plugins and writes the table that `lib.rs` includes.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Name in the host, and the package that makes it.
const PLUGINS: &[(&str, &str)] = &[
    ("openai", "atoll-plugin-openai"),
    ("openai-responses", "atoll-plugin-openai-responses"),
    ("claude", "atoll-plugin-claude"),
    ("ollama", "atoll-plugin-ollama"),
    ("annotate", "atoll-plugin-annotate"),
    ("redact-pii", "atoll-plugin-redact-pii"),
    ("auto", "atoll-plugin-placement-auto"),
    ("spread", "atoll-plugin-placement-spread"),
    ("pack", "atoll-plugin-placement-pack"),
    ("single", "atoll-plugin-placement-single"),
    ("fcfs", "atoll-plugin-scheduling-fcfs"),
    ("fair", "atoll-plugin-scheduling-fair"),
    ("priority", "atoll-plugin-scheduling-priority"),
    ("shortest-first", "atoll-plugin-scheduling-shortest-first"),
];

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
    let packages: Vec<&str> = PLUGINS.iter().map(|(_, package)| *package).collect();
    let built = atoll_plugin_build::build(&packages).map_err(|error| error.to_string())?;
    let mut table = String::from("&[\n");
    for ((name, _), built) in PLUGINS.iter().zip(built) {
        // A copy, because a build for another profile may replace the original at any time.
        let copy = out_dir.join(format!("{name}.wasm"));
        std::fs::copy(&built.wasm, &copy)
            .map_err(|error| format!("copying {}: {error}", built.wasm.display()))?;
        let bytes = format!("include_bytes!({:?})", copy.display().to_string());
        writeln!(
            table,
            "    BundledPlugin {{ name: {name:?}, wasm: {bytes} }},"
        )
        .map_err(|error| error.to_string())?;
    }
    table.push_str("]\n");
    std::fs::write(out_dir.join("plugins.rs"), table).map_err(|error| error.to_string())?;
    rerun_if_changed("build.rs");
    Ok(())
}

fn rerun_if_changed(path: &str) {
    println!("cargo::rerun-if-changed={path}");
}

#[expect(
    clippy::print_stderr,
    reason = "cargo shows this to the person who builds"
)]
fn report(message: &str) {
    eprintln!("{message}");
}
