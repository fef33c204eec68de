//! Requests that another host of the pool answers.
//!
//! A request is forwarded in canonical form, after this host's filters and before anything of a
//! model: the other host renders, tokenizes and generates, and what comes back are canonical events,
//! before this host's filters. So filters, keys, quotas, the audit and stored answers belong to the
//! host that the client reached, once, and a model's folder is needed only where the model runs.
//! A forwarded request is never forwarded again.
//!
//! What is asked and told is [postcard](https://postcard.jamesmunns.com) of the types here; whoever
//! carries it makes sure that both hosts speak one version.

use std::sync::Arc;
use std::time::Instant;

use atoll_plugin_runtime::types::{
    EmbedRequest, Embeddings, Error, ErrorKind, Event, GenerateRequest, LoadRequest, ModelInfo,
};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};

use crate::feed::{Attempt, Feed};
use crate::loss::Stopped;
use crate::models::Models;
use crate::options::Limits;
use crate::source::RequestFacts;
use crate::{anywhere, failure, generate};

/// A host that answers for this one.
pub trait Elsewhere: Send + Sync + 'static {
    /// Asks. The parts of the answer come in order; after an error nothing more does. An error says that
    /// the host is lost or out of reach: another may be asked then. Dropping the stream cancels the work.
    fn ask(&self, request: Vec<u8>) -> BoxStream<'static, Result<Vec<u8>, Error>>;

    /// It says that not it but the host `to`, an id in its own words, answers for `model`.
    fn moved(&self, model: &str, to: &str);
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Asked {
    Generate {
        request: Box<GenerateRequest>,
        id: String,
        answer_id: String,
        received_at: u64,
        /// The name of the key it came with, for the order of those that wait.
        owner: String,
        /// What the answer chooses by chance, the same when it is asked for again.
        chance: u128,
    },
    CountTokens(Box<GenerateRequest>),
    Embed(EmbedRequest),
    Load(LoadRequest),
    Show(String),
}

impl Asked {
    /// The model that it is about.
    fn model(&self) -> &str {
        match self {
            Self::Generate { request, .. } | Self::CountTokens(request) => &request.model,
            Self::Embed(request) => &request.model,
            Self::Load(request) => &request.model,
            Self::Show(name) => name,
        }
    }
}

/// What is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Told {
    /// The request is queued; its events follow.
    Admitted,
    Events(Vec<Event>),
    Count(u32),
    Embeddings(Embeddings),
    Model(Option<Box<ModelInfo>>),
    Loaded,
    Failed(Error),
    /// A machine behind the host is lost: it may be asked for again.
    Lost(Error),
    /// Another host answers for the model.
    Moved {
        to: String,
        error: Error,
    },
}

impl Told {
    fn stopped(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Lost(error) => Self::Lost(error),
            Stopped::Moved { to, error } => Self::Moved { to, error: *error },
            Stopped::Failed(error) => Self::Failed(error),
        }
    }
}

/// Longest id of another host that goes into this one's log.
const MAX_ID: usize = 128;

fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Error> {
    postcard::to_stdvec(message).map_err(|error| {
        tracing::error!(%error, "a forwarded message has no bytes");
        failure::error(ErrorKind::Internal, "the request could not be forwarded")
    })
}

fn decode(part: &[u8]) -> Result<Told, Error> {
    postcard::from_bytes(part).map_err(|error| {
        tracing::warn!(%error, "another host answered with something unreadable");
        broken()
    })
}

/// The other host does not keep to what was agreed.
fn broken() -> Error {
    let message = "the host that runs this model answered with something unreadable; \
                   run the same version of Atoll on all hosts";
    failure::error(ErrorKind::Internal, message)
}

/// The events of a request that another host answers, once it has queued it. An error among them means
/// that a machine is lost, and ends them; anything else that is wrong is an event.
///
/// # Errors
/// Why it did not.
pub(crate) async fn generate(
    there: Arc<dyn Elsewhere>,
    request: GenerateRequest,
    facts: RequestFacts,
) -> Result<BoxStream<'static, Result<Vec<Event>, Error>>, Stopped> {
    let model = request.model.clone();
    let asked = Asked::Generate {
        request: Box::new(request),
        id: facts.id,
        answer_id: facts.answer_id,
        received_at: facts.received_at,
        owner: facts.owner.to_string(),
        chance: facts.chance,
    };
    let mut parts = there.ask(encode(&asked)?);
    match first(there.as_ref(), &model, &mut parts).await? {
        Told::Admitted => {}
        _ => return Err(broken().into()),
    }
    let events = stream::unfold(Some(parts), |parts| async move {
        let mut parts = parts?;
        let batch = match parts.next().await {
            Some(Ok(part)) => match decode(&part) {
                Ok(Told::Events(events)) if !events.is_empty() => events,
                Ok(Told::Lost(error)) => return Some((Err(error), None)),
                Ok(Told::Failed(error)) | Err(error) => vec![Event::Failed(error)],
                Ok(_) => vec![Event::Failed(broken())],
            },
            Some(Err(lost)) => return Some((Err(lost), None)),
            None => {
                let message = "the host that runs this model ended the answer without saying why";
                vec![Event::Failed(failure::error(ErrorKind::Internal, message))]
            }
        };
        let over = batch.iter().any(is_terminal);
        Some((Ok(batch), (!over).then_some(parts)))
    });
    Ok(events.boxed())
}

/// Whether nothing can follow.
fn is_terminal(event: &Event) -> bool {
    matches!(event, Event::Finished(_) | Event::Failed(_))
}

