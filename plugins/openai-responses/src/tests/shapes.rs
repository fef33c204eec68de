//! Which keys each event of a stream has, and in which order the events come.

use atoll_sdk::types::*;
use serde_json::Value;

use super::*;

/// Each event as its name, without what all share, and its other keys in order of the alphabet.
fn shapes(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\n\n") && !text.contains("\n\n\n") && !text.contains("[DONE]"));
    let shape = |event: &str| {
        let (_, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        let name = data["type"].as_str().unwrap();
        let inside = name.strip_prefix("response.").unwrap();
        let part = |value: &Value| keys(value).join(",");
        let nested = ["item", "part"].map(|key| match data.get(key) {
            Some(value) => format!(" {key}({})", part(value)),
            None => String::new(),
        });
        let keys = keys(&data);
        let own = keys
            .iter()
            .filter(|key| !matches!(key.as_str(), "type" | "sequence_number"));
        let own: Vec<&str> = own.map(String::as_str).collect();
        format!("{inside}: {}{}", own.join(","), nested.concat())
    };
    let mut shapes: Vec<String> = text.split_terminator("\n\n").map(shape).collect();
    shapes.dedup();
    shapes
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

/// The events of an answer of these items, between those that every stream starts and ends with.
fn inside(items: &[(u8, Vec<String>)]) -> Vec<String> {
    let mut shapes = shapes(&run(true, [events(items, FinishReason::Stop)]));
    assert_eq!(
        shapes.drain(..2).collect::<Vec<_>>(),
        ["created: response", "in_progress: response"]
    );
    assert_eq!(shapes.pop().unwrap(), "completed: response");
    shapes
}

#[test]
fn reasoning_and_text() {
    let items = [(1, vec!["hm".into(), "m".into()]), (0, vec!["a".into()])];
    assert_eq!(
        inside(&items),
        [
            "output_item.added: item,output_index item(id,summary,type)",
            "reasoning_summary_part.added: item_id,output_index,part,summary_index part(text,type)",
            "reasoning_summary_text.delta: delta,item_id,output_index,summary_index",
            "reasoning_summary_text.done: item_id,output_index,summary_index,text",
            "reasoning_summary_part.done: item_id,output_index,part,summary_index part(text,type)",
            "output_item.done: item,output_index item(encrypted_content,id,summary,type)",
            "output_item.added: item,output_index item(content,id,role,status,type)",
            "content_part.added: content_index,item_id,output_index,part part(annotations,logprobs,text,type)",
            "output_text.delta: content_index,delta,item_id,logprobs,output_index",
            "output_text.done: content_index,item_id,logprobs,output_index,text",
            "content_part.done: content_index,item_id,output_index,part part(annotations,logprobs,text,type)",
            "output_item.done: item,output_index item(content,id,role,status,type)",
        ]
    );
}

#[test]
fn calls_one_after_the_other() {
    let call = [
        "output_item.added: item,output_index item(arguments,call_id,id,name,status,type)",
        "function_call_arguments.delta: delta,item_id,output_index",
        "function_call_arguments.done: arguments,item_id,name,output_index",
        "output_item.done: item,output_index item(arguments,call_id,id,name,status,type)",
    ];
    let items = [(2, vec!["x".into()]), (2, vec!["y".into()])];
    assert_eq!(inside(&items), [call, call].concat());
}

/// A part that is announced is in the item, and the other way round.
#[test]
fn reasoning_without_a_word_has_no_part() {
    assert_eq!(
        inside(&[(1, vec![String::new()])]),
        [
            "output_item.added: item,output_index item(id,summary,type)",
            "output_item.done: item,output_index item(encrypted_content,id,summary,type)",
        ]
    );
}
