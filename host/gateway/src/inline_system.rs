//! System messages in the middle of a conversation, for models whose templates have no place for them.
//!
//! Agents put instructions between the turns; many chat templates refuse that, some drop it in silence. What
//! a template does is asked of the template: a tiny conversation with a mark in a later system message is
//! rendered, and where the mark does not come out, later system messages are merged into the first. Nothing is
//! asked of conversations that have none.

use std::borrow::Cow;

use atoll_engine::engine::{ChatPrompt, ContextWindow, EngineError, PreparedPrompt, PromptInput};
use serde_json::{Map, Value, json};

use crate::models::TextEngine;

/// A word that no template writes by itself.
const MARK: &str = "zqxjk";

/// [`TextEngine::prepare`], with system messages where the template can take them.
pub(crate) fn prepare(
    engine: &dyn TextEngine,
    input: &PromptInput,
    window: ContextWindow,
) -> Result<PreparedPrompt, EngineError> {
    engine.prepare(&placed(input, || takes_them(engine)), window)
}

fn placed(input: &PromptInput, takes_them: impl FnOnce() -> bool) -> Cow<'_, PromptInput> {
    match input {
        PromptInput::Chat(chat) if has_later(&chat.messages) && !takes_them() => {
            let chat = ChatPrompt {
                messages: merged(&chat.messages),
                ..chat.clone()
            };
            Cow::Owned(PromptInput::Chat(chat))
        }
        other => Cow::Borrowed(other),
    }
}

fn is_system(message: &Value) -> bool {
    message["role"] == "system"
}

fn has_later(messages: &[Value]) -> bool {
    messages.iter().skip(1).any(is_system)
}

/// Whether the model's template shows a system message that is not the first.
fn takes_them(engine: &dyn TextEngine) -> bool {
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    let probe = PromptInput::Chat(ChatPrompt {
        messages: vec![
            message("system", "a"),
            message("user", "b"),
            message("system", MARK),
            message("user", "c"),
        ],
        tools: None,
        template_variables: Map::new(),
        add_generation_prompt: true,
        continue_final_message: false,
    });
    let rendered = engine.prepare(&probe, ContextWindow::default());
    let text = rendered.and_then(|prompt| engine.decode(prompt.tokens()));
    text.is_ok_and(|text| text.contains(MARK))
}

/// All system messages in one at the beginning, in their order. Plain turns of one person that become
/// neighbours become one turn, because the templates in question want turns to alternate.
fn merged(messages: &[Value]) -> Vec<Value> {
    let (system, others): (Vec<&Value>, Vec<&Value>) =
        messages.iter().partition(|message| is_system(message));
    let texts: Vec<&str> = system
        .iter()
        .filter_map(|message| message["content"].as_str())
        .collect();
    let mut all = vec![json!({ "role": "system", "content": texts.join("\n\n") })];
    for message in others {
        match (all.last_mut(), user_text(message)) {
            (Some(last), Some(text)) if user_text(last).is_some() => {
                let before = user_text(last).unwrap_or_default();
                last["content"] = json!(format!("{before}\n\n{text}"));
            }
            _ => all.push(message.clone()),
        }
    }
    all
}

/// The text of a user's message.
fn user_text(message: &Value) -> Option<&str> {
    message["content"]
        .as_str()
        .filter(|_| message["role"] == "user")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(roles: &[(&str, &str)]) -> PromptInput {
        let messages = roles
            .iter()
            .map(|(role, content)| json!({ "role": role, "content": content }))
            .collect();
        PromptInput::Chat(ChatPrompt {
            messages,
            tools: None,
            template_variables: Map::new(),
            add_generation_prompt: true,
            continue_final_message: false,
        })
    }

    const INLINE: &[(&str, &str)] = &[
        ("user", "1"),
        ("system", "now"),
        ("assistant", "2"),
        ("system", "then"),
        ("user", "3"),
    ];

    #[test]
    fn later_system_messages_move_to_the_front_where_a_template_needs_it() {
        let input = chat(INLINE);
        let moved = placed(&input, || false);
        let expected = [
            ("system", "now\n\nthen"),
            ("user", "1"),
            ("assistant", "2"),
            ("user", "3"),
        ];
        assert_eq!(*moved, chat(&expected));
        let input = chat(&[("system", "a"), ("user", "b"), ("system", "c")]);
        assert_eq!(
            *placed(&input, || false),
            chat(&[("system", "a\n\nc"), ("user", "b")])
        );
        let input = chat(&[("user", "a"), ("system", "b"), ("user", "c")]);
        assert_eq!(
            *placed(&input, || false),
            chat(&[("system", "b"), ("user", "a\n\nc")])
        );
    }

    #[test]
    fn a_template_that_takes_them_gets_them_where_they_are() {
        let input = chat(INLINE);
        assert_eq!(*placed(&input, || true), input);
    }

    /// The probe costs a rendering; most conversations need none.
    #[test]
    fn nothing_is_asked_without_need() {
        let asked = || panic!("not needed");
        for input in [
            chat(&[
                ("system", "a"),
                ("user", "b"),
                ("assistant", "c"),
                ("user", "d"),
            ]),
            PromptInput::Tokens(vec![1]),
        ] {
            assert_eq!(*placed(&input, asked), input);
        }
    }
}