/// The first part of an answer, which for everything but events is the only one.
async fn first(
    there: &dyn Elsewhere,
    model: &str,
    parts: &mut BoxStream<'static, Result<Vec<u8>, Error>>,
) -> Result<Told, Stopped> {
    let part = parts.next().await.ok_or_else(broken)?;
    match decode(&part.map_err(Stopped::Lost)?)? {
        Told::Failed(error) => Err(error.into()),
        Told::Lost(error) => Err(Stopped::Lost(error)),
        Told::Moved { to, error } => {
            there.moved(model, &to);
            let error = Box::new(error);
            Err(Stopped::Moved { to, error })
        }
        told => Ok(told),
    }
}

async fn ask(there: &dyn Elsewhere, asked: &Asked) -> Result<Told, Stopped> {
    let mut parts = there.ask(encode(asked)?);
    first(there, asked.model(), &mut parts).await
}

/// The number of tokens of a request's prompts.
pub(crate) async fn count(there: &dyn Elsewhere, request: GenerateRequest) -> Result<u32, Stopped> {
    match ask(there, &Asked::CountTokens(Box::new(request))).await? {
        Told::Count(count) => Ok(count),
        _ => Err(broken().into()),
    }
}

/// Vectors.
pub(crate) async fn embed(
    there: &dyn Elsewhere,
    request: EmbedRequest,
) -> Result<Embeddings, Stopped> {
    match ask(there, &Asked::Embed(request)).await? {
        Told::Embeddings(embeddings) => Ok(embeddings),
        _ => Err(broken().into()),
    }
}

/// Brings a model into the memory of the host that runs it, or out of it.
pub(crate) async fn load(there: &dyn Elsewhere, request: LoadRequest) -> Result<(), Stopped> {
    match ask(there, &Asked::Load(request)).await? {
        Told::Loaded => Ok(()),
        _ => Err(broken().into()),
    }
}

/// What another host says of a model; `None` if it has none of that name.
///
/// # Errors
/// A host that does not answer.
pub async fn show(there: &dyn Elsewhere, name: &str) -> Result<Option<ModelInfo>, Error> {
    let shown = ask(there, &Asked::Show(name.to_owned())).await;
    match shown.map_err(Stopped::into_error)? {
        Told::Model(model) => Ok(model.map(|model| *model)),
        _ => Err(broken()),
    }
}

/// Answers what another host asks, with this host's own models. `request` is untrusted.
#[must_use]
pub fn answer(
    models: Arc<dyn Models>,
    limits: &Limits,
    request: &[u8],
) -> BoxStream<'static, Vec<u8>> {
    let told: BoxStream<'static, Told> = match postcard::from_bytes(request) {
        Ok(Asked::Generate {
            request,
            mut id,
            answer_id,
            received_at,
            mut owner,
            chance,
        }) => match generate::plan((*request).clone(), limits) {
            Ok(plan) => {
                id.truncate(id.floor_char_boundary(MAX_ID));
                owner.truncate(owner.floor_char_boundary(MAX_ID));
                let facts = RequestFacts {
                    id,
                    answer_id,
                    received_at,
                    arrived: Instant::now(),
                    owner: owner.into(),
                    chance,
                };
                let attempt = Attempt {
                    models,
                    request: *request,
                    limits: limits.clone(),
                    facts,
                    remarks: plan.remarks.clone(),
                    whole: false,
                    forwards: false,
                };
                events(Feed::start(attempt, plan))
            }
            Err(error) => only(Told::Failed(error)),
        },
        Ok(other) => stream::once(one(models, limits.clone(), other)).boxed(),
        Err(error) => {
            tracing::warn!(%error, "another host asked something unreadable");
            only(Told::Failed(broken()))
        }
    };
    told.filter_map(|told| std::future::ready(encode(&told).ok()))
        .boxed()
}

fn only(told: Told) -> BoxStream<'static, Told> {
    stream::iter([told]).boxed()
}

fn events(feed: Feed) -> BoxStream<'static, Told> {
    let step = |(mut feed, admitted): (Feed, bool)| async move {
        if !admitted {
            let told = match feed.admitted().await {
                Ok(()) => Told::Admitted,
                Err(stopped) => Told::stopped(stopped),
            };
            return Some((vec![told], (feed, true)));
        }
        let mut batch = feed.next().await;
        let loss = match batch.pop_if(|last| feed.is_lost() && matches!(last, Event::Failed(_))) {
            Some(Event::Failed(error)) => Some(Told::Lost(error)),
            _ => None,
        };
        let events = (!batch.is_empty()).then_some(Told::Events(batch));
        let told: Vec<Told> = events.into_iter().chain(loss).collect();
        (!told.is_empty()).then_some((told, (feed, true)))
    };
    stream::unfold((feed, false), step)
        .flat_map(stream::iter)
        .boxed()
}

fn one(models: Arc<dyn Models>, limits: Limits, asked: Asked) -> BoxFuture<'static, Told> {
    async move {
        let told = match asked {
            // Answered with events, before anybody comes here.
            Asked::Generate { .. } => Err(broken().into()),
            Asked::CountTokens(request) => {
                let counted = anywhere::count(&models, &request, &limits, false).await;
                counted.map(Told::Count)
            }
            Asked::Embed(request) => {
                let embedded = anywhere::embed(&models, &request, Instant::now(), false).await;
                embedded.map(Told::Embeddings)
            }
            Asked::Load(request) => anywhere::load(&models, &request, false)
                .await
                .map(|()| Told::Loaded),
            Asked::Show(name) => {
                let model = models.show_here(&name).await;
                Ok(Told::Model(model.map(Box::new)))
            }
        };
        told.unwrap_or_else(Told::stopped)
    }
    .boxed()
}
