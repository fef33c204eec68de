//! `atoll plugin build`: runs the language's own tools in the plugin's folder, then looks at what came
//! out.

use std::path::{Path, PathBuf};
use std::process::Command;

use atoll_plugin_runtime::PluginSource;

use super::inspect;
use crate::cli::{BuildArgs, CommonArgs};
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// What cargo calls the platform of a component.
const TARGET: &str = "wasm32-wasip2";

/// Runs the command.
pub fn command(args: &BuildArgs) -> Result<(), CliError> {
    let dir = std::path::absolute(&args.dir).map_err(|error| fail(error.to_string()))?;
    let built = if dir.join("Cargo.toml").is_file() {
        rust(&dir)?
    } else if dir.join("requirements.txt").is_file() {
        python(&dir)?
    } else if dir.join("package.json").is_file() {
        javascript(&dir)?
    } else {
        return Err(fail(format!(
            "{} is no plugin's folder: it has no Cargo.toml, requirements.txt or package.json; `atoll plugin new` makes one",
            dir.display()
        )));
    };
    let config = Config::load(&CommonArgs::default())?;
    let info = inspect::inspect(&config, PluginSource::File(built.clone()))?;
    inspect::print(&info)?;
    output::line(format_args!(
        "\n{} is ready. To use it: atoll plugin add {0}",
        shown(&built)
    ))
}

fn rust(dir: &Path) -> Result<PathBuf, CliError> {
    let manifest = read(&dir.join("Cargo.toml"))?;
    let manifest: toml::Table = manifest
        .parse()
        .map_err(|error| fail(format!("Cargo.toml: {error}")))?;
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name")?.as_str());
    let name = name.ok_or_else(|| fail("Cargo.toml names no package".to_owned()))?;
    let mut cargo = Command::new("cargo");
    // A folder of its own, so that we know where the result is whatever the environment says.
    cargo.args([
        "build",
        "--release",
        "--target",
        TARGET,
        "--target-dir",
        "target",
    ]);
    run(
        cargo.current_dir(dir),
        "Install Rust with rustup (rustup.rs).",
    )?;
    let made = dir.join(format!(
        "target/{TARGET}/release/{}.wasm",
        name.replace('-', "_")
    ));
    let out = dir.join(format!("{name}.wasm"));
    std::fs::copy(&made, &out).map_err(|error| fail(format!("{}: {error}", made.display())))?;
    Ok(out)
}

fn python(dir: &Path) -> Result<PathBuf, CliError> {
    let name = folder_name(dir)?;
    let out = dir.join(format!("{name}.wasm"));
    let bin = dir.join(".venv/bin");
    if !bin.join("componentize-py").is_file() {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", ".venv"]).current_dir(dir);
        run(
            &mut venv,
            "Install Python 3.10 or newer, with its venv module.",
        )?;
        let mut pip = Command::new(bin.join("pip"));
        pip.args(["install", "--quiet", "-r", "requirements.txt"])
            .current_dir(dir);
        run(&mut pip, "")?;
    }
    // The contract's types for editors and for the plugin's own tests. What is built makes its own.
    let types = dir.join("bindings");
    if types.is_dir() {
        // The tool writes no file over another.
        std::fs::remove_dir_all(&types)
            .map_err(|error| fail(format!("{}: {error}", types.display())))?;
    }
    let mut bindings = Command::new(bin.join("componentize-py"));
    bindings
        .args(["-d", "wit", "-w", "plugin", "bindings"])
        .arg(&types)
        .current_dir(dir);
    run(&mut bindings, "")?;
    let mut componentize = Command::new(bin.join("componentize-py"));
    // Without WASI the component imports what its world says and nothing else.
    componentize.args([
        "-d",
        "wit",
        "-w",
        "plugin",
        "componentize",
        "--stub-wasi",
        "app",
        "-o",
    ]);
    run(componentize.arg(&out).current_dir(dir), "")?;
    Ok(out)
}

fn javascript(dir: &Path) -> Result<PathBuf, CliError> {
    let out = dir.join(format!("{}.wasm", folder_name(dir)?));
    // Written last: an installation that broke off is done again.
    if !dir.join("node_modules/.package-lock.json").is_file() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund"])
            .current_dir(dir);
        run(&mut npm, "Install Node.js 20 or newer.")?;
    }
    let mut node = Command::new("node");
    run(
        node.arg("build.mjs").arg(&out).current_dir(dir),
        "Install Node.js 20 or newer.",
    )?;
    Ok(out)
}

fn folder_name(dir: &Path) -> Result<String, CliError> {
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| fail(format!("{} has no name", dir.display())))
}

/// Runs a tool to its end; what it prints goes to the person.
fn run(command: &mut Command, install: &str) -> Result<(), CliError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(fail(format!(
            "{tool} failed ({status}); see what it said above"
        ))),
        Err(error) => Err(fail(format!("{tool} cannot be run: {error}. {install}"))),
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| fail(format!("{}: {error}", path.display())))
}

fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn fail(message: String) -> CliError {
    CliError::Plugins(message)
}
