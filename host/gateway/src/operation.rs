//! Doing what a dialect asks for.
//!
//! `generate` leads to a stream of events (see [`stream`](crate::stream)); everything else is a
//! question with one answer, rendered by the dialect's `reply`.

use std::sync::Arc;
use std::time::Instant;

use atoll_plugin_runtime::types::{
    Error, ErrorKind, GenerateRequest, HttpResponse, ModelInfo, Operation, OperationResult,
};
use axum::response::Response;
use tokio::time::timeout;

use crate::auth::Caller;
use crate::exchange::Conversation;
use crate::failure::{self, Failure};
use crate::feed::{Attempt, Feed};
use crate::filters::Chain;
use crate::gateway::{Gateway, Keeping, fail};
use crate::loss::Stopped;
use crate::metrics::Watch;
use crate::responses::Responses;
use crate::responses::follow;
use crate::responses::recorder::{Place, Recorder};
use crate::source::RequestFacts;
use crate::stream::Answer;
use crate::{anywhere, generate, library, pull, response, rules};

/// Carries out an operation and answers.
pub(crate) async fn execute(
    gateway: Gateway,
    facts: RequestFacts,
    mut conversation: Conversation,
    chain: Chain,
    (operation, keeping): (Operation, Keeping),
    mut watch: Watch,
) -> Response {
    let ignored = match &operation {
        Operation::Embed(request) => {
            response::ignored_fields(request.ext.as_deref(), std::iter::empty())
        }
        Operation::CountTokens(request) => response::ignored_fields(
            request.unconsumed.as_deref(),
            rules::left_out(&request.tools),
        ),
        _ => None,
    };
    let result = match operation {
        Operation::Generate(request) => {
            let asked = (request, keeping);
            return generate(gateway, facts, conversation, chain, asked, watch).await;
        }
        Operation::PullModel(name) => {
            return pull::answer(gateway, conversation, name, watch).await;
        }
        Operation::Other(asked) if asked.kind == FOLLOW => {
            return followed(&gateway, conversation, &asked.value, keeping.owner, watch).await;
        }
        other => question(&gateway, watch.who(), facts.arrived, other, keeping.owner)
            .await
            .map_err(Failure::Typed),
    };
    let replied = match result {
        Ok(outcome) => {
            if let OperationResult::Embeddings(embeddings) = &outcome {
                watch.charge(embeddings.prompt_tokens);
            }
            conversation.reply(outcome).await
        }
        Err(failure) => Err(failure),
    };
    match replied {
        Ok(rendered) => {
            watch.finished();
            let mut response = watch.finish_response(response::whole(rendered));
            if let Some(ignored) = ignored {
                response.headers_mut().insert("x-atoll-ignored", ignored);
            }
            response
        }
        Err(failure) => fail(conversation, failure, watch).await,
    }
}

async fn generate(
    gateway: Gateway,
    mut facts: RequestFacts,
    conversation: Conversation,
    chain: Chain,
    (request, keeping): (GenerateRequest, Keeping),
    mut watch: Watch,
) -> Response {
    // What nobody could read later cannot run without its client.
    let background = request.state.background && request.state.store;
    let recorder = match recorder(&gateway, &request, keeping, &mut facts) {
        Ok(recorder) => recorder,
        Err(error) => return fail(conversation, Failure::Typed(error), watch).await,
    };
    let unconsumed = request.unconsumed.as_deref();
    let ignored = response::ignored_fields(unconsumed, rules::left_out(&request.tools));
    let limits = &gateway.inner.options.limits;
    let plan = match generate::plan(request.clone(), limits) {
        Ok(plan) => plan,
        Err(error) => return fail(conversation, Failure::Typed(error), watch).await,
    };
    let stream = plan.stream;
    let remarks = plan.remarks.clone();
    watch.streamed(stream);
    let attempt = Attempt {
        models: Arc::clone(&gateway.inner.models),
        request,
        limits: limits.clone(),
        facts,
        remarks: remarks.clone(),
        whole: !stream,
        forwards: true,
    };
    let feed = Feed::start(attempt, plan);
    let mut response = match (recorder, &gateway.inner.responses) {
        (Some(recorder), Some(responses)) if background => {
            let parts = (recorder, feed, chain, watch);
            leave_running(&gateway, responses, conversation, parts, stream).await
        }
        (recorder, _) => {
            let mut answer = Answer::new(&gateway, conversation, chain, feed, watch);
            if let Some(recorder) = recorder {
                answer = answer.recording(recorder);
            }
            if stream {
                answer.stream().await
            } else {
                answer.collect().await
            }
        }
    };
    if let Some(ignored) = ignored {
        response.headers_mut().insert("x-atoll-ignored", ignored);
    }
    remarks.write(response.headers_mut());
    response
}

