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
    tasks.spawn(listen_for_signals(shutdown.clone()));
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
async fn listen_for_signals(shutdown: Shutdown) {
    wait_for_signal().await;
    tracing::info!("stopping: finishing what is under way; once more to stop at once");
    shutdown.drain.cancel();
    wait_for_signal().await;
    shutdown.now.cancel();
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be handled; stop the process with SIGKILL");
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!(%error, "Ctrl-C cannot be handled");
        std::future::pending::<()>().await;
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
