//! What the model is about to see, for whoever sets up filters.
//!
//! An event of target `atoll::prompt` at trace level shows the text as the filters left it. It exists
//! only for requests that passed a filter: without one there is nothing to show that a log should hold.

use atoll_plugin_runtime::types::{
    CompletionInput, GenerateRequest, Operation, PartContent, Prompt, ResultContent,
};

/// Shows an operation that filters have passed.
pub(crate) fn show(request: &str, operation: &Operation) {
    if tracing::enabled!(target: "atoll::prompt", tracing::Level::TRACE) {
        for (place, text) in texts(operation) {
            tracing::trace!(target: "atoll::prompt", request, place, text, "the model sees");
        }
    }
}

/// The texts of an operation with where they stand.
fn texts(operation: &Operation) -> Vec<(String, &str)> {
    match operation {
        Operation::Generate(request) | Operation::CountTokens(request) => prompt(request),
        Operation::Embed(request) => inputs(&request.inputs),
        _ => Vec::new(),
    }
}

fn prompt(request: &GenerateRequest) -> Vec<(String, &str)> {
    let messages = match &request.prompt {
        Prompt::Conversation(messages) => messages,
        Prompt::Completion(completion) => return inputs(&completion.inputs),
    };
    let mut texts = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        for part in &message.parts {
            let mut add =
                |what: &str, text| texts.push((format!("messages[{index}] {what}"), text));
            match &part.content {
                PartContent::Text(text) => add(&format!("{:?}", message.role), text.as_str()),
                PartContent::Refusal(text) => add("refusal", text),
                PartContent::Reasoning(reasoning) => add("reasoning", &reasoning.text),
                PartContent::ToolCall(call) => add(&call.name, &call.arguments),
                PartContent::ToolResult(result) => {
                    for content in &result.content {
                        if let ResultContent::Text(text) = content {
                            add("result", text);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    texts
}

fn inputs(inputs: &[CompletionInput]) -> Vec<(String, &str)> {
    let texts = inputs.iter().enumerate();
    texts
        .filter_map(|(index, input)| match input {
            CompletionInput::Text(text) => Some((format!("inputs[{index}]"), text.as_str())),
            CompletionInput::Tokens(_) => None,
        })
        .collect()
}
