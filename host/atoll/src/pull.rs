//! `atoll pull`: fetches a model from a hub.

use std::time::{Duration, Instant};

use atoll_hub::{Hub, Progress, RepoId, Stage, Step};

use crate::cli::PullArgs;
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::output;
use crate::units::Bytes;

/// How often somebody who reads a log is told.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Runs the command.
pub fn command(args: &PullArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let repo = RepoId::parse(&args.model)?;
    let hub = Hub::new(config.hub.clone())?;
    compose::runtime()?.block_on(pull(&hub, &repo))
}

async fn pull(hub: &Hub, repo: &RepoId) -> Result<(), CliError> {
    let mut pull = hub.pull(repo)?;
    let mut shown = Shown::default();
    let pulled = loop {
        let step = tokio::select! {
            step = pull.next() => step,
            stop = tokio::signal::ctrl_c() => {
                let heard = stop.map_err(|error| CliError::Other(error.to_string()));
                return heard.and(Err(CliError::Other(
                    "stopped; what has arrived is kept, and the same command goes on from there".to_owned(),
                )));
            }
        };
        match step {
            Step::Progress(progress) => shown.progress(&progress),
            Step::Done(done) => break done,
        }
    };
    shown.end();
    let pulled = pulled?;
    let state = if pulled.unchanged {
        "is up to date"
    } else {
        "is here"
    };
    output::line(format_args!("{repo} {state}: {}", pulled.folder.display()))
}

/// Progress for a person (one line that changes) or for a log (a line now and then).
#[derive(Default)]
struct Shown {
    last: Option<Instant>,
    open_line: bool,
}

impl Shown {
    fn progress(&mut self, progress: &Progress) {
        if progress.stage == Stage::Listing {
            return;
        }
        let (done, total) = progress.bytes();
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        let text = format!("{percent:3} %  {} of {}", Bytes(done), Bytes(total));
        if output::person_reads_errors() {
            output::rewrite(&text);
            self.open_line = true;
        } else if self.last.is_none_or(|last| last.elapsed() >= LOG_EVERY) {
            output::note(text);
            self.last = Some(Instant::now());
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open_line) {
            output::note("");
        }
    }
}
