//! A conversation continued: the messages of stored answers in front of a new request's own.
//!
//! The order is: what holds for this answer only (instructions), then the chain, then the request's own
//! messages. Pure, except for reading the chain.

use std::collections::HashSet;
use std::sync::Arc;

use atoll_plugin_runtime::types::{
    Error, ErrorKind, Event, GenerateRequest, ItemKind, Message, Operation, Part, PartContent,
    Prompt, Reasoning, Role, StoredResponse, StoredStatus, ToolCall,
};

use super::local::LocalAnswers;
use super::{Kept, Responses};
use crate::{failure, prompt};

/// Where a request's own messages are after the chain was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Splice {
    /// Messages from the chain.
    history: usize,
    /// All messages.
    total: usize,
}

impl Responses {
    /// Puts what the operation continues in front of its messages.
    ///
    /// # Errors
    /// A link is missing or not finished, or a tool result answers no call of the conversation.
    pub(crate) async fn splice(
        &self,
        owner: Option<String>,
        local: Option<Arc<LocalAnswers>>,
        operation: &mut Operation,
    ) -> Result<Splice, Error> {
        let (Operation::Generate(request) | Operation::CountTokens(request)) = operation else {
            return Ok(Splice::default());
        };
        self.put_items(&owner, local.as_ref(), request).await?;
        let chain = match request.state.previous_response_id.clone() {
            Some(id) => self.chain(owner, local, id).await?,
            None => return splice(request, &[]),
        };
        let splice = splice(request, &chain)?;
        results_have_calls(request)?;
        Ok(splice)
    }
}

/// A part that stands for an item of a stored answer.
const STORED_ITEM: &str = "stored-item";

/// Where that item is.
#[derive(serde::Deserialize)]
struct Place {
    response: String,
    item: usize,
}

