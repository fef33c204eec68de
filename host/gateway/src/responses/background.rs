//! Answers that run without their client: asked for with `background`, read later.
//!
//! Each runs on a task of the gateway's tracker, so a drain waits for it and a shutdown ends it; a table
//! knows how to end it and when it is over.

use atoll_plugin_runtime::types::{ErrorKind, Event};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Responses;
use super::recorder::{Recorder, is_terminal};
use crate::failure;
use crate::filters::Chain;
use crate::gateway::Gateway;
use crate::metrics::{Outcome, Watch};
use crate::response;
use crate::source::Feed;

/// An answer under way.
#[derive(Clone)]
pub(crate) struct Running {
    cancel: CancellationToken,
    over: watch::Receiver<bool>,
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

    /// Runs an answer to its end on a task of its own. Its record is in the store when this returns.
    pub(crate) async fn run(
        &self,
        gateway: &Gateway,
        recorder: Recorder,
        feed: Feed,
        chain: Chain,
        watch: Watch,
    ) {
        let id = recorder.response().id.clone();
        let cancel = CancellationToken::new();
        let (ended, over) = watch::channel(false);
        let running = Running {
            cancel: cancel.clone(),
            over,
        };
        self.table().insert(id.clone(), running);
        recorder.save().await;
        let job = Job {
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
    }
}

struct Job {
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
                return;
            }
            self.watch.events(&events);
            // Nobody reads what the filters let through, but they may still refuse it. What is kept is
            // what the model wrote, in which replaced values stay replaced.
            if let Err(refused) = self.chain.on_events(events.clone()).await {
                self.feed = Feed::Ended;
                let error = refused.into_error();
                self.watch.outcome(Outcome::Failed(error.kind.clone()));
                self.recorder.events(&[Event::Failed(error)]).await;
                return;
            }
            self.recorder.events(&events).await;
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
