//! Operations with one answer, wherever their model runs: here, or on the host of the pool that has it,
//! which may be lost meanwhile (see [`loss`](crate::loss)).

use std::sync::Arc;
use std::time::Instant;

use atoll_plugin_runtime::types::{
    EmbedRequest, Embeddings, GenerateRequest, KeepAlive, LoadRequest,
};

use crate::failure::model_not_found;
use crate::forward::Elsewhere;
use crate::loss::Stopped;
use crate::models::Models;
use crate::options::Limits;
use crate::{embed, forward, generate, loss, source};

/// The number of tokens of a request's prompts; from another host if its model is there and it `forwards`.
pub(crate) async fn count(
    models: &Arc<dyn Models>,
    request: &GenerateRequest,
    limits: &Limits,
    forwards: bool,
) -> Result<u32, Stopped> {
    let attempt = || {
        let (models, request) = (Arc::clone(models), request.clone());
        let there = elsewhere(&models, &request.model, forwards);
        async move {
            // What is wrong with a request is known here, without asking anybody.
            let plan = generate::plan(request.clone(), limits)?;
            match there {
                Some(there) => forward::count(there.as_ref(), request).await,
                None => source::count(models, plan).await,
            }
        }
    };
    repeated(forwards, attempt).await
}

/// A vector for every input; as [`count`].
pub(crate) async fn embed(
    models: &Arc<dyn Models>,
    request: &EmbedRequest,
    arrived: Instant,
    forwards: bool,
) -> Result<Embeddings, Stopped> {
    let attempt = || {
        let (models, request) = (Arc::clone(models), request.clone());
        let there = elsewhere(&models, &request.model, forwards);
        async move {
            match there {
                Some(there) => forward::embed(there.as_ref(), request).await,
                None => embed::embed(&models, request, arrived).await,
            }
        }
    };
    repeated(forwards, attempt).await
}

/// Brings a model into memory, or out of it when it is to be kept for no time; as [`count`].
pub(crate) async fn load(
    models: &Arc<dyn Models>,
    request: &LoadRequest,
    forwards: bool,
) -> Result<(), Stopped> {
    let attempt = || {
        let (models, request) = (Arc::clone(models), request.clone());
        let there = elsewhere(&models, &request.model, forwards);
        async move {
            match there {
                Some(there) => forward::load(there.as_ref(), request).await,
                None => load_here(&models, request).await,
            }
        }
    };
    repeated(forwards, attempt).await
}

/// Repeats here what does not come from another host, which repeats itself.
async fn repeated<T, Fut>(forwards: bool, attempt: impl Fn() -> Fut + Send) -> Result<T, Stopped>
where
    Fut: Future<Output = Result<T, Stopped>> + Send,
{
    match forwards {
        true => loss::repeated(attempt).await,
        false => attempt().await,
    }
}

fn elsewhere(models: &Arc<dyn Models>, name: &str, forwards: bool) -> Option<Arc<dyn Elsewhere>> {
    forwards.then(|| models.elsewhere(name)).flatten()
}

async fn load_here(models: &Arc<dyn Models>, request: LoadRequest) -> Result<(), Stopped> {
    if let Some(KeepAlive::ForMs(0)) = request.keep_alive {
        if models.show(&request.model).await.is_none() {
            return Err(model_not_found(request.model).into());
        }
        models.unload(&request.model).await;
        return Ok(());
    }
    let engine = models.engine(&request.model).await;
    let engine = engine.map_err(|error| Stopped::by_engine(&error))?;
    if let Some(keep) = request.keep_alive {
        models.keep(&request.model, keep);
    }
    drop(engine);
    Ok(())
}
