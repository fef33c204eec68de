//! A client that accumulates a stream by the official clients' rules and is unforgiving where they
//! are, and where naive users of them are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// How a stream ended.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// `[DONE]`, with the whole answer.
    Done(Value),
    /// An error object.
    Failed(Value),
}

/// The data lines of a stream: nothing else but comments is allowed, and each event is one line.
pub(super) fn data_lines(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    if !text.is_empty() && !text.ends_with("\n\n") {
        return Err("the last event is not finished".to_owned());
    }
    let mut lines = Vec::new();
    for event in text.split_terminator("\n\n") {
        if event.contains('\n') {
            return Err(format!("more than one line: {event}"));
        }
        match event.strip_prefix("data: ") {
            Some(data) => lines.push(data.to_owned()),
            None if event.starts_with(": ") => {}
            None => return Err(format!("neither data nor comment: {event}")),
        }
    }
    Ok(lines)
}

/// Accumulates a stream of chat completion chunks into the body it stands for.
pub(super) fn chat(bytes: &[u8], include_usage: bool) -> Result<End, String> {
    accumulate(bytes, include_usage, "chat.completion.chunk", merge_chat)
}

/// Accumulates a stream of completions.
pub(super) fn completion(bytes: &[u8], include_usage: bool) -> Result<End, String> {
    accumulate(bytes, include_usage, "text_completion", merge_completion)
}

type Merge = fn(&mut Map<String, Value>, &Map<String, Value>) -> Result<(), String>;

fn accumulate(
    bytes: &[u8],
    include_usage: bool,
    object: &str,
    merge: Merge,
) -> Result<End, String> {
    let mut preamble: Option<Value> = None;
    let mut choices: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    let mut usage = Value::Null;
    let mut lines = data_lines(bytes)?.into_iter();
    while let Some(line) = lines.next() {
        let rest = lines.len();
        if line == "[DONE]" {
            if rest > 0 {
                return Err("something follows [DONE]".to_owned());
            }
            if include_usage && usage.is_null() {
                return Err("no usage".to_owned());
            }
            let list: Vec<Value> = choices.into_values().map(Value::Object).collect();
            if let Some(open) = list.iter().find(|choice| choice["finish_reason"].is_null()) {
                return Err(format!("never finished: {open}"));
            }
            let mut whole = preamble.unwrap_or_default();
            whole["choices"] = Value::Array(list);
            whole["usage"] = usage;
            return Ok(End::Done(whole));
        }
        let chunk: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        if !chunk["error"].is_null() {
            return if rest == 0 {
                Ok(End::Failed(chunk))
            } else {
                Err("error, then more".into())
            };
        }
        if !usage.is_null() {
            return Err("a chunk after the usage chunk loses it".to_owned());
        }
        if chunk["object"] != object {
            return Err(format!("object of {line}"));
        }
        let mut same = json!({
            "id": chunk["id"], "created": chunk["created"], "model": chunk["model"],
            "system_fingerprint": chunk["system_fingerprint"],
        });
        // Chats have one, completions none.
        if let Some(tier) = chunk.get("service_tier") {
            same["service_tier"] = tier.clone();
        }
        if *preamble.get_or_insert_with(|| same.clone()) != same {
            return Err(format!("the preamble changed: {line}"));
        }
        let list = chunk["choices"].as_array().ok_or("choices is no list")?;
        match (include_usage, chunk.get("usage")) {
            (false, None) | (true, Some(Value::Null)) if list.len() == 1 => {}
            (true, Some(counts)) if counts.is_object() && list.is_empty() => {
                usage = counts.clone();
            }
            _ => return Err(format!("usage of {line}")),
        }
        for choice in list {
            let choice = choice.as_object().ok_or("a choice is no object")?;
            let index = choice["index"].as_u64().ok_or("a choice without index")?;
            let whole = choices.entry(index).or_insert_with(|| {
                let mut whole = Map::new();
                whole.insert("index".to_owned(), json!(index));
                whole.insert("finish_reason".to_owned(), Value::Null);
                whole
            });
            if !whole["finish_reason"].is_null() {
                return Err(format!("after its finish: {line}"));
            }
            merge(whole, choice)?;
            whole.insert("finish_reason".to_owned(), choice["finish_reason"].clone());
        }
    }
    Err("the stream just stops".to_owned())
}

fn merge_chat(whole: &mut Map<String, Value>, choice: &Map<String, Value>) -> Result<(), String> {
    let delta = choice["delta"].as_object().ok_or("no delta")?;
    let first = !whole.contains_key("message");
    if first != delta.contains_key("role") {
        return Err("the role belongs in the first chunk of a choice, and only there".to_owned());
    }
    for call in delta
        .get("tool_calls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let index = call["index"].as_u64().ok_or("a call without index")?;
        let known = whole["message"]["tool_calls"]
            .as_array()
            .map_or(0, Vec::len);
        let new = match usize::try_from(index) {
            Ok(index) if index == known => true,
            Ok(index) if index < known => false,
            _ => return Err(format!("call {index} after {known} calls")),
        };
        let inner = if call["custom"].is_object() {
            &call["custom"]
        } else {
            &call["function"]
        };
        if call.get("id").is_some() != new || call.get("type").is_some() != new {
            return Err("id and type exactly once".to_owned());
        }
        if inner.get("name").is_some() != new {
            return Err("name exactly once".to_owned());
        }
    }
    let message = whole.entry("message").or_insert_with(|| json!({}));
    merge_delta(message.as_object_mut().ok_or("message")?, delta)?;
    merge_lists(whole, &choice["logprobs"])
}

