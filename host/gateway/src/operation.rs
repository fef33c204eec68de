//! Doing what a dialect asks for.
//!
//! `generate` leads to a stream of events (see [`stream`](crate::stream)); everything else is a
//! question with one answer, rendered by the dialect's `reply`.

use std::sync::Arc;
use std::time::Instant;

use atoll_plugin_runtime::types::{
    Error, ErrorKind, GenerateRequest, KeepAlive, LoadRequest, ModelInfo, Operation,
    OperationResult,
};
use axum::response::Response;

use crate::auth::Caller;
use crate::exchange::Conversation;
use crate::failure::{self, Failure};
use crate::filters::Chain;
use crate::gateway::{Gateway, fail};
use crate::metrics::Watch;
use crate::source::{Feed, RequestFacts};
use crate::stream::Answer;
use crate::{embed, generate, library, pull, response, source};

/// Carries out an operation and answers.
pub(crate) async fn execute(
    gateway: Gateway,
    facts: RequestFacts,
    mut conversation: Conversation,
    chain: Chain,
    operation: Operation,
    mut watch: Watch,
) -> Response {
    let result = match operation {
        Operation::Generate(request) => {
            return generate(gateway, facts, conversation, chain, request, watch).await;
        }
        Operation::PullModel(name) => {
            return pull::answer(gateway, conversation, name, watch).await;
        }
        other => question(&gateway, watch.who(), facts.arrived, other)
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
            watch.finish_response(response::whole(rendered))
        }
        Err(failure) => fail(conversation, failure, watch).await,
    }
}

async fn generate(
    gateway: Gateway,
    facts: RequestFacts,
    conversation: Conversation,
    chain: Chain,
    request: GenerateRequest,
    mut watch: Watch,
) -> Response {
    let ignored = request
        .unconsumed
        .as_deref()
        .and_then(response::ignored_fields);
    let limits = &gateway.inner.options.limits;
    let plan = match generate::plan(request, limits) {
        Ok(plan) => plan,
        Err(error) => return fail(conversation, Failure::Typed(error), watch).await,
    };
    let stream = plan.stream;
    watch.streamed(stream);
    let feed = Feed::start(Arc::clone(&gateway.inner.models), plan, facts);
    let answer = Answer::new(&gateway, conversation, chain, feed, watch);
    let mut response = if stream {
        answer.stream().await
    } else {
        answer.collect().await
    };
    if let Some(ignored) = ignored {
        response.headers_mut().insert("x-atoll-ignored", ignored);
    }
    response
}

/// Everything that has one answer.
async fn question(
    gateway: &Gateway,
    caller: &Caller,
    arrived: Instant,
    operation: Operation,
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
            let plan = generate::plan(request, &gateway.inner.options.limits)?;
            let count = source::count(Arc::clone(models), plan).await?;
            Ok(OperationResult::TokenCount(count))
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
                .ok_or_else(|| not_found(name))
        }
        Operation::LoadModel(request) => load(gateway, request).await,
        Operation::ListRunning => {
            let mut list = models.list().await;
            list.retain(|model: &ModelInfo| model.loaded.is_some());
            caller.narrow(&mut list);
            Ok(OperationResult::Models(list))
        }
        Operation::GetResponse(id)
        | Operation::DeleteResponse(id)
        | Operation::CancelResponse(id) => {
            let message = format!("there is no stored answer {id:?}: this host keeps none yet");
            Err(failure::error(ErrorKind::NotFound, message))
        }
        Operation::Embed(request) => embed::embed(models, request, arrived)
            .await
            .map(OperationResult::Embeddings),
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

/// Brings a model into memory, or out of it when it is to be kept for no time.
async fn load(gateway: &Gateway, request: LoadRequest) -> Result<OperationResult, Error> {
    let models = &gateway.inner.models;
    if let Some(KeepAlive::ForMs(0)) = request.keep_alive {
        if models.show(&request.model).await.is_none() {
            return Err(not_found(request.model));
        }
        models.unload(&request.model).await;
        return Ok(OperationResult::None);
    }
    let engine = models.engine(&request.model).await;
    let engine = engine.map_err(|error| failure::from_engine(&error))?;
    if let Some(keep) = request.keep_alive {
        models.keep(&request.model, keep);
    }
    drop(engine);
    Ok(OperationResult::None)
}

fn not_found(name: String) -> Error {
    let message = format!("there is no model {name:?} on this host");
    failure::error(ErrorKind::ModelNotFound(name), message)
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
        Operation::Other(_) => "other",
    }
}