impl Responses {
    /// Puts items of stored answers in the places of the parts that name them.
    async fn put_items(
        &self,
        owner: &Option<String>,
        local: Option<&Arc<LocalAnswers>>,
        request: &mut GenerateRequest,
    ) -> Result<(), Error> {
        let Prompt::Conversation(messages) = &mut request.prompt else {
            return Ok(());
        };
        // Neighbouring items are mostly of one answer.
        let mut last: Option<(String, Vec<PartContent>)> = None;
        for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
            let place = match &part.content {
                PartContent::Other(other) if other.kind == STORED_ITEM => place(&other.value)?,
                _ => continue,
            };
            let items = match last.take() {
                Some((id, items)) if id == place.response => items,
                _ => self.items(owner.clone(), local, &place.response).await?,
            };
            part.content = items
                .get(place.item)
                .cloned()
                .ok_or_else(|| no_item(&place, part))?;
            last = Some((place.response, items));
        }
        Ok(())
    }

    async fn items(
        &self,
        owner: Option<String>,
        local: Option<&Arc<LocalAnswers>>,
        id: &str,
    ) -> Result<Vec<PartContent>, Error> {
        if let Some(kept) = local.and_then(|local| local.get(id)) {
            return Ok(parts(&kept.response));
        }
        match self.get(owner, id.to_owned()).await {
            Ok(response) => Ok(parts(&response)),
            // The item is what is missing, whatever else of the answer was asked for.
            Err(error) if matches!(error.kind, ErrorKind::NotFound) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn place(value: &str) -> Result<Place, Error> {
    serde_json::from_str(value).map_err(|error| {
        let message = format!("the dialect's {STORED_ITEM} cannot be read: {error}");
        failure::error(ErrorKind::Internal, message)
    })
}

fn no_item(place: &Place, part: &Part) -> Error {
    let message = format!(
        "item {} of the stored answer {:?} was not found: the answer was not stored, has expired or was deleted; \
         send the item itself",
        place.item, place.response
    );
    Error {
        param: Some(prompt::place(part).unwrap_or_else(|| "input".to_owned())),
        ..failure::error(ErrorKind::NotFound, message)
    }
}

/// The error for a chain with a missing link.
pub(crate) fn missing(id: &str) -> Error {
    let message = format!(
        "the previous response {id:?} was not found, or something it continues has expired or was deleted; \
         send the conversation itself"
    );
    Error {
        param: Some("previous_response_id".to_owned()),
        ..failure::error(ErrorKind::PreviousResponseNotFound, message)
    }
}

/// A conversation that goes on with the result of a call that nobody made is another conversation: the client
/// has mistaken the id. Only what continues something stored is looked at here; in what a client sends whole,
/// the calls are its own business.
fn results_have_calls(request: &GenerateRequest) -> Result<(), Error> {
    let Prompt::Conversation(messages) = &request.prompt else {
        return Ok(());
    };
    let mut calls: HashSet<&str> = HashSet::new();
    for part in messages.iter().flat_map(|message| &message.parts) {
        match &part.content {
            PartContent::ToolCall(call) => {
                calls.insert(&call.call_id);
            }
            PartContent::ToolResult(result) if !calls.contains(result.call_id.as_str()) => {
                let message = format!(
                    "no tool call {:?} comes before its result, neither in the request nor in what it continues",
                    result.call_id
                );
                return Err(failure::invalid("input", message));
            }
            _ => {}
        }
    }
    Ok(())
}

fn splice(request: &mut GenerateRequest, chain: &[Kept]) -> Result<Splice, Error> {
    let Prompt::Conversation(messages) = &mut request.prompt else {
        return Ok(Splice::default());
    };
    let mut history = Vec::new();
    for record in chain {
        let response = &record.response;
        match response.status {
            StoredStatus::Queued | StoredStatus::InProgress => {
                let message = format!(
                    "the previous response {:?} is not finished yet",
                    response.id
                );
                return Err(failure::error(ErrorKind::Conflict, message));
            }
            StoredStatus::Finished | StoredStatus::Failed | StoredStatus::Cancelled => {}
        }
        history.extend(own_messages(&response.request).iter().cloned());
        history.extend(answer(response));
    }
    let transient = (request.state.transient_messages as usize).min(messages.len());
    let splice = Splice {
        history: history.len(),
        total: history.len() + messages.len(),
    };
    messages.splice(transient..transient, history);
    Ok(splice)
}

/// A request's messages without what holds for its answer only.
fn own_messages(request: &GenerateRequest) -> &[Message] {
    match &request.prompt {
        Prompt::Conversation(messages) => messages
            .get(request.state.transient_messages as usize..)
            .unwrap_or_default(),
        Prompt::Completion(_) => &[],
    }
}

/// The items of a stored answer.
fn parts(response: &StoredResponse) -> Vec<PartContent> {
    let mut parts: Vec<PartContent> = Vec::new();
    for event in &response.events {
        match event {
            // Conversations go on from the first choice.
            Event::ItemStarted(item) if item.choice == 0 => parts.push(match &item.kind {
                ItemKind::Message => PartContent::Text(String::new()),
                ItemKind::Reasoning => PartContent::Reasoning(Reasoning {
                    text: String::new(),
                    summary: Vec::new(),
                    signature: None,
                    encrypted: None,
                }),
                ItemKind::ToolCall(call) => PartContent::ToolCall(ToolCall {
                    call_id: call.call_id.clone(),
                    name: call.name.clone(),
                    namespace: call.namespace.clone(),
                    arguments: String::new(),
                    custom: call.custom,
                }),
            }),
            Event::TextDelta(delta)
            | Event::ReasoningDelta(delta)
            | Event::RefusalDelta(delta)
            | Event::ArgumentsDelta(delta)
                if delta.choice == 0 =>
            {
                match parts.last_mut() {
                    Some(PartContent::Text(text)) => text.push_str(&delta.text),
                    Some(PartContent::Reasoning(reasoning)) => reasoning.text.push_str(&delta.text),
                    Some(PartContent::ToolCall(call)) => call.arguments.push_str(&delta.text),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    parts
}

/// A stored answer as the assistant's message.
fn answer(response: &StoredResponse) -> Option<Message> {
    let mut parts = parts(response);
    parts.retain(|part| !matches!(part, PartContent::Text(text) if text.is_empty()));
    (!parts.is_empty()).then(|| Message {
        role: Role::Assistant,
        parts: parts
            .into_iter()
            .map(|content| Part {
                content,
                cache_ttl: None,
                ext: None,
            })
            .collect(),
        name: None,
        id: Some(response.id.clone()),
        ext: None,
    })
}

/// The request as it is kept: without the chain, which is kept already. Where a filter changed how many
/// messages there are, nobody can tell which are whose, and everything is kept: the second value.
pub(super) fn own_request(request: &GenerateRequest, splice: Splice) -> (GenerateRequest, bool) {
    let mut own = request.clone();
    let Prompt::Conversation(messages) = &mut own.prompt else {
        return (own, false);
    };
    if messages.len() != splice.total {
        return (own, true);
    }
    let own_from = messages.len().min(own.state.transient_messages as usize);
    let history = own_from..messages.len().min(own_from + splice.history);
    messages.drain(history);
    (own, false)
}

#[cfg(test)]
mod tests;
