//! `atoll serve`: the gateway over everything that was put together, until a signal.

use std::net::SocketAddr;

use atoll_gateway::{Gateway, Server, Shutdown};

use crate::admin_client::reachable;
use crate::cli::ServeArgs;
use crate::cluster::threads;
use crate::compose::{self, Parts};
use crate::config::{Config, Mode};
use crate::error::CliError;
use crate::output;

/// Runs the command.
pub fn command(args: &ServeArgs) -> Result<(), CliError> {
    let config = Config::load_serve(args)?;
    config.check_listen(&config.key_file().read()?)?;
    if config.cluster.mode.value != Mode::Off {
        threads::ensure();
    }
    compose::runtime()?.block_on(serve(&config))
}

async fn serve(config: &Config) -> Result<(), CliError> {
    // Bind first: a taken port is told at once, and clients that are already there queue up.
    let server = Server::bind(&config.listen.value).await?;
    let addresses = server.addresses();
    let Parts {
        gateway,
        models,
        maintenance,
    } = compose::gateway(config).await?;
    let gateway = Gateway::new(gateway);
    let shutdown = Shutdown::default();
    let mut tasks = tokio::task::JoinSet::new();
    // Before the first client can see that this host is ready, so that whoever saw it can stop it in good order.
    match Signals::listen() {
        Ok(signals) => {
            tasks.spawn(obey(signals, shutdown.clone()));
        }
        Err(error) => {
            tracing::error!(%error, "signals cannot be handled: answers under way are cut off by them");
        }
    }
    tasks.spawn(maintenance);
    let keeper = gateway.clone();
    tasks.spawn(async move { keeper.maintain().await });
    greet(&addresses, &models, config);
    let clean = server.serve(gateway, shutdown).await;
    tasks.shutdown().await;
    if !clean {
        tracing::warn!("some answers were cut off");
    }
    Ok(())
}

/// The first signal drains, the second stops at once.
async fn obey(mut signals: Signals, shutdown: Shutdown) {
    signals.next().await;
    tracing::info!("stopping: finishing what is under way; once more to stop at once");
    shutdown.drain.cancel();
    signals.next().await;
    shutdown.now.cancel();
}

/// What asks this process to stop. From its making on no signal ends the process by itself, and none is missed.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What asks this process to stop: Ctrl-C.
#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// What a person needs to know to make a first request.
fn greet(addresses: &[SocketAddr], models: &[String], config: &Config) {
    for address in addresses {
        let base = format!("http://{}", reachable(*address));
        output::note(format_args!(
            "Atoll listens on {base}  (OpenAI base URL: {base}/v1)"
        ));
    }
    let Some(model) = models.first() else {
        let folders: Vec<_> = config
            .models
            .value
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        output::note(format_args!(
            "No models yet. Put a folder in the Hugging Face layout below {} and start again.",
            folders.join(" or ")
        ));
        return;
    };
    output::note(format_args!("Models: {}", models.join(", ")));
    if let Some(address) = addresses.first() {
        output::note(format_args!(
            "Try it:\n  curl http://{}/v1/chat/completions -H 'Content-Type: application/json' \\\n    \
             -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'",
            reachable(*address)
        ));
    }
}
