//! About how many bytes of payload a value carries: text and binary, not structure.
//!
//! Output limits grow with the input ([`crate::CallLimits::output_per_input`]); these are the input.
//! Estimates are enough, since the fixed part of each limit is generous.

use crate::types::{
    CompletionInput, Event, GenerateRequest, HttpRequest, Media, MediaSource, Operation,
    OperationResult, PartContent, Prompt, ResultContent,
};

pub(crate) fn http_request(request: &HttpRequest) -> usize {
    let headers: usize = request
        .headers
        .iter()
        .map(|h| h.name.len() + h.value.len())
        .sum();
    let query: usize = request.query.iter().map(|(k, v)| k.len() + v.len()).sum();
    request.body.len() + request.path.len() + headers + query
}

pub(crate) fn events(events: &[Event]) -> usize {
    events.iter().map(event).sum()
}

fn event(event: &Event) -> usize {
    match event {
        Event::TextDelta(d)
        | Event::ReasoningDelta(d)
        | Event::RefusalDelta(d)
        | Event::ArgumentsDelta(d) => {
            let tokens: usize = d
                .tokens
                .iter()
                .map(|t| {
                    t.bytes.len()
                        + 16
                        + t.alternatives
                            .iter()
                            .map(|a| a.bytes.len() + 16)
                            .sum::<usize>()
                })
                .sum();
            d.text.len() + tokens
        }
        Event::Failed(error) => error.message.len(),
        Event::Other(opaque) => opaque.value.len(),
        _ => 64,
    }
}

pub(crate) fn outcome(outcome: &OperationResult) -> usize {
    match outcome {
        // A float as decimal text takes some three times its binary size.
        OperationResult::Embeddings(e) => {
            e.vectors.iter().map(|v| v.len().saturating_mul(12)).sum()
        }
        OperationResult::Stored(stored) => generate(&stored.request) + events(&stored.events),
        OperationResult::Other(opaque) => opaque.value.len(),
        OperationResult::Models(models) => models.len().saturating_mul(1024),
        _ => 1024,
    }
}

pub(crate) fn operation(operation: &Operation) -> usize {
    match operation {
        Operation::Generate(request) | Operation::CountTokens(request) => generate(request),
        Operation::Embed(request) => inputs(&request.inputs),
        Operation::Other(opaque) => opaque.value.len(),
        _ => 1024,
    }
}

fn generate(request: &GenerateRequest) -> usize {
    let prompt: usize = match &request.prompt {
        Prompt::Conversation(messages) => messages
            .iter()
            .flat_map(|m| &m.parts)
            .map(|part| part_content(&part.content))
            .sum(),
        Prompt::Completion(completion) => inputs(&completion.inputs),
    };
    let tools: usize = request
        .tools
        .iter()
        .map(|t| t.parameters.len() + t.description.as_ref().map_or(0, String::len))
        .sum();
    prompt + tools + request.unconsumed.as_ref().map_or(0, String::len)
}

fn inputs(inputs: &[CompletionInput]) -> usize {
    inputs
        .iter()
        .map(|input| match input {
            CompletionInput::Text(text) => text.len(),
            CompletionInput::Tokens(tokens) => tokens.len().saturating_mul(4),
        })
        .sum()
}

fn part_content(content: &PartContent) -> usize {
    match content {
        PartContent::Text(text) | PartContent::Refusal(text) => text.len(),
        PartContent::Image(m) | PartContent::Audio(m) | PartContent::Document(m) => media(m),
        PartContent::Reasoning(r) => r.text.len() + r.encrypted.as_ref().map_or(0, String::len),
        PartContent::ToolCall(call) => call.arguments.len(),
        PartContent::ToolResult(result) => result
            .content
            .iter()
            .map(|content| match content {
                ResultContent::Text(text) => text.len(),
                ResultContent::Image(m) | ResultContent::Document(m) => media(m),
                ResultContent::Other(opaque) => opaque.value.len(),
            })
            .sum(),
        PartContent::Other(opaque) => opaque.value.len(),
    }
}

fn media(media: &Media) -> usize {
    match &media.source {
        MediaSource::Bytes(bytes) => bytes.len(),
        MediaSource::Url(text) | MediaSource::FileId(text) => text.len(),
    }
}