/// What keeps the answer, if it is to be kept.
fn recorder(
    gateway: &Gateway,
    request: &GenerateRequest,
    keeping: Keeping,
    facts: &mut RequestFacts,
) -> Result<Option<Recorder>, Error> {
    let place = match (&gateway.inner.responses, keeping.local) {
        (Some(responses), _) if request.state.store => Place::Store(responses.clone()),
        (None, _) if request.state.store => {
            let message = "this host keeps no answers; set store to false";
            return Err(failure::unsupported("store", message));
        }
        (_, Some(local)) => Place::Socket(local),
        (_, None) => return Ok(None),
    };
    // Nobody can guess it, and nobody can take the place of another's.
    facts.answer_id = uuid::Uuid::new_v4().simple().to_string();
    let recorder = Recorder::new(place, keeping.owner, request, keeping.splice, facts);
    Ok(Some(recorder))
}

/// Leaves an answer to itself; the client is told where it will be, or reads it as it comes.
async fn leave_running(
    gateway: &Gateway,
    responses: &Responses,
    mut conversation: Conversation,
    (recorder, mut feed, chain, mut watch): (Recorder, Feed, Chain, Watch),
    stream: bool,
) -> Response {
    // What is refused at once is an error now, not a failed answer later.
    let patience = gateway.inner.options.limits.head_after;
    let begun = match timeout(patience, feed.admitted()).await {
        Ok(Err(stopped)) => Err(Failure::Typed(stopped.into_error())),
        Ok(Ok(())) | Err(_) if stream => conversation.head().await.map(|head| HttpResponse {
            head,
            body: Vec::new(),
        }),
        Ok(Ok(())) | Err(_) => {
            let begun = recorder.response().clone();
            conversation.reply(OperationResult::Stored(begun)).await
        }
    };
    let begun = match begun {
        Ok(begun) => begun,
        Err(failure) => return fail(conversation, failure, watch).await,
    };
    watch.status(begun.head.status);
    let follower = responses.run(gateway, recorder, feed, chain, watch).await;
    if stream {
        follow::stream(gateway, conversation, follower, begun, None)
    } else {
        response::whole(begun)
    }
}