fn merge_completion(
    whole: &mut Map<String, Value>,
    choice: &Map<String, Value>,
) -> Result<(), String> {
    let text = choice["text"].as_str().ok_or("text must be a string")?;
    let so_far = whole
        .get("text")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let text = format!("{so_far}{text}");
    whole.insert("text".to_owned(), json!(text));
    merge_lists(whole, &choice["logprobs"])
}

/// Log probabilities: lists are joined, `null` is nothing.
fn merge_lists(whole: &mut Map<String, Value>, logprobs: &Value) -> Result<(), String> {
    let Some(lists) = logprobs.as_object() else {
        return Ok(());
    };
    let so_far = whole.entry("logprobs").or_insert_with(|| json!({}));
    for (name, list) in lists {
        let Some(list) = list.as_array() else {
            continue;
        };
        let so_far = so_far.as_object_mut().ok_or("logprobs")?;
        let so_far = so_far.entry(name).or_insert_with(|| json!([]));
        so_far
            .as_array_mut()
            .ok_or("a list")?
            .extend(list.iter().cloned());
    }
    Ok(())
}

/// Strings are joined, objects merged, lists merged by `index`; only `index` and `type` overwrite.
fn merge_delta(whole: &mut Map<String, Value>, delta: &Map<String, Value>) -> Result<(), String> {
    for (key, value) in delta {
        match (whole.get_mut(key), value) {
            (None | Some(Value::Null), Value::Array(items)) => {
                whole.insert(key.clone(), Value::Array(items.clone()));
            }
            (None | Some(Value::Null), _) => {
                whole.insert(key.clone(), value.clone());
            }
            (Some(so_far), _) if key == "index" || key == "type" => *so_far = value.clone(),
            (Some(Value::String(so_far)), Value::String(more)) => so_far.push_str(more),
            (Some(Value::Object(so_far)), Value::Object(more)) => merge_delta(so_far, more)?,
            (Some(Value::Array(so_far)), Value::Array(items)) => {
                for item in items {
                    let item = item.as_object().ok_or("a list entry is no object")?;
                    let index = item["index"].as_u64().ok_or("an entry without index")?;
                    let index = usize::try_from(index).map_err(|error| error.to_string())?;
                    match so_far.get_mut(index) {
                        None => so_far.push(Value::Object(item.clone())),
                        Some(entry) => merge_delta(entry.as_object_mut().ok_or("entry")?, item)?,
                    }
                }
            }
            (Some(so_far), more) => return Err(format!("{key}: {so_far} and then {more}")),
        }
    }
    Ok(())
}

/// What remains different between an accumulated stream and a body although they say the same:
/// an empty string and `null`, empty lists and no lists, names of the objects.
pub(super) fn normalized(mut body: Value) -> Value {
    let Some(object) = body.as_object_mut() else {
        return body;
    };
    object.remove("object");
    let choices = object.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) {
            message.remove("annotations");
            message.retain(|_, value| !value.is_null() && value != "");
            let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
            for call in calls.into_iter().flatten().filter_map(Value::as_object_mut) {
                call.remove("index");
            }
        }
        if let Some(lists) = choice.get_mut("logprobs").and_then(Value::as_object_mut) {
            lists.retain(|_, list| list.as_array().is_some_and(|list| !list.is_empty()));
        }
        let empty = |value: &Value| value.as_object().is_none_or(Map::is_empty);
        if choice.get("logprobs").is_some_and(empty) {
            choice.remove("logprobs");
        }
    }
    body
}

/// The accumulator itself must be able to say no.
#[test]
fn malformed_streams_are_refused() {
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let object = "chat.completion.chunk";
        format!(
            "data: {}\n\n",
            json!({"id": "1", "object": object, "choices": [choice]})
        )
    };
    let role = chunk(json!({"role": "assistant", "content": ""}), None);
    let end = chunk(json!({}), Some("stop"));
    let call = |call: Value| chunk(json!({"tool_calls": [call]}), None);
    let first = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f"}});
    let done = "data: [DONE]\n\n";
    let good = format!("{role}{}{end}{done}", call(first.clone()));
    assert!(matches!(chat(good.as_bytes(), false), Ok(End::Done(_))));
    let mut gap = first.clone();
    gap["index"] = json!(1);
    let usage = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{}}\n\n";
    for (bad, include_usage) in [
        (format!("{role}{end}"), false),
        (format!("{role}{done}"), false),
        (format!("{end}{done}"), false),
        (format!("{role}{role}{end}{done}"), false),
        (format!("{role}{end}{end}{done}"), false),
        (format!("{role}{end}{done}{done}"), false),
        (format!("{role}{end}{done}{end}"), false),
        (
            format!("{role}{}{}{end}{done}", call(first.clone()), call(first)),
            false,
        ),
        (format!("{role}{}{end}{done}", call(gap)), false),
        (format!("{role}{end}{done}"), true),
        (format!("{role}{end}{usage}{done}"), false),
        (format!("event: x\n{role}{end}{done}"), false),
        (format!("{role}{end}data: [DONE]"), false),
        (format!("{role}data: {{\"error\":{{}}}}\n\n{done}"), false),
    ] {
        assert!(chat(bad.as_bytes(), include_usage).is_err(), "{bad}");
    }
}
