//! Builds plugin crates of this workspace to WebAssembly components, from a build script.
//!
//! ```no_run
//! # #[expect(clippy::unwrap_used, reason = "an example")]
//! # fn main() {
//! let built = atoll_plugin_build::build(&["atoll-plugin-openai"]).unwrap();
//! println!("cargo::rustc-env=OPENAI_WASM={}", built[0].wasm.display());
//! # }
//! ```
//!
//! Cargo cannot yet depend on an artifact for another target in a stable release, so this runs a
//! second cargo. What makes that safe:
//!
//! - It builds in its own target directory, `<target>/plugins`, so it never waits for the lock that
//!   the outer cargo holds. Every outer command (build, check, clippy, doc, test) shares it: only the
//!   first one compiles, the others find everything fresh.
//! - It does not inherit what the outer cargo set for its own compilation: flags, wrappers (clippy's
//!   among them), profile and target settings, the environment of the package being built.
//! - The caller runs again exactly when a source of one of the plugins changes: the files cargo
//!   itself found, from its dep-info.
//!
//! It needs no network if the outer build needed none: both resolve the same lock file.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

mod dep_info;

/// The target every plugin is built for.
pub const TARGET: &str = "wasm32-wasip2";

/// The profile in the workspace's manifest for plugins.
pub const PROFILE: &str = "plugin";

/// Why a plugin could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Not called from a build script.
    #[error("{0} is not set: this must be called from a build script that cargo runs")]
    NotABuildScript(&'static str),
    /// No workspace above the build script's package.
    #[error("found no Cargo.toml with a [workspace] above {0}")]
    NoWorkspace(PathBuf),
    /// The toolchain cannot compile for [`TARGET`].
    #[error(
        "the Rust toolchain has no standard library for {TARGET}, which plugins are built for; \
         install it with `rustup target add {TARGET}`"
    )]
    TargetMissing,
    /// A program could not be started.
    #[error("could not run {program}: {source}")]
    Spawn {
        /// Which one.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Compilation failed.
    #[error("building {packages} for {TARGET} failed:\n{output}")]
    Failed {
        /// What was being built.
        packages: String,
        /// What cargo said.
        output: String,
    },
    /// Compilation succeeded but left no component.
    #[error("{package} built, but {path} is missing; is its crate-type \"cdylib\"?")]
    NoArtifact {
        /// The package.
        package: String,
        /// Where the component should be.
        path: PathBuf,
    },
}

/// A component that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The package it comes from.
    pub package: String,
    /// The component. Another build may replace it: copy it to `OUT_DIR` before including it.
    pub wasm: PathBuf,
}

