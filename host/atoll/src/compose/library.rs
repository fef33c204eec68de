//! The models on disk for the gateway: the hub fetches, the store finds, the pool lets go.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use atoll_gateway::library::{Library, PullStream};
use atoll_gateway::models::Models as _;
use atoll_gateway::pool::PoolModels;
use atoll_hub::{Hub, HubError, Progress, Pull, RepoId, Stage, Step, local};
use atoll_plugin_runtime::types::{self, Error, ErrorKind, Phase};
use futures::future::BoxFuture;
use futures::stream;
use futures::{FutureExt as _, StreamExt as _};

use super::ModelCatalog;

/// Everything clients may do to the models folders.
pub struct FolderLibrary {
    /// Downloads into the first of `roots`.
    pub hub: Hub,
    /// Finds folders.
    pub catalog: Arc<ModelCatalog>,
    /// Unloads.
    pub models: PoolModels,
    /// The models folders.
    pub roots: Vec<PathBuf>,
}

impl Library for FolderLibrary {
    fn pull(&self, name: &str) -> Result<PullStream, Error> {
        let repo = RepoId::parse(name).map_err(|error| canonical(&error))?;
        let pull = self.hub.pull(&repo).map_err(|error| canonical(&error))?;
        Ok(stream::unfold(Telling::new(pull), Telling::next).boxed())
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let folder = self.folder(name).await?;
            if !self.models.unload(name).await {
                let message = format!("{name} is answering; try again when it is done");
                return Err(error(ErrorKind::Conflict, message));
            }
            let (name, roots) = (name.to_owned(), self.roots.clone());
            disk(move || local::remove(&name, &folder, &roots)).await
        }
        .boxed()
    }

    fn copy<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let folder = self.folder(from).await?;
            let to = to.to_owned();
            let Some(root) = self.roots.first().cloned() else {
                let message = "there is no models folder to copy to".to_owned();
                return Err(error(ErrorKind::Conflict, message));
            };
            disk(move || local::copy(&folder, &root, &to)).await
        }
        .boxed()
    }
}

impl FolderLibrary {
    async fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let (catalog, wanted) = (Arc::clone(&self.catalog), name.to_owned());
        let found = tokio::task::spawn_blocking(move || catalog.folder(&wanted)).await;
        found.ok().flatten().ok_or_else(|| {
            let message = format!("there is no model {name:?} on this host");
            error(ErrorKind::ModelNotFound(name.to_owned()), message)
        })
    }
}

async fn disk(work: impl FnOnce() -> Result<(), HubError> + Send + 'static) -> Result<(), Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| canonical(&error)),
        Err(panic) => {
            tracing::error!(%panic, "changing the models folder failed");
            let message = "the models folder could not be changed".to_owned();
            Err(error(ErrorKind::Internal, message))
        }
    }
}

/// A download, told file by file: what changed since the last time, each file by its hash.
struct Telling {
    pull: Pull,
    /// Bytes of each file that have been told.
    told: Option<Vec<u64>>,
    publishing: bool,
    ended: bool,
    queue: VecDeque<types::Progress>,
}

impl Telling {
    fn new(pull: Pull) -> Self {
        Self {
            pull,
            told: None,
            publishing: false,
            ended: false,
            queue: VecDeque::new(),
        }
    }

    async fn next(mut self) -> Option<(Result<types::Progress, Error>, Self)> {
        loop {
            if let Some(progress) = self.queue.pop_front() {
                return Some((Ok(progress), self));
            }
            if self.ended {
                return None;
            }
            match self.pull.next().await {
                Step::Progress(progress) => self.tell(&progress),
                Step::Done(outcome) => {
                    self.ended = true;
                    match outcome {
                        Ok(_) => self.tell(&self.pull.progress()),
                        Err(error) => return Some((Err(canonical(&error)), self)),
                    }
                }
            }
        }
    }

    fn tell(&mut self, progress: &Progress) {
        // Until the hub has answered there is nothing to say: the answer may be an error.
        if progress.stage == Stage::Listing {
            return;
        }
        let told = self.told.get_or_insert_with(|| {
            self.queue.push_back(transfer("pulling manifest", 0, 0));
            vec![u64::MAX; progress.files.len()]
        });
        for (file, told) in progress.files.iter().zip(told) {
            if file.done != *told {
                *told = file.done;
                let detail = format!("pulling {}", file.digest);
                self.queue
                    .push_back(transfer(&detail, file.done, file.total));
            }
        }
        if progress.stage == Stage::Publishing && !self.publishing {
            self.publishing = true;
            for step in ["verifying sha256 digest", "writing manifest"] {
                self.queue.push_back(transfer(step, 0, 0));
            }
        }
    }
}

fn transfer(detail: &str, done: u64, total: u64) -> types::Progress {
    types::Progress {
        phase: Phase::Transfer,
        done,
        total,
        detail: Some(detail.to_owned()),
    }
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error {
        kind,
        message,
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}

/// A failure in the words of the plugins' contract. Its sentence says what to do already.
fn canonical(failure: &HubError) -> Error {
    let kind = match failure {
        HubError::Name { .. } => ErrorKind::InvalidArgument,
        HubError::NotFound { .. } => ErrorKind::NotFound,
        HubError::Unauthorized { .. } | HubError::Gated { .. } | HubError::NotOurs { .. } => {
            ErrorKind::Forbidden
        }
        HubError::Exists { .. } | HubError::Busy { .. } => ErrorKind::Conflict,
        HubError::NotAModel { .. } | HubError::Offline => ErrorKind::Unsupported,
        HubError::NoSpace { .. } => ErrorKind::Other("insufficient_storage".to_owned()),
        HubError::Status { .. }
        | HubError::Transport { .. }
        | HubError::Listing { .. }
        | HubError::WrongHash { .. } => ErrorKind::Other("bad_gateway".to_owned()),
        _ => ErrorKind::Internal,
    };
    error(kind, failure.to_string())
}
