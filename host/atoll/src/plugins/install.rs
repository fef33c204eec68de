//! `atoll plugin add`, `remove`, `grant`, `update`: what lies in the folder and what was accepted of it.
//!
//! The order of two writes matters, because a server may be watching: the file first, then the lock.
//! Between the two the server refuses the new file and goes on with the old; the other way round it
//! would see the old file without its pin.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use atoll_plugin_runtime::{
    Grant, Pin, PluginInfo, PluginSource, PluginsLock, SeenVersions, WantInfo, World,
};

use super::inspect::{self, needs};
use super::{stored, taken};
use crate::cli::{AcceptArgs, AddArgs, GrantArgs, RemoveArgs, UpdateArgs};
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// Runs `add`.
pub fn add(args: &AddArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let stem = args
        .file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.clone().or(stem).unwrap_or_default();
    check_name(&name)?;
    let bytes = read(&args.file)?;
    let source = PluginSource::Read {
        path: args.file.clone(),
        wasm: bytes.as_slice().into(),
    };
    let info = inspect::inspect(&config, source)?;
    super::check_not_bundled(&name)?;
    super::check_not_bundled(&info.name)?;
    let grants = accepted(
        &info,
        &args.accept,
        &[],
        &format!("add {}", args.file.display()),
    )?;
    let lock = PluginsLock::read(&PluginsLock::path_for(&config.plugins.value))?;
    check_downgrade(
        &config,
        &name,
        &info,
        lock.pin(&name),
        args.accept.allow_downgrade,
    )?;
    let path = file(&config, &name);
    sign(&path, &signature_path(&args.file))?;
    write(&path, &bytes).map_err(|error| failed("be written", &path, &error))?;
    pin(&config, &name, &info, grants.clone())?;
    said(
        &info,
        &name,
        &grants,
        &format!("added as {}", path.display()),
    )?;
    hint(&config, &name, &info);
    let used = config.filters.iter().any(|filter| filter.plugin == name);
    taken::wait(&config, &info, used)
}

/// Runs `remove`.
pub fn remove(args: &RemoveArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    check_name(&args.name)?;
    let lock_path = PluginsLock::path_for(&config.plugins.value);
    let pin = PluginsLock::read(&lock_path)?.pin(&args.name).cloned();
    let path = file(&config, &args.name);
    // While the file is there to be asked.
    let stored_as = stored_as(&config, &args.name, pin.as_ref());
    if args.purge && stored_as != args.name && is_known(&config, &stored_as)? {
        return Err(CliError::Plugins(format!(
            "{} calls itself {stored_as}, and there is another plugin of that name: what is stored may be that one's. Remove it without --purge",
            args.name
        )));
    }
    let removed = match std::fs::remove_file(&path) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed("be removed", &path, &error)),
    };
    let signature = signature_path(&path);
    gone(&signature).map_err(|error| failed("be removed", &signature, &error))?;
    if pin.is_some() {
        let forget = |lock: &mut PluginsLock| Ok::<_, CliError>(lock.remove(&args.name));
        PluginsLock::edit(&lock_path, forget)?;
    }
    let found = removed || pin.is_some();
    if found {
        output::line(format_args!("{} is removed", args.name))?;
    }
    if args.purge {
        let deleted = stored::forget(&config, &stored_as)?;
        if deleted.is_empty() && !found {
            return Err(no_such(&config, &args.name));
        }
        let shown = stored::shown(deleted);
        output::line(format_args!("what it stored is deleted: {shown}"))?;
    } else if !found {
        return Err(no_such(&config, &args.name));
    } else {
        let kept = stored::look(&config, &stored_as);
        if !kept.is_empty() {
            output::note(format_args!(
                "What it stored is kept ({}), and is there when it comes back. To delete it: atoll plugin remove {stored_as} --purge",
                stored::shown(kept)
            ));
        }
    }
    if config
        .filters
        .iter()
        .any(|filter| filter.plugin == args.name)
    {
        output::note(
            "A running server keeps it in force, because the configuration names it as a filter; \
             take it out there too, or the next start is refused.",
        );
    }
    Ok(())
}

/// The name under which a plugin of the folder stores things: the one it gives itself. It is asked only if it may store
/// any: compiling it takes time.
fn stored_as(config: &Config, name: &str, pin: Option<&Pin>) -> String {
    let accepted = pin.is_some_and(|pin| pin.grants.contains(&Grant::Kv));
    let configured = config.plugin.get(name);
    let configured = configured.is_some_and(|entry| entry.grants.iter().any(|grant| grant == "kv"));
    let described = (accepted || configured).then(|| installed(config, name).ok());
    match described.flatten() {
        Some(info) => info.name,
        None => name.to_owned(),
    }
}

