//! Prompts that are longer than the context they may use.
//!
//! A request says whether a prompt that does not fit is refused or shortened. A conversation is shortened by whole
//! messages, oldest first: instructions stay, and so does the last turn, so that the model reads a conversation
//! and not the tail of one. Where even the last turn does not fit, and for plain prompts, tokens are cut out after
//! the beginning that is to be kept. What was left out is told to the client and the log, never what it said.

use atoll_engine::engine::{ChatPrompt, ContextWindow, EngineError, PreparedPrompt, PromptInput};
use atoll_plugin_runtime::types::{Error, GenerateRequest, Overflow};
use serde::Deserialize;
use serde_json::Value;

use crate::models::TextEngine;
use crate::remarks::{Cut, Remarks};
use crate::{failure, inline_system};

/// What `ext` of a request may say of its context.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Extension {
    /// Most tokens of prompt and answer together.
    context_length: Option<u32>,
    /// Tokens at the beginning that are never cut.
    keep: u32,
    /// Whether an answer at the end of the context forgets and goes on, where `overflow` does not say so.
    slide: bool,
    /// A model that cannot reason is refused, instead of being told so in the answer's head.
    require_reasoning: bool,
}

/// What a request says of the context it may use.
pub(crate) struct Wishes {
    pub window: ContextWindow,
    pub reasoning_required: bool,
}

/// What `overflow` and `ext` of a request say.
///
/// # Errors
/// An `ext` that is something else.
pub(crate) fn wishes(request: &GenerateRequest) -> Result<Wishes, Error> {
    let extension: Extension = match request.ext.as_deref() {
        None => Extension::default(),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| failure::invalid("ext", format!("not understood: {error}")))?,
    };
    Ok(Wishes {
        window: ContextWindow {
            length: extension.context_length,
            cut: request.overflow != Overflow::Refuse,
            slide: extension.slide || request.overflow == Overflow::Shift,
            keep: extension.keep,
        },
        reasoning_required: extension.require_reasoning,
    })
}

/// Prepares prompts, each shortened if it must and may be.
pub(crate) fn prepare(
    engine: &dyn TextEngine,
    inputs: &[PromptInput],
    window: ContextWindow,
    remarks: &Remarks,
) -> Result<Vec<PreparedPrompt>, EngineError> {
    let mut all = Cut::default();
    let mut prompts = Vec::with_capacity(inputs.len());
    for input in inputs {
        let (prompt, messages) = one(engine, input, window)?;
        all.messages += messages;
        all.tokens += prompt.cut_tokens();
        prompts.push(prompt);
    }
    remarks.cut(all);
    Ok(prompts)
}

/// A prompt, and how many messages it is without.
fn one(
    engine: &dyn TextEngine,
    input: &PromptInput,
    window: ContextWindow,
) -> Result<(PreparedPrompt, usize), EngineError> {
    let PromptInput::Chat(chat) = input else {
        return Ok((engine.prepare(input, window)?, 0));
    };
    let whole = ContextWindow {
        cut: false,
        ..window
    };
    match inline_system::prepare(engine, input, whole) {
        Err(EngineError::ContextOverflow { .. }) if window.cut => {}
        prepared => return Ok((prepared?, 0)),
    }
    let begins = beginnings(&chat.messages);
    let from = |at: usize, window| {
        let shorter = PromptInput::Chat(without_before(chat, at));
        let prompt = inline_system::prepare(engine, &shorter, window)?;
        Ok((prompt, dropped_before(&chat.messages, at)))
    };
    // The fewer messages the fewer tokens, so the first beginning that fits is found by halving.
    let first = begins.partition_point(|&at| from(at, whole).is_err());
    if let Some(&at) = begins.get(first) {
        return from(at, whole);
    }
    match begins.last() {
        Some(&at) => from(at, window).or_else(|_| from(0, window)),
        None => from(0, window),
    }
}

fn role(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}

/// Where a shorter conversation may begin: with what a person or the model said, but not with the result of a call
/// that would be missing.
fn beginnings(messages: &[Value]) -> Vec<usize> {
    let turns = messages.iter().enumerate();
    let turns = turns.filter(|(_, message)| matches!(role(message), "user" | "assistant"));
    // The first of them is the whole conversation.
    turns.map(|(at, _)| at).skip(1).collect()
}

/// The conversation from message `at` on, after all instructions before it.
fn without_before(chat: &ChatPrompt, at: usize) -> ChatPrompt {
    let kept = |(index, message): (usize, &Value)| index >= at || role(message) == "system";
    let messages = chat.messages.iter().enumerate();
    ChatPrompt {
        messages: messages
            .filter(|&(index, message)| kept((index, message)))
            .map(|(_, message)| message.clone())
            .collect(),
        ..chat.clone()
    }
}

fn dropped_before(messages: &[Value], at: usize) -> usize {
    let before = messages.iter().take(at);
    before.filter(|message| role(message) != "system").count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chat(roles: &[&str]) -> ChatPrompt {
        let messages = roles.iter().enumerate();
        ChatPrompt {
            messages: messages
                .map(|(at, role)| json!({ "role": role, "content": at.to_string() }))
                .collect(),
            tools: None,
            template_variables: serde_json::Map::new(),
            add_generation_prompt: true,
            continue_final_message: false,
        }
    }

    #[test]
    fn a_shorter_conversation_keeps_its_instructions_and_no_orphans() {
        let long = chat(&[
            "system",
            "user",
            "assistant",
            "tool",
            "system",
            "user",
            "assistant",
            "user",
        ]);
        assert_eq!(
            beginnings(&long.messages),
            [2, 5, 6, 7],
            "never with a tool's result"
        );
        let shorter = without_before(&long, 6);
        let left: Vec<&str> = shorter
            .messages
            .iter()
            .filter_map(|m| m["content"].as_str())
            .collect();
        assert_eq!(left, ["0", "4", "6", "7"]);
        assert_eq!(dropped_before(&long.messages, 6), 4);
        assert!(
            beginnings(&chat(&["system", "user"]).messages).is_empty(),
            "one turn cannot lose a message"
        );
    }
}
