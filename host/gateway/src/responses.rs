//! Answers that are kept (`state.store`): continued, shown, cancelled, deleted.
//!
//! What is kept is what the model saw and said: a request after its filters, events before theirs. So
//! personal data that a filter hides is never written down, and a continued conversation meets its own
//! placeholders again.
//!
//! | file | what |
//! |---|---|
//! | `store` | the database |
//! | `history` | a chain of records in front of a new request |
//! | `recorder` | events of a running answer into a record |
//! | `background` | answers that run without their client |
//! | `follow` | an answer as a stream, again or while it runs |
//! | `local` | what a socket remembers without having it stored |

pub(crate) mod background;
pub(crate) mod follow;
pub(crate) mod history;
pub(crate) mod local;
pub(crate) mod recorder;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use atoll_plugin_runtime::types::{Error, ErrorKind, StoredResponse, StoredStatus};

pub use store::{ResponseStore, StoreError, StoreLimits};

use crate::failure;
use background::Running;
use local::LocalAnswers;

/// A record of the store.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The key that may see it; `None` where no keys are used.
    pub owner: Option<String>,
    /// Its request holds the whole conversation: a filter added or removed messages, so that what it continued
    /// cannot be told apart from its own.
    pub whole: bool,
    /// Lengths in bytes of the deltas as they were sent, in order, so that a stream can be given again from
    /// where it broke off. `None` where what was sent is not what is kept: a filter changed it, or it had log
    /// probabilities.
    #[serde(default)]
    pub cuts: Option<Vec<u32>>,
    /// Request and answer.
    pub response: StoredResponse,
}

impl Kept {
    /// The record that comes before this one in its conversation.
    #[must_use]
    pub fn continues(&self) -> Option<&str> {
        let previous = self.response.request.state.previous_response_id.as_deref();
        previous.filter(|_| !self.whole)
    }
}

/// Everything the gateway keeps of answers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Responses {
    store: Arc<ResponseStore>,
    running: Arc<Mutex<HashMap<String, Running>>>,
}

impl Responses {
    pub(crate) fn new(store: Arc<ResponseStore>) -> Self {
        Self {
            store,
            running: Arc::default(),
        }
    }

    /// The answer of that id.
    pub(crate) async fn get(
        &self,
        owner: Option<String>,
        id: String,
    ) -> Result<StoredResponse, Error> {
        self.kept(owner, id).await.map(|kept| kept.response)
    }

    /// The record of that id.
    async fn kept(&self, owner: Option<String>, id: String) -> Result<Kept, Error> {
        let name = id.clone();
        let found = self
            .blocking(move |store| store.get(owner.as_deref(), &id))
            .await?;
        let mut kept = found.ok_or_else(|| not_found(&name))?;
        let response = &mut kept.response;
        let unfinished = matches!(
            response.status,
            StoredStatus::Queued | StoredStatus::InProgress
        );
        if unfinished && !self.runs(&name) {
            // The host was stopped while it ran.
            response.status = StoredStatus::Failed;
            let message = "the host stopped before the answer was complete; ask again";
            let error = failure::error(ErrorKind::Internal, message);
            response
                .events
                .push(atoll_plugin_runtime::types::Event::Failed(error));
        }
        Ok(kept)
    }

    /// Removes it, ending it first if it runs.
    pub(crate) async fn delete(&self, owner: Option<String>, id: String) -> Result<(), Error> {
        self.get(owner.clone(), id.clone()).await?;
        self.end(&id).await;
        let name = id.clone();
        let removed = self
            .blocking(move |store| store.delete(owner.as_deref(), &id))
            .await?;
        if removed {
            Ok(())
        } else {
            Err(not_found(&name))
        }
    }

    /// Ends an answer that runs in the background; one that is over stays as it is.
    pub(crate) async fn cancel(
        &self,
        owner: Option<String>,
        id: String,
    ) -> Result<StoredResponse, Error> {
        let response = self.get(owner.clone(), id.clone()).await?;
        if !response.request.state.background {
            return Err(failure::invalid(
                "response_id",
                "only answers that were asked for with background can be cancelled; close the connection of \
                 any other",
            ));
        }
        self.end(&id).await;
        self.get(owner, id).await
    }

    /// Keeps a record. A full disk is no reason to lose the answer, so failures are only logged.
    pub(crate) async fn put(&self, record: Kept) {
        if let Err(error) = self.blocking(move |store| store.put(&record)).await {
            tracing::warn!(error = error.message, "an answer could not be stored");
        }
    }

    /// What `id` continues, itself included, oldest first. On a socket, what that remembers too.
    async fn chain(
        &self,
        owner: Option<String>,
        local: Option<Arc<LocalAnswers>>,
        id: String,
    ) -> Result<Vec<Kept>, Error> {
        let name = id.clone();
        let chain = self
            .blocking(move |store| {
                let beside = |id: &str| local.as_ref().and_then(|local| local.get(id));
                store.chain(owner.as_deref(), &id, beside)
            })
            .await?;
        chain.ok_or_else(|| history::missing(&name))
    }

    /// Removes old records; to be called now and then.
    pub(crate) async fn tidy(&self, now: u64) {
        if let Err(error) = self.blocking(move |store| store.tidy(now)).await {
            tracing::warn!(
                error = error.message,
                "the response store could not be tidied"
            );
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ResponseStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        let store = Arc::clone(&self.store);
        let result = tokio::task::spawn_blocking(move || work(&store)).await;
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::error!(%error, "the response store failed");
                Err(failure::error(ErrorKind::Internal, error.to_string()))
            }
            Err(panic) => {
                tracing::error!(%panic, "the response store failed");
                Err(failure::error(
                    ErrorKind::Internal,
                    "the response store failed",
                ))
            }
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found(id: &str) -> Error {
    let message =
        format!("there is no stored answer {id:?}: it was not stored, has expired, or was deleted");
    failure::error(ErrorKind::NotFound, message)
}
