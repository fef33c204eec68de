//! Embeds the demo model, so that one file is enough to see the whole thing work.
//!
//! Writes `demo_model.rs` with the files of `models/atoll-demo`, or an empty list where that folder
//! does not exist (a checkout without it still builds).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the engine needs; the model card stays out.
const FILES: [&str; 6] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "model.safetensors",
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
    let here =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let folder = here.join("../../models/atoll-demo");
    tell_cargo(&folder);
    let mut source = String::from("&[\n");
    if folder.join("model.safetensors").is_file() {
        let folder = folder.canonicalize().map_err(|error| error.to_string())?;
        for name in FILES {
            let path = folder.join(name);
            if path.is_file() {
                let path = path.display().to_string();
                writeln!(
                    source,
                    "    ({name:?}, include_bytes!({path:?}).as_slice()),"
                )
                .map_err(|error| error.to_string())?;
            }
        }
    }
    source.push_str("]\n");
    std::fs::write(out.join("demo_model.rs"), source).map_err(|error| error.to_string())
}

fn tell_cargo(folder: &Path) {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", folder.display());
}

#[expect(
    clippy::print_stderr,
    reason = "cargo shows this to the person who builds"
)]
fn report(message: &str) {
    eprintln!("the demo model cannot be embedded: {message}");
}