/// Whether there is a plugin of this name, as far as the folder, its pins and the program know.
fn is_known(config: &Config, name: &str) -> Result<bool, CliError> {
    let pinned = PluginsLock::read(&PluginsLock::path_for(&config.plugins.value))?
        .pin(name)
        .is_some();
    Ok(pinned || file(config, name).exists() || super::check_not_bundled(name).is_err())
}

/// Runs `grant`.
pub fn grant(args: &GrantArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    check_name(&args.name)?;
    let info = installed(&config, &args.name)?;
    let grants = repin(&config, &args.name, &info, |before| {
        if let Some(pin) = before
            && pin.sha256 != info.sha256
        {
            return Err(CliError::Plugins(format!(
                "the file has changed since it was accepted; look at it with `atoll plugin inspect {0}`, then: atoll plugin update {0}",
                args.name
            )));
        }
        let mut grants: Vec<Grant> = before.map(|pin| pin.grants.clone()).unwrap_or_default();
        for text in &args.grants {
            grants.push(known(text)?);
        }
        for text in &args.revoke {
            let revoked = interface(text)?;
            grants.retain(|grant| grant.interface() != revoked.interface());
        }
        grants.sort();
        grants.dedup();
        Ok(grants)
    })?;
    said(&info, &args.name, &grants, "accepted")
}

/// Runs `update`.
pub fn update(args: &UpdateArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    check_name(&args.name)?;
    let info = installed(&config, &args.name)?;
    let grants = repin(&config, &args.name, &info, |before| {
        let allowed = args.accept.allow_downgrade;
        check_downgrade(&config, &args.name, &info, before, allowed)?;
        let before = before.map(|pin| pin.grants.clone()).unwrap_or_default();
        let command = format!("update {}", args.name);
        accepted(&info, &args.accept, &before, &command)
    })?;
    said(&info, &args.name, &grants, "accepted as it is now")
}

/// Refuses a version that is older than one that was accepted, or than a signed one that was in force: it may be one
/// that was withdrawn, with all that its maker signed still true of it.
fn check_downgrade(
    config: &Config,
    name: &str,
    info: &PluginInfo,
    before: Option<&Pin>,
    allowed: bool,
) -> Result<(), CliError> {
    let seen = SeenVersions::read(&SeenVersions::path_for(&config.plugins.value))?;
    match seen.downgraded_from(name, before, &info.version) {
        Some(from) if !allowed => Err(CliError::Plugins(format!(
            "version {} of {name} is older than {from}, which was used here before; if that is meant, say the same with --allow-downgrade",
            info.version
        ))),
        _ => Ok(()),
    }
}

/// What is granted: what was before, what is said now, everything with `--yes`. Refuses when the
/// plugin could not run with it.
fn accepted(
    info: &PluginInfo,
    args: &AcceptArgs,
    before: &[Grant],
    command: &str,
) -> Result<Vec<Grant>, CliError> {
    let mut grants = before.to_vec();
    for text in &args.grants {
        grants.push(known(text)?);
    }
    let mut missing: Vec<Grant> = needs(info)
        .into_iter()
        .filter(|need| !covered(need, &grants))
        .collect();
    if args.yes {
        // A host that the plugin does not name, or a folder, only a person can say.
        grants.extend(missing.extract_if(.., |need| need.check().is_ok()));
    }
    // What it loads without is no reason to keep it out.
    let without = |need: &mut Grant| info.lacking(&[]).any(|want| want.grant == *need);
    let optional: Vec<Grant> = missing.extract_if(.., without).collect();
    if !missing.is_empty() {
        let wishes = missing
            .iter()
            .map(|grant| format!("\n  {grant}: {}", inspect::reason(info, grant)));
        let more = optional.iter().map(|grant| {
            let reason = inspect::reason(info, grant);
            format!("\n  {grant}, but loads without: {reason}")
        });
        let flags = missing
            .iter()
            .map(|grant| format!(" --grant {}", to_be_said(grant)));
        return Err(CliError::Plugins(format!(
            "{} {} wants to use:{}\nIf you trust it with that: atoll plugin {command}{}",
            info.name,
            info.version,
            wishes.chain(more).collect::<String>(),
            flags.collect::<String>()
        )));
    }
    grants.sort();
    grants.dedup();
    Ok(grants)
}