/// Builds `packages` of the workspace around the calling build script, and tells cargo to run that
/// script again when one of their sources changes.
///
/// # Errors
/// The target is not installed, or a package does not compile; the message is for the person at
/// the terminal.
pub fn build(packages: &[&str]) -> Result<Vec<Built>, BuildError> {
    let out_dir = path_variable("OUT_DIR")?;
    let package_dir = path_variable("CARGO_MANIFEST_DIR")?;
    let workspace = workspace_root(&package_dir)?;
    let target_dir = target_dir(&out_dir).join("plugins");

    // Whatever goes wrong below, a repaired manifest or toolchain must run the script again.
    watch(&workspace.join("Cargo.toml"));
    watch(&workspace.join("Cargo.lock"));
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    check_target(&env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))?;

    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .arg("build")
        .args(["--target", TARGET, "--profile", PROFILE]);
    cargo
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target_dir);
    for package in packages {
        cargo.args(["--package", package]);
    }
    clean_environment(&mut cargo);
    cargo.current_dir(&workspace);

    let output = cargo.output().map_err(|source| BuildError::Spawn {
        program: cargo.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    let artifacts = target_dir.join(TARGET).join(PROFILE);
    if !output.status.success() {
        // The dep-info may be missing or old, so the packages' own manifests say where to look.
        watch(&workspace.join("sdk"));
        watch(&workspace.join("plugins"));
        watch(&workspace.join("wit"));
        return Err(BuildError::Failed {
            packages: packages.join(", "),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }

    let mut sources = BTreeSet::new();
    let mut built = Vec::new();
    for package in packages {
        let stem = package.replace('-', "_");
        let wasm = artifacts.join(format!("{stem}.wasm"));
        if !wasm.is_file() {
            return Err(BuildError::NoArtifact {
                package: (*package).to_owned(),
                path: wasm,
            });
        }
        sources.extend(dep_info::read(&artifacts.join(format!("{stem}.d"))));
        built.push(Built {
            package: (*package).to_owned(),
            wasm,
        });
    }
    for manifest in sources
        .iter()
        .filter_map(|source| manifest_of(source))
        .collect::<BTreeSet<_>>()
    {
        watch(&manifest);
    }
    for source in &sources {
        watch(source);
    }
    Ok(built)
}

fn path_variable(name: &'static str) -> Result<PathBuf, BuildError> {
    env::var_os(name)
        .map(PathBuf::from)
        .ok_or(BuildError::NotABuildScript(name))
}

#[expect(
    clippy::print_stdout,
    reason = "this is how a build script talks to cargo"
)]
fn watch(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

/// The outermost directory above `package` whose manifest has a `[workspace]` table.
fn workspace_root(package: &Path) -> Result<PathBuf, BuildError> {
    package
        .ancestors()
        .filter(|dir| {
            std::fs::read_to_string(dir.join("Cargo.toml"))
                .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
        })
        .last()
        .map(Path::to_owned)
        .ok_or_else(|| BuildError::NoWorkspace(package.to_owned()))
}

/// The outer target directory: cargo marks it with `CACHEDIR.TAG`. `OUT_DIR` itself says only
/// `<target>[/<triple>]/<profile>/build/<package>/out`, of which the depth varies.
fn target_dir(out_dir: &Path) -> PathBuf {
    out_dir
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        .or_else(|| out_dir.ancestors().nth(4))
        .unwrap_or(out_dir)
        .to_owned()
}

/// The manifest of the package a source file belongs to.
fn manifest_of(source: &Path) -> Option<PathBuf> {
    source
        .ancestors()
        .skip(1)
        .map(|dir| dir.join("Cargo.toml"))
        .find(|path| path.is_file())
}

/// Fails early and clearly where rustc would say "can't find crate for `core`".
fn check_target(rustc: &OsStr) -> Result<(), BuildError> {
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    clean_environment(&mut command);
    let output = command.output().map_err(|source| BuildError::Spawn {
        program: rustc.to_string_lossy().into_owned(),
        source,
    })?;
    let libdir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && libdir.is_dir() {
        Ok(())
    } else {
        Err(BuildError::TargetMissing)
    }
}

/// Takes away what the outer cargo set for its own compilation.
fn clean_environment(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if !inherits(&name) {
            command.env_remove(name);
        }
    }
}

/// Whether the inner cargo may see this variable. Of cargo's own, only where things come from
/// (home, registries, network), how it prints, and the jobserver, so that both cargos together keep
/// to the job limit.
fn inherits(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return true;
    };
    const KEPT: [&str; 8] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    const DROPPED: [&str; 14] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTDOC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
        "OUT_DIR",
        "TARGET",
        "OPT_LEVEL",
        "DEBUG",
        "PROFILE",
        "LLVM_PROFILE_FILE",
    ];
    if name == "CARGO" || name.starts_with("CARGO_") {
        return KEPT.iter().any(|kept| name.starts_with(kept));
    }
    !DROPPED.contains(&name) && !name.starts_with("DEP_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_cargo_does_not_see_the_outer_compilation() {
        for name in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_PLUGIN_LTO",
            "CARGO_MANIFEST_DIR",
            "CARGO_FEATURE_DEFAULT",
            "CARGO",
            "RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
            "OUT_DIR",
        ] {
            assert!(!inherits(OsStr::new(name)), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_MAKEFLAGS",
            "CARGO_NET_OFFLINE",
            "PATH",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(inherits(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_target_directory_is_the_one_cargo_tagged() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("target");
        for out in [
            "debug/build/p-1/out",
            "x86_64-unknown-linux-gnu/debug/build/p-1/out",
        ] {
            let out = target.join(out);
            std::fs::create_dir_all(&out).unwrap();
            std::fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
            assert_eq!(target_dir(&out), target);
        }
        assert_eq!(
            target_dir(Path::new("/t/debug/build/p-1/out")),
            Path::new("/t")
        );
    }

    #[test]
    fn the_workspace_is_the_manifest_that_says_so() {
        let temp = tempfile::tempdir().unwrap();
        let package = temp.path().join("a/b");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("Cargo.toml"), "[package]\n").unwrap();
        assert!(matches!(
            workspace_root(&package),
            Err(BuildError::NoWorkspace(_))
        ));
        std::fs::write(temp.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        assert_eq!(workspace_root(&package).unwrap(), temp.path());
    }

    #[cfg(unix)]
    #[test]
    fn a_missing_target_is_told_with_the_command_that_installs_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let temp = tempfile::tempdir().unwrap();
        let rustc = temp.path().join("rustc");
        std::fs::write(&rustc, "#!/bin/sh\necho /no/such/folder\n").unwrap();
        std::fs::set_permissions(&rustc, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = check_target(rustc.as_os_str()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("rustup target add wasm32-wasip2"),
            "{error}"
        );
        let absent = check_target(temp.path().join("absent").as_os_str()).unwrap_err();
        assert!(matches!(absent, BuildError::Spawn { .. }));
    }
}
