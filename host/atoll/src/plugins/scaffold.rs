//! `atoll plugin new`: a folder that builds, and everything it needs in it.
//!
//! The SDK and the contract are inside this program, so a plugin can be started on a machine that
//! has nothing but `atoll` and a compiler; the folder gets its own copy, which it can keep when the
//! program moves on. The Rust templates are the SDK's examples, as they are tested there.

use std::path::{Path, PathBuf};

use crate::cli::{Language, NewArgs, WorldArg};
use crate::error::CliError;
use crate::output;

/// The SDK, the contract and the templates, by their place in the repository.
static SDK: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// Where the copy of the SDK goes.
const VENDOR: &str = "vendor/atoll";

/// Runs the command.
pub fn command(args: &NewArgs) -> Result<(), CliError> {
    check_name(&args.name)?;
    super::check_not_bundled(&args.name)?;
    let dir = args
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.name));
    if dir.exists() {
        return Err(fail(format!("{} exists already", dir.display())));
    }
    let files = match args.lang {
        Language::Rust => rust(args)?,
        Language::Python => templates("sdk/python", args)?,
        Language::Javascript => templates("sdk/js", args)?,
    };
    for (name, text) in &files {
        write(&dir.join(name), text)?;
    }
    let shown = dir.display();
    let built = match (args.lang, dir.file_name()) {
        // These are called what their folder is.
        (Language::Python | Language::Javascript, Some(folder)) => folder.to_string_lossy(),
        _ => args.name.as_str().into(),
    };
    output::line(format_args!("{shown} is a plugin that builds. Next:"))?;
    output::line(format_args!("  cd {shown}"))?;
    let (test, after) = match args.lang {
        Language::Rust => ("cargo test", false),
        // The contract's types, which the tests use, come with the build.
        Language::Python => ("python3 -m unittest", true),
        Language::Javascript => ("node --test", false),
    };
    let test = format!("  {test:<29} its own tests, without a server");
    let build = "  atoll plugin build".to_owned();
    let steps = if after { [build, test] } else { [test, build] };
    for step in steps {
        output::line(step)?;
    }
    output::line(format_args!("  atoll plugin add {built}.wasm"))
}

/// The names of the WIT world.
fn world(args: &NewArgs) -> &'static str {
    match args.world {
        WorldArg::Dialect => "dialect",
        WorldArg::Filter => "filter",
        WorldArg::Placement => "placement",
        WorldArg::Scheduling => "scheduling",
    }
}

fn rust(args: &NewArgs) -> Result<Vec<(String, String)>, CliError> {
    let world = world(args);
    let source = sdk_file(&format!("sdk/rust/examples/{world}.rs"))?;
    let (sdk, mut files) = match &args.sdk {
        Some(path) => {
            let path = std::path::absolute(path)
                .map_err(|error| fail(format!("{}: {error}", path.display())))?;
            if !path.join("Cargo.toml").is_file() {
                return Err(fail(format!(
                    "{} is not the Rust SDK: it has no Cargo.toml; leave out --sdk to use the one inside this program",
                    path.display()
                )));
            }
            (path.display().to_string(), Vec::new())
        }
        None => {
            let copies = SDK
                .iter()
                .filter(|(name, _)| !name.starts_with("sdk/python") && !name.starts_with("sdk/js"))
                .map(|(name, text)| (format!("{VENDOR}/{name}"), (*text).to_owned()));
            (format!("{VENDOR}/sdk/rust"), copies.collect())
        }
    };
    let sdk = toml::Value::String(sdk);
    let manifest = format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
atoll-sdk = {{ path = {sdk} }}

# Small and fast; a panic is said in the host's log and then ends the request.
[profile.release]
lto = true
codegen-units = 1
strip = true
panic = "abort"

# A workspace of its own, wherever it lies.
[workspace]
exclude = ["vendor"]
"#,
        name = args.name
    );
    let toolchain =
        "[toolchain]\nchannel = \"1.95.0\"\ntargets = [\"wasm32-wasip2\"]\nprofile = \"minimal\"\n";
    files.push(("Cargo.toml".to_owned(), manifest));
    files.push(("rust-toolchain.toml".to_owned(), toolchain.to_owned()));
    files.push(("src/lib.rs".to_owned(), source.to_owned()));
    files.push((".gitignore".to_owned(), "/target/\n*.wasm\n".to_owned()));
    Ok(files)
}

