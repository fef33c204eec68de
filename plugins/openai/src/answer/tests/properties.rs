//! For every legal sequence of events, in any batching: the stream says what the body says, and ends
//! exactly once.

use proptest::prelude::*;
use serde_json::Value;

use super::accumulate::{self, End, normalized};
use super::events::{Script, scripts};
use super::{ChatOptions, Mode, chat, completion};

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The accumulated stream, its usage filled in from the body if the client did not ask for it.
fn with_usage(mut stream: Value, body: &Value, include_usage: bool) -> Value {
    if !include_usage {
        stream["usage"] = body["usage"].clone();
    }
    stream
}

fn options() -> impl Strategy<Value = ChatOptions> {
    any::<(bool, bool, bool)>().prop_map(|(legacy_function_call, hide_reasoning, logprobs)| {
        let (mode, choices) = (Mode::Whole, 1);
        ChatOptions {
            mode,
            choices,
            legacy_function_call,
            hide_reasoning,
            logprobs,
        }
    })
}

proptest! {
    #[test]
    fn a_chat_stream_says_what_the_body_says(
        script in scripts(),
        options in options(),
        include_usage in any::<bool>(),
        sizes in prop::collection::vec(0usize..6, 0..6),
    ) {
        let Script { choices, events, fails } = script;
        let whole = ChatOptions { choices, ..options };
        let streamed = ChatOptions { mode: Mode::Stream { include_usage }, ..whole };
        let stream = chat(streamed, &events, &sizes);
        prop_assert_eq!(&stream, &chat(streamed, &events, &[]), "batching changed the bytes");
        let bytes = chat(whole, &events, &sizes);
        let end = accumulate::chat(&stream, include_usage).map_err(TestCaseError::fail)?;
        match end {
            End::Failed(error) => {
                prop_assert!(fails && bytes.is_empty());
                prop_assert_eq!(&error["error"]["message"], "it broke");
            }
            End::Done(stream) => {
                prop_assert!(!fails);
                let body = body(&bytes);
                prop_assert_eq!(&body["object"], "chat.completion");
                let stream = with_usage(stream, &body, include_usage);
                prop_assert_eq!(normalized(stream), normalized(body));
            }
        }
    }

    #[test]
    fn a_completion_stream_says_what_the_body_says(
        script in scripts(),
        logprobs in any::<bool>(),
        include_usage in any::<bool>(),
        sizes in prop::collection::vec(0usize..6, 0..6),
    ) {
        let Script { choices, events, fails } = script;
        let mode = Mode::Stream { include_usage };
        let stream = completion(mode, choices, logprobs, &events, &sizes);
        prop_assert_eq!(&stream, &completion(mode, choices, logprobs, &events, &[]));
        let bytes = completion(Mode::Whole, choices, logprobs, &events, &sizes);
        let end = accumulate::completion(&stream, include_usage).map_err(TestCaseError::fail)?;
        match end {
            End::Failed(_) => prop_assert!(fails && bytes.is_empty()),
            End::Done(stream) => {
                prop_assert!(!fails);
                let body = body(&bytes);
                let stream = with_usage(stream, &body, include_usage);
                prop_assert_eq!(normalized(stream), normalized(body));
            }
        }
    }

    #[test]
    fn nothing_follows_the_end(script in scripts(), include_usage in any::<bool>()) {
        let Script { choices, mut events, .. } = script;
        let mode = Mode::Stream { include_usage };
        let options = ChatOptions {
            mode, choices, legacy_function_call: false, hide_reasoning: false, logprobs: false,
        };
        let once = chat(options, &events, &[]);
        events.extend(events.clone());
        prop_assert_eq!(once, chat(options, &events, &[3]));
    }
}
