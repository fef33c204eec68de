//! Answers that run without their client: asked for with `background`, read later.
//!
//! Each runs on a task of the gateway's tracker, so a drain waits for it and a shutdown ends it; a table
//! knows how to end it, when it is over, and where its events can be read meanwhile. A client that asked for a
//! stream reads them there like any other: when it goes away, the answer does not notice.

use std::sync::Arc;

use atoll_plugin_runtime::types::{ErrorKind, Event};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Responses;
use super::follow::{Follower, Log};
use super::recorder::{Recorder, is_terminal};
use crate::failure;
use crate::feed::Feed;
use crate::filters::Chain;
use crate::gateway::Gateway;
use crate::metrics::{Outcome, Watch};
use crate::response;

/// An answer under way.
#[derive(Clone)]
pub(crate) struct Running {
    cancel: CancellationToken,
    over: watch::Receiver<bool>,
    log: Arc<Log>,
}

impl Running {
    /// Reads its events from the beginning.
    pub(super) fn follower(&self) -> Follower {
        Follower::new(Arc::clone(&self.log))
    }
}

impl Responses {
    /// Whether an answer runs in the background.
    pub(super) fn runs(&self, id: &str) -> bool {
        self.table().contains_key(id)
    }

    /// Ends an answer that runs, and waits until its record says so.
    pub(super) async fn end(&self, id: &str) {
        let running = self.table().get(id).cloned();
        if let Some(mut running) = running {
            running.cancel.cancel();
            // An error means that its task is gone.
            running.over.wait_for(|over| *over).await.ok();
        }
    }

    /// Runs an answer to its end on a task of its own. Its record is in the store when this returns. The
    /// follower reads it from the beginning.
    pub(crate) async fn run(
        &self,
        gateway: &Gateway,
        recorder: Recorder,
        feed: Feed,
        chain: Chain,
        watch: Watch,
    ) -> Follower {
        let id = recorder.response().id.clone();
        let cancel = CancellationToken::new();
        let (ended, over) = watch::channel(false);
        let running = Running {
            cancel: cancel.clone(),
            over,
            log: Arc::default(),
        };
        let follower = running.follower();
        let log = Arc::clone(&running.log);
        self.table().insert(id.clone(), running);
        recorder.save().await;
        let job = Job {
            log,
            recorder,
            feed,
            chain,
            watch,
            cancel,
            kill: gateway.inner.kill.clone(),
        };
        let responses = self.clone();
        gateway.inner.requests.spawn(
            Box::pin(async move {
                job.run().await;
                responses.table().remove(&id);
                ended.send_replace(true);
            })
            .in_current_span(),
        );
        follower
    }
}

struct Job {
    log: Arc<Log>,
    recorder: Recorder,
    feed: Feed,
    chain: Chain,
    watch: Watch,
    cancel: CancellationToken,
    kill: CancellationToken,
}

impl Job {
    async fn run(mut self) {
        let mut shown = false;
        loop {
            let events = tokio::select! {
                biased;
                () = self.kill.cancelled() => vec![Event::Failed(response::draining())],
                () = self.cancel.cancelled() => vec![Event::Failed(failure::error(
                    ErrorKind::Cancelled,
                    "the answer was cancelled",
                ))],
                events = self.feed.next() => events,
            };
            if events.is_empty() {
                // The feed ended without saying so: who reads the log must not wait for ever.
                let message = "the answer ended without a last event";
                let last = [Event::Failed(failure::error(ErrorKind::Internal, message))];
                self.recorder.events(&last, &last).await;
                return self.log.push(&last);
            }
            self.watch.events(&events);
            // Clients read what the filters let through. What is kept is what the model wrote, in which
            // replaced values stay replaced.
            let filtered = match self.chain.on_events(events.clone()).await {
                Ok(filtered) => filtered,
                Err(refused) => {
                    self.feed = Feed::ended();
                    let error = refused.into_error();
                    self.watch.outcome(Outcome::Failed(error.kind.clone()));
                    let last = [Event::Failed(error)];
                    self.recorder.events(&last, &last).await;
                    return self.log.push(&last);
                }
            };
            self.recorder.events(&events, &filtered).await;
            self.log.push(&filtered);
            if events.last().is_some_and(is_terminal) {
                self.watch.finished();
                return;
            }
            if !shown {
                // Whoever asks from now on sees that it runs.
                shown = true;
                self.recorder.save().await;
            }
        }
    }
}
