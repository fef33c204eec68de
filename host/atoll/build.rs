//! Embeds what makes one file enough: the demo model, and the SDK that `atoll plugin new` writes.
//!
//! Writes `demo_model.rs` with the files of `models/atoll-demo`, or an empty list where that folder
//! does not exist (a checkout without it still builds), and `sdk.rs` with the Rust SDK, the contract
//! and a workspace manifest that holds what the SDK inherits from ours.

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
    std::fs::write(out.join("demo_model.rs"), source).map_err(|error| error.to_string())?;
    embed_sdk(&here.join("../.."), &out)
}

/// The SDK's files by their place in the repository, so that its relative paths hold elsewhere too.
fn embed_sdk(root: &Path, out: &Path) -> Result<(), String> {
    let mut files = vec![root.join("LICENSE"), root.join("sdk/rust/Cargo.toml")];
    for folder in [
        "sdk/rust/src",
        "sdk/rust/examples",
        "sdk/python",
        "sdk/js",
        "wit",
    ] {
        tell_cargo(&root.join(folder));
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    let manifest = out.join("sdk-workspace.toml");
    std::fs::write(&manifest, sdk_workspace(root)?).map_err(|error| error.to_string())?;
    let mut source = String::from("&[\n");
    let mut add = |name: &Path, path: &Path| {
        let path = path.display().to_string();
        let name = name.display().to_string();
        writeln!(source, "    ({name:?}, include_str!({path:?})),")
            .map_err(|error| error.to_string())
    };
    add(Path::new("Cargo.toml"), &manifest)?;
    for path in &files {
        let name = path.strip_prefix(root).map_err(|error| error.to_string())?;
        add(
            name,
            &path.canonicalize().map_err(|error| error.to_string())?,
        )?;
    }
    source.push_str("]\n");
    std::fs::write(out.join("sdk.rs"), source).map_err(|error| error.to_string())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
        if hidden || path.ends_with("node_modules") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Our workspace manifest, cut down to what the SDK inherits.
fn sdk_workspace(root: &Path) -> Result<String, String> {
    let read = |path: PathBuf| -> Result<toml::Table, String> {
        tell_cargo(&path);
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        text.parse()
            .map_err(|error: toml::de::Error| error.to_string())
    };
    let ours = read(root.join("Cargo.toml"))?;
    let sdk = read(root.join("sdk/rust/Cargo.toml"))?;
    let workspace = ours.get("workspace").and_then(toml::Value::as_table);
    let table = |name: &str| {
        let table = workspace.and_then(|workspace| workspace.get(name)?.as_table());
        table.cloned().ok_or(format!("the workspace has no {name}"))
    };
    let mut dependencies = table("dependencies")?;
    let used = |name: &str| {
        ["dependencies", "dev-dependencies"]
            .iter()
            .any(|kind| sdk.get(*kind).and_then(|d| d.get(name)).is_some())
    };
    dependencies.retain(|name, _| used(name));
    let mut cut = toml::Table::new();
    cut.insert("resolver".to_owned(), "3".into());
    cut.insert("members".to_owned(), vec!["sdk/rust"].into());
    cut.insert("package".to_owned(), table("package")?.into());
    cut.insert("dependencies".to_owned(), dependencies.into());
    let manifest = toml::Table::from_iter([("workspace".to_owned(), cut.into())]);
    let text = toml::to_string(&manifest).map_err(|error| error.to_string())?;
    Ok(format!(
        "# Cut from the workspace manifest of Atoll: what the SDK inherits.\n{text}"
    ))
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