/// A folder of template files with the plugin's name put in, and the contract beside it.
fn templates(language: &str, args: &NewArgs) -> Result<Vec<(String, String)>, CliError> {
    let world = world(args);
    let prefix = format!("{language}/{world}/");
    let mut files = Vec::new();
    for (name, text) in SDK {
        if let Some(rest) = name.strip_prefix(&prefix) {
            files.push((rest.to_owned(), text.replace("{{name}}", &args.name)));
        } else if let Some(rest) = name.strip_prefix("wit/") {
            files.push((format!("wit/deps/atoll-plugin/{rest}"), (*text).to_owned()));
        }
    }
    if !files.iter().any(|(name, _)| !name.starts_with("wit/deps/")) {
        return Err(fail(format!("this build of atoll lacks {prefix}")));
    }
    let ignored = "/.venv/\n/bindings/\n/node_modules/\n__pycache__/\n*.wasm\n";
    files.push((".gitignore".to_owned(), ignored.to_owned()));
    Ok(files)
}

fn sdk_file(name: &str) -> Result<&'static str, CliError> {
    let file = SDK.iter().find(|(known, _)| *known == name);
    file.map(|(_, text)| *text)
        .ok_or_else(|| fail(format!("this build of atoll lacks {name}")))
}

fn check_name(name: &str) -> Result<(), CliError> {
    let good = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        return Ok(());
    }
    Err(fail(format!(
        "{name:?} cannot be a plugin's name: lower-case letters, digits and '-', starting with a letter"
    )))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| fail(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

fn fail(message: String) -> CliError {
    CliError::Plugins(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: &str, world: WorldArg, lang: Language, dir: &Path) -> NewArgs {
        NewArgs {
            name: name.to_owned(),
            world,
            lang,
            dir: Some(dir.to_owned()),
            sdk: None,
        }
    }

    /// Without a repository around: the copy holds all that its manifests name.
    #[test]
    fn a_rust_plugin_has_everything_it_needs() {
        let temp = tempfile::tempdir().unwrap();
        for (world, name) in [
            (WorldArg::Dialect, "export_dialect"),
            (WorldArg::Filter, "export_filter"),
            (WorldArg::Placement, "export_placement"),
            (WorldArg::Scheduling, "export_scheduling"),
        ] {
            let dir = temp.path().join(name);
            command(&args("my-plugin", world, Language::Rust, &dir)).unwrap();
            let source = std::fs::read_to_string(dir.join("src/lib.rs")).unwrap();
            assert!(source.contains(name), "{source}");
            for file in ["Cargo.toml", "sdk/rust/Cargo.toml", "wit/types.wit"] {
                assert!(dir.join(VENDOR).join(file).is_file(), "{file}");
            }
            let inherited = std::fs::read_to_string(dir.join(VENDOR).join("Cargo.toml")).unwrap();
            assert!(inherited.contains("wit-bindgen") && !inherited.contains("wasmtime"));
        }
    }

    #[test]
    fn other_languages_carry_the_contract_and_the_name() {
        let temp = tempfile::tempdir().unwrap();
        let worlds = [
            WorldArg::Dialect,
            WorldArg::Filter,
            WorldArg::Placement,
            WorldArg::Scheduling,
        ];
        for world in worlds {
            for (lang, file) in [
                (Language::Python, "app.py"),
                (Language::Javascript, "plugin.js"),
            ] {
                let dir = temp.path().join(format!("{world:?}-{lang:?}"));
                command(&args("my-plugin", world, lang, &dir)).unwrap();
                let source = std::fs::read_to_string(dir.join(file)).unwrap();
                assert!(
                    source.contains("my-plugin") && !source.contains("{{"),
                    "{source}"
                );
                assert!(dir.join("wit/deps/atoll-plugin/types.wit").is_file());
                let own = std::fs::read_to_string(dir.join("wit/world.wit")).unwrap();
                let exported = format!("{world:?}-guest").to_lowercase();
                assert!(own.contains(&exported), "{own}");
                let mut names = std::fs::read_dir(&dir).unwrap().map(|entry| {
                    let name = entry.unwrap().file_name();
                    name.to_string_lossy().into_owned()
                });
                assert!(names.any(|name| name.starts_with("test_") || name.ends_with(".test.js")));
            }
        }
    }

    #[test]
    fn nothing_is_overwritten_and_no_name_escapes() {
        let temp = tempfile::tempdir().unwrap();
        let here = args("a", WorldArg::Dialect, Language::Rust, temp.path());
        assert!(
            command(&here)
                .unwrap_err()
                .to_string()
                .contains("exists already")
        );
        for name in ["openai", "redact-pii"] {
            let dir = temp.path().join("none");
            let refused = command(&args(name, WorldArg::Dialect, Language::Rust, &dir));
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("ships with Atoll"), "{refused}");
        }
        for name in ["", "../a", "A", "a b", "a-", "1a", "a\"\nb"] {
            let dir = temp.path().join("none");
            let refused = command(&args(name, WorldArg::Dialect, Language::Rust, &dir));
            assert!(
                refused.unwrap_err().to_string().contains("cannot be"),
                "{name:?}"
            );
        }
    }
}
