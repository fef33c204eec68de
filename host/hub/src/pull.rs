//! One model: joined by all who ask for it, gathered in a hidden folder, moved into place at the end.
//!
//! ```text
//! models/.pulling/ORG NAME/          what has arrived, kept until the model is complete
//! models/.pulling/ORG NAME.lock      held while a process is at it
//! models/ORG/NAME/                   the model, with `.atoll.json` saying what was fetched
//! ```
//!
//! A download is a shared future: it runs while somebody waits for it and is cancelled with the last of
//! them, at which point what has arrived stays.

use std::collections::HashMap;
use std::fs::TryLockError;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use futures::future::{BoxFuture, Shared, WeakShared};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;

use crate::client::Client;
use crate::manifest::{Manifest, Receipt, WantedFile};
use crate::progress::Reporter;
use crate::transfer::{self, Locked, Staging, blocking, staged_bytes, staged_name};
use crate::{HubError, HubOptions, Progress, RepoId};

/// Where models are gathered, below the models folder. The leading dot hides it from the model store.
const STAGING: &str = ".pulling";
/// Beside a model: what was fetched.
const RECEIPT: &str = ".atoll.json";
/// How long a folder's lock is waited for before it is called another process's.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest receipt read.
const MAX_RECEIPT: u64 = 4 << 20;

type Outcome = Result<Pulled, HubError>;
type Running = BoxFuture<'static, Outcome>;

/// Downloads models into one folder. Clones share the downloads under way.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    options: HubOptions,
    client: Client,
    running: Mutex<HashMap<RepoId, Joinable>>,
}

struct Joinable {
    progress: watch::Receiver<Progress>,
    outcome: WeakShared<Running>,
}

/// A model that is here now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Its folder.
    pub folder: PathBuf,
    /// The hub's commit.
    pub revision: String,
    /// Nothing was fetched: it was here already, and the hub has nothing newer.
    pub unchanged: bool,
}

/// What a [`Pull`] says next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is this far. Steps in between may be left out.
    Progress(Progress),
    /// It is over.
    Done(Result<Pulled, HubError>),
}

/// One download, perhaps shared. Dropping it cancels the download unless somebody else waits for it.
pub struct Pull {
    progress: watch::Receiver<Progress>,
    outcome: Shared<Running>,
}

