//! `atoll doctor`: what was found on this machine, what was chosen and why, and what is wrong.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use atoll_executor_cpu::CpuExecutor;
use serde::Serialize;

use crate::admin_client;
use crate::cli::DoctorArgs;
use crate::compose;
use crate::config::{Config, Mode};
use crate::error::CliError;
use crate::executor::{self, ExecutorChoice};
use crate::output;
use crate::units::Bytes;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What.
    what: &'static str,
    /// Whether it keeps something from working.
    problem: bool,
    /// What was found, in a sentence.
    found: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            problem: false,
            found: found.into(),
        }
    }

    fn problem(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            problem: true,
            ..Self::ok(what, found)
        }
    }
}

/// Runs the command. It fails if there is a problem.
pub fn command(args: &DoctorArgs) -> Result<(), CliError> {
    let config = Config::load_serve(&args.serve)?;
    let findings = examine(&config);
    if args.json {
        let json = serde_json::to_string_pretty(&findings)
            .map_err(|error| CliError::Output(error.to_string()))?;
        output::line(json)?;
    } else {
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|finding| {
                let mark = if finding.problem { "problem" } else { "ok" };
                vec![
                    mark.to_owned(),
                    finding.what.to_owned(),
                    finding.found.clone(),
                ]
            })
            .collect();
        output::table(&["", "WHAT", "FOUND"], &rows)?;
    }
    match findings.iter().filter(|finding| finding.problem).count() {
        0 => Ok(()),
        1 => Err(CliError::Other("there is a problem".to_owned())),
        count => Err(CliError::Other(format!("there are {count} problems"))),
    }
}

fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        Finding::ok(
            "program",
            format!(
                "atoll {} for {} on {}",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
        ),
        configuration(config),
        processor(),
        memory(),
    ];
    findings.extend(executors(config.executor.value));
    findings.push(cache(&config.paths.cache));
    findings.extend(models(config));
    findings.push(plugins(&config.plugins.value));
    findings.push(keys(config));
    findings.extend(config.listen.value.iter().map(|&address| port(address)));
    findings.extend(cluster(config));
    findings
}

fn configuration(config: &Config) -> Finding {
    let found = match &config.file {
        Some(path) => path.display().to_string(),
        None => format!(
            "defaults ({} does not exist)",
            config.paths.config_file.display()
        ),
    };
    Finding::ok("configuration", found)
}

fn processor() -> Finding {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let kernels = CpuExecutor::kernel_names();
    let fastest = kernels.first().copied().unwrap_or("none");
    Finding::ok(
        "processor",
        format!(
            "{threads} threads; kernels {fastest}, of {}",
            kernels.join(", ")
        ),
    )
}

fn memory() -> Finding {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let (total, free) = (system.total_memory(), system.available_memory());
    Finding::ok(
        "memory",
        format!("{} of {} available", Bytes(free), Bytes(total)),
    )
}

/// MLX's device, and the executor in force.
fn executors(choice: ExecutorChoice) -> Vec<Finding> {
    let device = atoll_executor_mlx::device();
    let mlx = match &device {
        Ok(found) => {
            let budget = match found.budget_bytes() {
                Some(bytes) => format!(", {} for models", Bytes(bytes)),
                None => String::new(),
            };
            Finding::ok("MLX", format!("{}{budget}", executor::describe(found)))
        }
        Err(error) => Finding::ok("MLX", error.to_string()),
    };
    let selected = match executor::select(choice, device) {
        Ok(selection) => Finding::ok(
            "executor",
            format!("{}, because {}", selection.runner.name(), selection.reason),
        ),
        Err(error) => Finding::problem("executor", format!("{choice} was asked for; {error}")),
    };
    vec![mlx, selected]
}

/// Whether compiled plugins and unpacked models can be kept.
fn cache(folder: &Path) -> Finding {
    let shown = folder.display();
    let written = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    match written {
        Ok(_) => Finding::ok("cache folder", format!("{shown} can be written")),
        Err(error) => Finding::problem(
            "cache folder",
            format!(
                "{shown} cannot be written ({error}): plugins would be compiled again at every start, and the demo \
                 model could not be unpacked; XDG_CACHE_HOME chooses another"
            ),
        ),
    }
}

fn models(config: &Config) -> Vec<Finding> {
    let listing = compose::catalog(config).listing();
    let folders = config.models.value.iter().map(|folder| {
        let found = folder.display();
        if folder.is_dir() {
            Finding::ok("models folder", found.to_string())
        } else {
            // Nothing is wrong: the demo model is there, and `atoll pull` makes the folder.
            Finding::ok("models folder", format!("{found} does not exist yet"))
        }
    });
    let names: Vec<&str> = listing
        .models
        .iter()
        .map(|model| model.name.as_str())
        .collect();
    let usable = match names.as_slice() {
        [] => Finding::problem(
            "models",
            "none can be used; `atoll pull ORG/NAME` fetches one",
        ),
        names => Finding::ok("models", names.join(", ")),
    };
    let refused = listing.refused.iter().map(|refused| {
        Finding::problem(
            "models",
            format!("{} cannot be used: {}", refused.path, refused.reason),
        )
    });
    folders.chain([usable]).chain(refused).collect()
}

