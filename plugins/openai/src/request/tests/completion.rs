//! Fields of Completions.

use atoll_sdk::json::Fields;
use atoll_sdk::types::{Completion, CompletionInput, Error, GenerateRequest, Prompt};
use serde_json::{Value, json};

use super::param;

fn decode(extra: Value) -> Result<(GenerateRequest, u32), Error> {
    let mut body = json!({"model": "m", "prompt": "Once"});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    super::super::completion::decode(Fields::parse(&serde_json::to_vec(&body).unwrap()).unwrap())
}

fn prompt(request: &GenerateRequest) -> &Completion {
    match &request.prompt {
        Prompt::Completion(completion) => completion,
        Prompt::Conversation(_) => panic!("a conversation"),
    }
}

#[test]
fn defaults_are_the_apis_own() {
    let (request, choices) = decode(json!({})).unwrap();
    assert_eq!(
        (request.max_output_tokens, request.choices, choices),
        (Some(16), 1, 1)
    );
    assert_eq!(
        prompt(&request).inputs,
        [CompletionInput::Text("Once".to_owned())]
    );
    assert!(prompt(&request).raw && !prompt(&request).echo);
    assert_eq!(request.logprobs, None);
}

#[test]
fn every_field_arrives() {
    let (request, choices) = decode(json!({
        "prompt": [[1, 2], [3]], "suffix": "end", "echo": true, "n": 2, "best_of": 4,
        "logprobs": 5, "max_tokens": 9, "stop": ["a"], "user": "u", "unknown": 1,
    }))
    .unwrap();
    assert_eq!(choices, 4);
    let completion = prompt(&request);
    assert_eq!(completion.inputs.len(), 2);
    assert_eq!(
        (completion.suffix.as_deref(), completion.echo),
        (Some("end"), true)
    );
    assert_eq!(
        (request.choices, request.best_of, request.logprobs),
        (2, Some(4), Some(5))
    );
    assert_eq!(request.max_output_tokens, Some(9));
    assert_eq!(request.unconsumed.as_deref(), Some(r#"{"unknown":1}"#));
    assert_eq!(
        decode(json!({"max_tokens": -1}))
            .unwrap()
            .0
            .max_output_tokens,
        None
    );
}

#[test]
fn wrong_fields_are_named() {
    for (extra, expected) in [
        (json!({"prompt": null}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": {"a": 1}}), "prompt"),
        (json!({"suffix": 1}), "suffix"),
        (json!({"echo": "yes"}), "echo"),
        (json!({"n": 3, "best_of": 2}), "best_of"),
        (json!({"best_of": 2, "stream": true}), "best_of"),
        (json!({"logprobs": 21}), "logprobs"),
        (json!({"logprobs": true}), "logprobs"),
    ] {
        assert_eq!(param(decode(extra.clone())), expected, "{extra}");
    }
}
