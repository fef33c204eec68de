//! Models that another host has, played inside the test's own process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use atoll_engine::engine::{EngineError, EngineLoad};
use atoll_gateway::Limits;
use atoll_gateway::forward::{self, Elsewhere};
use atoll_gateway::models::{Models, TextEngine};
use atoll_plugin_runtime::types::{Error, ErrorKind, KeepAlive, ModelInfo};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};

use crate::engine::Scripted;

/// Models that only the other host has: whoever asks this one for an engine finds none.
pub struct OnAnotherHost {
    pub models: Arc<Scripted>,
    /// Parts of an answer that arrive before the other host is lost.
    pub parts: usize,
    /// Answers that are still to be lost.
    pub losses: Arc<AtomicUsize>,
    /// What was said of where its models are.
    pub moved: Moved,
}

/// A model, and the host that has it.
pub type Moved = Arc<Mutex<Vec<(String, String)>>>;

impl Elsewhere for There {
    fn moved(&self, model: &str, to: &str) {
        let moved = (model.to_owned(), to.to_owned());
        self.moved.lock().unwrap().push(moved);
    }

    fn ask(&self, request: Vec<u8>) -> BoxStream<'static, Result<Vec<u8>, Error>> {
        let models = Arc::clone(&self.models) as Arc<dyn Models>;
        let lost = Error {
            kind: ErrorKind::Overloaded,
            message: "the machine is lost".to_owned(),
            param: None,
            retry_after_ms: Some(3000),
            ext: None,
        };
        let answer = forward::answer(models, &Limits::default(), &request);
        let fewer = |losses: usize| losses.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.losses.fetch_update(order, order, fewer).is_err() {
            return answer.map(Ok).boxed();
        }
        let parts = answer.take(self.parts).map(Ok);
        parts.chain(stream::iter([Err(lost)])).boxed()
    }
}

struct There {
    models: Arc<Scripted>,
    parts: usize,
    losses: Arc<AtomicUsize>,
    moved: Moved,
}

impl Models for OnAnotherHost {
    fn list(&self) -> BoxFuture<'_, Vec<ModelInfo>> {
        self.models.list()
    }

    fn keep(&self, _: &str, _: KeepAlive) {}

    fn unload<'a>(&'a self, _: &'a str) -> BoxFuture<'a, bool> {
        async { true }.boxed()
    }

    fn elsewhere(&self, _: &str) -> Option<Arc<dyn Elsewhere>> {
        Some(Arc::new(There {
            models: Arc::clone(&self.models),
            parts: self.parts,
            losses: Arc::clone(&self.losses),
            moved: Arc::clone(&self.moved),
        }))
    }

    fn engine<'a>(
        &'a self,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn TextEngine>, EngineError>> {
        let name = name.to_owned();
        async { Err(EngineError::ModelNotFound { name }) }.boxed()
    }

    fn loaded(&self, _: &str) -> Option<Arc<dyn TextEngine>> {
        None
    }

    fn loads(&self) -> Vec<(String, EngineLoad)> {
        Vec::new()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