fn plugins(folder: &Path) -> Finding {
    let shown = folder.display();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::ok("plugins folder", format!("{shown} does not exist yet"));
        }
        Err(error) => {
            return Finding::problem("plugins folder", format!("{shown} cannot be read: {error}"));
        }
    };
    let is_plugin = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    };
    let count = entries
        .flatten()
        .filter(|entry| is_plugin(&entry.path()))
        .count();
    Finding::ok(
        "plugins folder",
        format!("{shown} with {count} plugins; `atoll plugins` says which are in force"),
    )
}

/// Keys, and whether the addresses may be listened on without any.
fn keys(config: &Config) -> Finding {
    let checked = config.key_file().read().map_err(|error| error.to_string());
    let checked = checked.and_then(|keys| match config.check_listen(&keys) {
        Ok(()) => Ok(keys.len()),
        Err(error) => Err(error.to_string()),
    });
    match checked {
        Ok(0) => Finding::ok(
            "keys",
            "none: only programs of this machine can use the server",
        ),
        Ok(count) => Finding::ok("keys", format!("{count}; `atoll keys list` names them")),
        Err(error) => Finding::problem("keys", error),
    }
}

/// Whether the server could listen there.
fn port(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok("address", format!("{address} is free")),
        Err(error)
            if error.kind() == std::io::ErrorKind::AddrInUse && admin_client::ready(address) =>
        {
            Finding::ok("address", format!("a server is running on {address}"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::problem(
            "address",
            format!("{address} is taken by another program; --listen chooses another"),
        ),
        Err(error) => Finding::problem(
            "address",
            format!("{address} cannot be listened on: {error}"),
        ),
    }
}

/// What this host would do about other machines.
fn cluster(config: &Config) -> Vec<Finding> {
    let settings = &config.cluster;
    if settings.mode.value == Mode::Off {
        let found = format!("this machine joins none ({})", settings.mode.source);
        return vec![Finding::ok("cluster", found)];
    }
    let secret = match settings.read_secret() {
        Ok(Some(_)) => "with its secret",
        Ok(None) => "without a secret: every machine of the network can join it",
        Err(error) => return vec![Finding::problem("cluster", error.to_string())],
    };
    let ways = match (settings.multicast, settings.peers.value.as_slice()) {
        (true, []) => "multicast".to_owned(),
        (true, peers) => format!("multicast and {}", peers.join(", ")),
        (false, []) => "nothing: multicast is off, and no peer is named".to_owned(),
        (false, peers) => peers.join(", "),
    };
    let found = format!(
        "{} {secret}; others are found by {ways}; `atoll cluster status` asks the running server",
        settings.name.value
    );
    // Only what names a port can be taken.
    let fixed = settings.listen.value.iter().filter_map(|text| {
        let address: SocketAddr = text.rsplit('/').next()?.parse().ok()?;
        (address.port() != 0).then_some(address)
    });
    let taken = fixed.filter_map(|address| {
        let error = TcpListener::bind(address).err()?;
        let found = format!("{address} cannot be listened on: {error}");
        Some(Finding::problem("cluster address", found))
    });
    [Finding::ok("cluster", found)]
        .into_iter()
        .chain(taken)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_a_problem_and_a_free_one_is_not() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert!(port(address).problem);
        drop(taken);
        assert!(!port(SocketAddr::from(([127, 0, 0, 1], 0))).problem);
    }

    #[test]
    fn a_missing_plugins_folder_is_no_problem_and_a_file_is() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!plugins(&folder.path().join("none")).problem);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(plugins(&file).problem);
        std::fs::write(folder.path().join("a.wasm"), "").unwrap();
        assert!(plugins(folder.path()).found.contains("with 1 plugins"));
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!cache(&folder.path().join("made/on/demand")).problem);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(cache(&file).problem);
    }

    #[test]
    fn asking_for_an_executor_that_is_not_there_is_a_problem() {
        let problem = |choice| executors(choice).iter().any(|finding| finding.problem);
        assert!(!problem(ExecutorChoice::Auto));
        assert!(!problem(ExecutorChoice::Cpu));
        let there = atoll_executor_mlx::device().is_ok();
        assert_eq!(problem(ExecutorChoice::Mlx), !there);
    }
}