/// Whether what it needs is among the grants. Which hosts is the person's to say; a folder needs one
/// for each of its names.
fn covered(need: &Grant, grants: &[Grant]) -> bool {
    let Grant::Files(names) = need else {
        return grants.iter().any(|g| g.interface() == need.interface());
    };
    names.iter().all(|name| {
        grants.iter().any(|grant| match grant {
            Grant::Files(entries) => entries.iter().any(|entry| {
                entry
                    .split_once('=')
                    .is_some_and(|(given, _)| given == name)
            }),
            _ => false,
        })
    })
}

/// The grant as a person types it, with a word where only they know what belongs there.
fn to_be_said(grant: &Grant) -> String {
    match grant {
        Grant::HttpOut(hosts) if hosts.is_empty() => "http-out:HOST".to_owned(),
        Grant::Files(names) => {
            let entries: Vec<String> = names.iter().map(|name| format!("{name}=FOLDER")).collect();
            format!("files:{}", entries.join(","))
        }
        other => other.to_string(),
    }
}

/// A grant as a person wrote it.
pub(super) fn known(text: &str) -> Result<Grant, CliError> {
    let grant = Grant::from(text.to_owned());
    if let Grant::Other(name) = &grant {
        let names: Vec<String> = Grant::all_local().iter().map(Grant::to_string).collect();
        return Err(CliError::Plugins(format!(
            "there is no grant {name:?}; there are {}, http-out:HOST and files:NAME=FOLDER",
            names.join(", ")
        )));
    }
    grant.check().map_err(CliError::Plugins)?;
    Ok(grant)
}

/// A part of the host, whichever hosts or folders of it.
fn interface(text: &str) -> Result<Grant, CliError> {
    match Grant::from(text.to_owned()) {
        Grant::Other(_) => known(text),
        grant => Ok(grant),
    }
}

fn pin(config: &Config, name: &str, info: &PluginInfo, grants: Vec<Grant>) -> Result<(), CliError> {
    repin(config, name, info, |_| Ok(grants)).map(|_| ())
}

/// Accepts a plugin with the grants that `change` makes of what was accepted before, and gives them.
fn repin(
    config: &Config,
    name: &str,
    info: &PluginInfo,
    change: impl FnOnce(Option<&Pin>) -> Result<Vec<Grant>, CliError>,
) -> Result<Vec<Grant>, CliError> {
    PluginsLock::edit(&PluginsLock::path_for(&config.plugins.value), |lock| {
        let grants = change(lock.pin(name))?;
        lock.set(name, Pin::of(info, grants.clone()));
        Ok(grants)
    })
}