impl Hub {
    /// A hub client. Nothing is asked or written yet.
    ///
    /// # Errors
    /// [`HubError::Options`].
    pub fn new(options: HubOptions) -> Result<Self, HubError> {
        let client = Client::new(&options)?;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                client,
                running: Mutex::default(),
            }),
        })
    }

    /// Begins to download a model, or joins the download that is under way. It runs while the result is
    /// polled.
    ///
    /// # Errors
    /// [`HubError::Offline`].
    pub fn pull(&self, repo: &RepoId) -> Result<Pull, HubError> {
        if self.inner.options.offline {
            return Err(HubError::Offline);
        }
        let mut running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, joinable| joinable.outcome.upgrade().is_some());
        if let Some(joinable) = running.get(repo)
            && let Some(outcome) = joinable.outcome.upgrade()
            // One that is over answers those who waited for it; whoever comes now asks again.
            && outcome.peek().is_none()
        {
            let progress = joinable.progress.clone();
            return Ok(Pull { progress, outcome });
        }
        let (sender, progress) = watch::channel(Progress::listing());
        let work = run(Arc::clone(&self.inner), repo.clone(), Reporter::new(sender));
        let outcome = work.boxed().shared();
        // A future that was polled to its end has no weak form; this one has not begun.
        if let Some(weak) = outcome.downgrade() {
            let joinable = Joinable {
                progress: progress.clone(),
                outcome: weak,
            };
            running.insert(repo.clone(), joinable);
        }
        Ok(Pull { progress, outcome })
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl Pull {
    /// The next step; after [`Step::Done`] the same again. May be dropped and called anew.
    pub async fn next(&mut self) -> Step {
        let outcome = self.outcome.clone();
        let changed = async {
            if self.progress.changed().await.is_err() {
                // The download is over; its outcome says how.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            outcome = outcome => Step::Done(outcome),
            () = changed => Step::Progress(self.progress.borrow_and_update().clone()),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Why the model is not here.
    pub async fn finished(self) -> Result<Pulled, HubError> {
        self.outcome.await
    }

    /// How far it is now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }
}

impl std::fmt::Debug for Pull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pull").finish_non_exhaustive()
    }
}

async fn run(inner: Arc<Inner>, repo: RepoId, reporter: Reporter) -> Outcome {
    let options = &inner.options;
    let manifest = inner.client.manifest(&repo).await?;
    reporter.files(&manifest.files);
    let place = Place::open(options, &repo).await?;
    match place.present(&manifest).await? {
        Present::Current => {
            (0..manifest.files.len()).for_each(|index| reporter.verified(index));
            return Ok(Pulled {
                folder: place.folder(options),
                revision: manifest.revision,
                unchanged: true,
            });
        }
        Present::Older | Present::Nothing => {}
    }
    place.check_space(options, &manifest).await?;
    let staging = Staging {
        dir: Arc::clone(&place.staging),
        repo: repo.clone(),
        revision: manifest.revision.clone(),
    };
    let fetch = |(index, file): (usize, WantedFile)| {
        let (client, staging, reporter) = (&inner.client, &staging, &reporter);
        async move {
            let report = move |done| reporter.bytes(index, done);
            transfer::fetch(client, options, staging, &file, &report).await?;
            reporter.verified(index);
            Ok::<(), HubError>(())
        }
    };
    futures::stream::iter(manifest.files.clone().into_iter().enumerate().map(fetch))
        .buffer_unordered(options.files_at_once.max(1))
        .try_collect::<()>()
        .await?;
    reporter.publishing();
    let folder = place.folder(options);
    let revision = manifest.revision.clone();
    place.publish(manifest).await?;
    tracing::info!(model = %repo, %revision, folder = %folder.display(), "downloaded");
    Ok(Pulled {
        folder,
        revision,
        unchanged: false,
    })
}

/// What is under the model's name before a download.
enum Present {
    Nothing,
    /// A download of another revision, or one that has lost files.
    Older,
    /// What the hub has.
    Current,
}

/// Where one model is gathered and where it goes. Holds the lock that keeps other processes out.
struct Place {
    repo: RepoId,
    models: Arc<Dir>,
    staging_name: String,
    staging: Arc<Locked>,
}

impl Place {
    async fn open(options: &HubOptions, repo: &RepoId) -> Result<Self, HubError> {
        let folder = options.folder.clone();
        let repo = repo.clone();
        blocking(move || {
            let disk =
                |error| HubError::disk(format!("the models folder {}", folder.display()))(error);
            std::fs::create_dir_all(&folder).map_err(disk)?;
            let models = Dir::open_ambient_dir(&folder, ambient_authority()).map_err(disk)?;
            // A space is in no name, so no two models share this one.
            let staging_name = format!("{STAGING}/{} {}", repo.org(), repo.name());
            models.create_dir_all(STAGING).map_err(disk)?;
            let mut lock_options = OpenOptions::new();
            lock_options.read(true).write(true).create(true);
            let lock = models
                .open_with(format!("{staging_name}.lock"), &lock_options)
                .map_err(disk)?
                .into_std();
            let asked = Instant::now();
            loop {
                match lock.try_lock() {
                    Ok(()) => break,
                    // It may be a download that was given up a moment ago and is writing its last.
                    Err(TryLockError::WouldBlock) if asked.elapsed() < PATIENCE => {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    Err(TryLockError::WouldBlock) => {
                        let repo = repo.to_string();
                        return Err(HubError::Busy { repo });
                    }
                    Err(TryLockError::Error(error)) => return Err(disk(error)),
                }
            }
            // Only now: who had the lock may have published, and taken the folder away.
            models.create_dir_all(&staging_name).map_err(disk)?;
            let dir = models.open_dir(&staging_name).map_err(disk)?;
            Ok(Self {
                repo,
                models: Arc::new(models),
                staging_name,
                staging: Arc::new(Locked { dir, _lock: lock }),
            })
        })
        .await
    }

    /// For people and for the model store.
    fn folder(&self, options: &HubOptions) -> PathBuf {
        options.folder.join(self.repo.org()).join(self.repo.name())
    }

    async fn present(&self, manifest: &Manifest) -> Result<Present, HubError> {
        let models = Arc::clone(&self.models);
        let name = self.repo.to_string();
        let manifest = manifest.clone();
        let org = self.repo.org().to_owned();
        blocking(move || {
            // A folder inside a model's folder would be no model to the store.
            if models.exists(format!("{org}/config.json")) {
                return Err(HubError::Exists { name: org });
            }
            let Ok(dir) = models.open_dir(&name) else {
                return if models.symlink_metadata(&name).is_ok() {
                    Err(HubError::Exists { name })
                } else {
                    Ok(Present::Nothing)
                };
            };
            let Some(receipt) = receipt(&dir) else {
                return Err(HubError::Exists { name });
            };
            let complete = manifest.files.iter().all(|file| {
                dir.metadata(&file.name)
                    .is_ok_and(|metadata| metadata.is_file() && metadata.len() == file.size)
            });
            Ok(if complete && receipt.revision == manifest.revision {
                Present::Current
            } else {
                Present::Older
            })
        })
        .await
    }

    async fn check_space(&self, options: &HubOptions, manifest: &Manifest) -> Result<(), HubError> {
        let (repo, staging) = (self.repo.to_string(), Arc::clone(&self.staging));
        let (folder, keep_free) = (options.folder.clone(), options.keep_free);
        let files = manifest.files.clone();
        blocking(move || {
            let needed = files.iter().fold(0u64, |sum, file| {
                sum.saturating_add(file.size.saturating_sub(staged_bytes(&staging, file)))
            });
            let system = rustix::fs::statvfs(&folder).map_err(|error| {
                HubError::disk(format!("the free space of {}", folder.display()))(error.into())
            })?;
            let free = system.f_bavail.saturating_mul(system.f_frsize);
            let available = free.saturating_sub(keep_free);
            if needed > available {
                return Err(HubError::NoSpace {
                    repo,
                    needed,
                    available,
                });
            }
            Ok(())
        })
        .await
    }

    /// Everything is staged and verified: gives the files their names and the folder its place.
    async fn publish(self, manifest: Manifest) -> Result<(), HubError> {
        blocking(move || {
            let disk = |error| HubError::disk(format!("publishing {}", self.repo))(error);
            // Left by a process that was stopped right here; what it had moved is fetched again.
            if self.staging.exists("model") {
                self.staging.remove_dir_all("model").map_err(disk)?;
            }
            self.staging.create_dir("model").map_err(disk)?;
            let model = self.staging.open_dir("model").map_err(disk)?;
            for file in &manifest.files {
                self.staging
                    .rename(staged_name(file), &model, &file.name)
                    .map_err(disk)?;
            }
            let receipt = serde_json::to_vec_pretty(&manifest.receipt(&self.repo))
                .map_err(|error| disk(error.into()))?;
            model.write(RECEIPT, receipt).map_err(disk)?;
            drop(model);
            self.models.create_dir_all(self.repo.org()).map_err(disk)?;
            let target = self.repo.to_string();
            if self.models.exists(&target) {
                let old = format!("{STAGING}/old-{}", uuid::Uuid::new_v4());
                self.models
                    .rename(&target, &self.models, &old)
                    .map_err(disk)?;
                self.staging
                    .rename("model", &self.models, &target)
                    .map_err(disk)?;
                // The new one is in place; an old one that will not go is no failure of this.
                if let Err(error) = self.models.remove_dir_all(&old) {
                    tracing::warn!(%error, folder = old, "the replaced model could not be deleted");
                }
            } else {
                self.staging
                    .rename("model", &self.models, &target)
                    .map_err(disk)?;
            }
            if let Err(error) = self.models.remove_dir_all(&self.staging_name) {
                tracing::warn!(%error, folder = self.staging_name, "could not be deleted");
            }
            Ok(())
        })
        .await
    }
}

fn receipt(dir: &Dir) -> Option<Receipt> {
    if dir.metadata(RECEIPT).ok()?.len() > MAX_RECEIPT {
        return None;
    }
    serde_json::from_slice(&dir.read(RECEIPT).ok()?).ok()
}