/// A stored answer as a stream: what there is of it, and then what comes.
async fn followed(
    gateway: &Gateway,
    mut conversation: Conversation,
    value: &str,
    owner: Option<String>,
    mut watch: Watch,
) -> Response {
    let found = match Follow::read(value) {
        Ok(asked) => match kept(gateway) {
            Ok(responses) => responses.follow(owner, asked.id, asked.resumed).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let (stored, follower) = match found {
        Ok(found) => found,
        Err(error) => return fail(conversation, Failure::Typed(error), watch).await,
    };
    let begun = match conversation.reply(OperationResult::Stored(stored)).await {
        Ok(begun) => begun,
        Err(failure) => return fail(conversation, failure, watch).await,
    };
    let Some(follower) = follower else {
        watch.finished();
        return watch.finish_response(response::whole(begun));
    };
    watch.streamed(true);
    follow::stream(gateway, conversation, follower, begun, Some(watch))
}

/// The name of an operation that gives a stored answer as a stream.
pub(crate) const FOLLOW: &str = "follow-response";

/// What that operation says.
#[derive(serde::Deserialize)]
struct Follow {
    id: String,
    #[serde(default)]
    resumed: bool,
}

impl Follow {
    fn read(value: &str) -> Result<Self, Error> {
        serde_json::from_str(value).map_err(|error| {
            let message = format!("the dialect's {FOLLOW} cannot be read: {error}");
            failure::error(ErrorKind::Internal, message)
        })
    }
}

/// Everything that has one answer.
async fn question(
    gateway: &Gateway,
    caller: &Caller,
    arrived: Instant,
    operation: Operation,
    owner: Option<String>,
) -> Result<OperationResult, Error> {
    let models = &gateway.inner.models;
    let later = |what: &str| {
        Err(failure::error(
            ErrorKind::Unsupported,
            format!("{what} not available on this host yet"),
        ))
    };
    match operation {
        // Streams, which are answered before anybody asks here.
        Operation::Generate(_) | Operation::PullModel(_) => Ok(OperationResult::None),
        Operation::None => Ok(OperationResult::None),
        Operation::CountTokens(request) => {
            let limits = &gateway.inner.options.limits;
            let counted = anywhere::count(models, &request, limits, true).await;
            counted
                .map(OperationResult::TokenCount)
                .map_err(Stopped::into_error)
        }
        Operation::ListModels => {
            let mut list = models.list().await;
            caller.narrow(&mut list);
            Ok(OperationResult::Models(list))
        }
        Operation::ShowModel(name) => {
            let found = models.show(&name).await;
            found
                .map(OperationResult::Model)
                .ok_or_else(|| failure::model_not_found(name))
        }
        Operation::LoadModel(request) => {
            let loaded = anywhere::load(models, &request, true).await;
            loaded
                .map(|()| OperationResult::None)
                .map_err(Stopped::into_error)
        }
        Operation::ListRunning => {
            let mut list = models.list().await;
            list.retain(|model: &ModelInfo| model.loaded.is_some());
            caller.narrow(&mut list);
            Ok(OperationResult::Models(list))
        }
        Operation::GetResponse(id) => {
            let stored = kept(gateway)?.get(owner, id).await?;
            Ok(OperationResult::Stored(stored))
        }
        Operation::DeleteResponse(id) => {
            kept(gateway)?.delete(owner, id).await?;
            Ok(OperationResult::None)
        }
        Operation::CancelResponse(id) => {
            let stored = kept(gateway)?.cancel(owner, id).await?;
            Ok(OperationResult::Stored(stored))
        }
        Operation::Embed(request) => {
            let embedded = anywhere::embed(models, &request, arrived, true).await;
            embedded
                .map(OperationResult::Embeddings)
                .map_err(Stopped::into_error)
        }
        Operation::DeleteModel(name) => {
            let library = library::of(gateway)?;
            library.delete(&name).await.map(|()| OperationResult::None)
        }
        Operation::CopyModel((from, to)) => {
            let library = library::of(gateway)?;
            library
                .copy(&from, &to)
                .await
                .map(|()| OperationResult::None)
        }
        Operation::Other(opaque) => later(&format!("{:?} is", opaque.kind)),
    }
}

fn kept(gateway: &Gateway) -> Result<&Responses, Error> {
    let message = "this host keeps no answers";
    let missing = || failure::error(ErrorKind::NotFound, message);
    gateway.inner.responses.as_ref().ok_or_else(missing)
}

/// The model an operation names.
pub(crate) fn model(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::Generate(request) | Operation::CountTokens(request) => Some(&request.model),
        Operation::Embed(request) => Some(&request.model),
        Operation::LoadModel(request) => Some(&request.model),
        Operation::ShowModel(name) | Operation::PullModel(name) | Operation::DeleteModel(name) => {
            Some(name)
        }
        _ => None,
    }
}

/// The conversation an operation belongs to, where its API names one.
pub(crate) fn conversation_id(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::Generate(request) => request.state.conversation_id.as_deref(),
        _ => None,
    }
}

/// The stored answer an operation continues.
pub(crate) fn continues(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::Generate(request) => request.state.previous_response_id.as_deref(),
        _ => None,
    }
}

/// The operation's name in metrics and traces; the first three are OpenTelemetry's.
pub(crate) fn name(operation: &Operation) -> &'static str {
    use atoll_plugin_runtime::types::Prompt;
    match operation {
        Operation::Generate(request) => match request.prompt {
            Prompt::Conversation(_) => "chat",
            Prompt::Completion(_) => "text_completion",
        },
        Operation::Embed(_) => "embeddings",
        Operation::CountTokens(_) => "count_tokens",
        Operation::ListModels => "list_models",
        Operation::ShowModel(_) => "show_model",
        Operation::LoadModel(_) => "load_model",
        Operation::ListRunning => "list_running",
        Operation::PullModel(_) => "pull_model",
        Operation::DeleteModel(_) => "delete_model",
        Operation::CopyModel(_) => "copy_model",
        Operation::GetResponse(_) => "get_response",
        Operation::DeleteResponse(_) => "delete_response",
        Operation::CancelResponse(_) => "cancel_response",
        Operation::None => "none",
        Operation::Other(asked) if asked.kind == FOLLOW => "follow_response",
        Operation::Other(_) => "other",
    }
}