/// Where a component's signature lies: beside it.
fn signature_path(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// Puts the signature of a component that is about to be added into its place, or takes that of the one before away.
fn sign(component: &Path, signature: &Path) -> Result<(), CliError> {
    let place = signature_path(component);
    let done = match std::fs::read(signature) {
        Ok(bytes) => write(&place, &bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => gone(&place),
        Err(error) => return Err(failed("be read", signature, &error)),
    };
    done.map_err(|error| failed("be written", &place, &error))
}

/// Removes a file that need not be there.
fn gone(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn said(info: &PluginInfo, name: &str, granted: &[Grant], what: &str) -> Result<(), CliError> {
    let grants: Vec<String> = granted.iter().map(Grant::to_string).collect();
    let may = if grants.is_empty() {
        String::new()
    } else {
        format!("; it may use {}", grants.join(", "))
    };
    output::line(format_args!(
        "{} {} ({}) is {what}{may}",
        info.name, info.version, info.world
    ))?;
    for want in info.lacking(granted) {
        output::note(refused(name, want));
    }
    Ok(())
}

/// What a plugin that is in force will be refused, and how to allow it.
pub(super) fn refused(name: &str, want: &WantInfo) -> String {
    format!(
        "{name} also wants {0} ({1}), and is refused it when it asks. If you trust it with that: \
         atoll plugin grant {name} {0}",
        want.grant, want.reason
    )
}

/// What is still to be done: a filter does nothing until it has a place in the chain, nor a strategy until it is
/// chosen; a dialect has its routes at once.
fn hint(config: &Config, name: &str, info: &PluginInfo) {
    let place = config.place();
    let file = place.display();
    let used = config.filters.iter().any(|filter| filter.plugin == name);
    match info.world {
        World::Dialect => {
            for route in &info.routes {
                output::note(format_args!("It answers {} {}", route.method, route.path));
            }
        }
        World::Filter if !used => output::note(format_args!(
            "To use it, add this to {file} and start the server again:\n\n[[filter]]\nplugin = \"{name}\""
        )),
        World::Placement | World::Scheduling => output::note(format_args!(
            "To use it, say this in {file}; a running server reads it within a second:\n\n[{}]\nstrategy = \"{}\"",
            info.world, info.name
        )),
        _ => {}
    }
}

fn file(config: &Config, name: &str) -> PathBuf {
    config.plugins.value.join(format!("{name}.wasm"))
}

/// The plugin of the folder, described.
fn installed(config: &Config, name: &str) -> Result<PluginInfo, CliError> {
    let path = file(config, name);
    if !path.is_file() {
        return Err(no_such(config, name));
    }
    inspect::inspect(config, PluginSource::File(path))
}

fn no_such(config: &Config, name: &str) -> CliError {
    CliError::Plugins(format!(
        "there is no plugin {name:?} in {}; `atoll plugin list` shows what there is",
        config.plugins.value.display()
    ))
}

fn check_name(name: &str) -> Result<(), CliError> {
    if atoll_plugin_runtime::is_plugin_name(name) {
        return Ok(());
    }
    Err(CliError::Plugins(format!(
        "{name:?} cannot be a plugin's name here: 1 to 64 letters, digits, '-', '_' or '.'; say another with --name"
    )))
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| failed("be read", path, &error))
}

/// Whole or not at all: a server may be looking.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // The server may be another user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.prefix(".adding-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> CliError {
    CliError::Plugins(format!("{} cannot {what}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A dialect that stores something and would like to manage models.
    fn info() -> PluginInfo {
        let want = |grant: Grant| WantInfo {
            grant,
            reason: "Why not.".to_owned(),
        };
        PluginInfo {
            name: "api".to_owned(),
            installed_as: "my-api".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            world: World::Dialect,
            contract: "0.1.0".to_owned(),
            source: String::new(),
            sha256: String::new(),
            size_bytes: 0,
            wants: vec![want(Grant::Kv), want(Grant::ManageModels)],
            imports: vec!["kv".to_owned(), "log".to_owned()],
            grants: Vec::new(),
            settings_schema: serde_json::json!({}),
            routes: Vec::new(),
            max_held_bytes: None,
            compile_time: Duration::ZERO,
            cached: false,
            describe_time: Duration::ZERO,
        }
    }

    fn accept(grants: &[&str], yes: bool) -> Result<Vec<Grant>, CliError> {
        let grants = grants.iter().map(|&grant| grant.to_owned()).collect();
        let accept = AcceptArgs {
            grants,
            yes,
            allow_downgrade: false,
        };
        accepted(&info(), &accept, &[], "add my-api.wasm")
    }

    #[test]
    fn what_it_cannot_load_without_is_asked_for_and_all_of_it_shown() {
        let refused = accept(&[], false).unwrap_err().to_string();
        let (wishes, command) = refused.rsplit_once('\n').unwrap();
        assert!(wishes.contains("kv: Why not."), "{refused}");
        assert!(
            wishes.contains("manage-models, but loads without: Why not."),
            "{refused}"
        );
        assert!(
            command.ends_with("atoll plugin add my-api.wasm --grant kv"),
            "{refused}"
        );
    }

    /// A signature belongs to its file: it comes with it, and goes with it.
    #[test]
    fn a_signature_comes_along() {
        let here = tempfile::tempdir().unwrap();
        let from = here.path().join("a.wasm");
        let to = here.path().join("plugins").join("b.wasm");
        std::fs::write(signature_path(&from), "signed").unwrap();
        sign(&to, &signature_path(&from)).unwrap();
        let placed = here.path().join("plugins").join("b.wasm.minisig");
        assert_eq!(std::fs::read_to_string(&placed).unwrap(), "signed");
        std::fs::remove_file(signature_path(&from)).unwrap();
        sign(&to, &signature_path(&from)).unwrap();
        assert!(!placed.exists());
    }

    #[test]
    fn managing_models_is_given_only_when_somebody_says_so() {
        assert_eq!(accept(&["kv"], false).unwrap(), [Grant::Kv]);
        let both = [Grant::Kv, Grant::ManageModels];
        assert_eq!(accept(&["kv", "manage-models"], false).unwrap(), both);
        assert_eq!(accept(&[], true).unwrap(), both);
        let said = refused("my-api", &info().wants[1]);
        assert!(
            said.ends_with("atoll plugin grant my-api manage-models"),
            "{said}"
        );
    }
}
