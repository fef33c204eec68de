//! The dialect as the host drives it.

use std::time::Duration;

use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::OllamaExchange;

fn exchange(method: &str, path: &str, body: &Value) -> OllamaExchange {
    OllamaExchange::new(HttpRequest {
        id: "7".into(),
        method: method.into(),
        path: path.into(),
        path_params: vec![],
        query: vec![],
        headers: vec![],
        body: if body.is_null() {
            vec![]
        } else {
            body.to_string().into_bytes()
        },
        received_at: 1_795_478_400,
        ext: None,
    })
    .timed_by(|| Duration::from_millis(1_795_478_400_250))
}

fn generate(path: &str, body: &Value) -> Result<GenerateRequest, Error> {
    match exchange("POST", path, body).decode()? {
        Operation::Generate(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_chat_keeps_everything() {
    let request = generate(
        "/api/chat",
        &json!({
            "model": "m:latest",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Weather?", "images": ["iVBORw=="]},
                {"role": "assistant", "content": "", "thinking": "Look.", "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Tunis"}}},
                    {"function": {"name": "weather", "arguments": {}}}]},
                {"role": "tool", "content": "sunny", "tool_name": "weather"},
                {"role": "tool", "content": "rain", "tool_name": "weather"},
            ],
            "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
            "format": {"type": "object"},
            "think": "low",
            "keep_alive": "10m",
            "options": {"temperature": 0, "num_predict": -1, "seed": 7, "stop": ["X"], "num_ctx": 4096, "num_gpu": 1, "top_k": 0},
            "logprobs": true, "top_logprobs": 2,
        }),
    )
    .unwrap();
    assert_eq!(request.model, "m");
    assert!(request.streaming.enabled, "streaming is the default");
    let Prompt::Conversation(messages) = &request.prompt else {
        panic!()
    };
    assert_eq!(messages.len(), 5);
    let ids: Vec<&str> = messages
        .iter()
        .flat_map(|m| &m.parts)
        .filter_map(|part| match &part.content {
            PartContent::ToolCall(call) => Some(call.call_id.as_str()),
            PartContent::ToolResult(result) => Some(result.call_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        ids,
        ["call_0", "call_1", "call_0", "call_1"],
        "results find their calls"
    );
    assert_eq!(request.sampling.temperature, Some(0.0));
    assert_eq!(
        request.sampling.top_k,
        Some(0),
        "0 is all, whatever the model's own is"
    );
    assert_eq!(request.sampling.top_p, Some(0.9), "Ollama's default");
    assert_eq!(request.sampling.seed, Some(7));
    assert_eq!(request.max_output_tokens, None);
    assert_eq!(request.keep_alive, Some(KeepAlive::ForMs(600_000)));
    assert_eq!(request.reasoning.effort.as_deref(), Some("low"));
    assert_eq!(request.logprobs, Some(2));
    assert!(matches!(request.format, OutputFormat::JsonSchema(_)));
    assert_eq!(
        request.unconsumed.as_deref(),
        Some("{\"options\":{\"num_gpu\":1}}")
    );
    let ext: Value = serde_json::from_str(request.ext.as_deref().unwrap()).unwrap();
    assert_eq!(
        ext,
        json!({"context_length": 4096, "keep": 4, "slide": true, "require_reasoning": true})
    );
    assert_eq!(request.overflow, Overflow::TruncateOldest, "Ollama's habit");
}

#[test]
fn what_does_not_fit_is_cut_or_refused_as_asked() {
    let asked = |more: Value| {
        let mut body = json!({"model": "m", "prompt": "x"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let request = generate("/api/generate", &body).unwrap();
        let ext: Value = serde_json::from_str(request.ext.as_deref().unwrap()).unwrap();
        (
            request.overflow,
            ext["slide"].as_bool().unwrap(),
            ext["keep"].as_u64().unwrap(),
        )
    };
    assert_eq!(asked(json!({})), (Overflow::TruncateOldest, true, 4));
    assert_eq!(
        asked(json!({"truncate": false})),
        (Overflow::Refuse, true, 4)
    );
    assert_eq!(
        asked(json!({"shift": false})),
        (Overflow::TruncateOldest, false, 4)
    );
    let keep = json!({"options": {"num_keep": -1}});
    assert_eq!(
        asked(keep),
        (Overflow::TruncateOldest, true, u64::from(u32::MAX))
    );
}

#[test]
fn what_a_model_lacks_is_said_in_the_words_clients_look_for() {
    let body = json!({"model": "m:latest", "messages": [{"role": "user", "content": "x"}]});
    for (param, ability) in [
        ("tools", "tools"),
        ("reasoning", "thinking"),
        ("suffix", "insert"),
    ] {
        let mut exchange = exchange("POST", "/api/chat", &body);
        exchange.decode().unwrap();
        let reply = exchange.fail(Error::unsupported(param, "long explanation"));
        let said: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            said["error"],
            format!("\"m:latest\" does not support {ability}")
        );
        assert_eq!(reply.head.status, 400);
    }
}

#[test]
fn raw_and_suffix_skip_the_template() {
    let body = json!({"model": "m", "prompt": "def f(", "suffix": "return", "stream": false});
    let request = generate("/api/generate", &body).unwrap();
    assert!(
        matches!(&request.prompt, Prompt::Completion(c) if c.suffix.as_deref() == Some("return"))
    );
    let request = generate(
        "/api/generate",
        &json!({"model": "m", "prompt": "x", "system": "s"}),
    )
    .unwrap();
    assert!(matches!(&request.prompt, Prompt::Conversation(messages) if messages.len() == 2));
}

#[test]
fn nothing_to_say_loads_or_unloads() {
    for (path, body, reason) in [
        ("/api/chat", json!({"model": "m", "messages": []}), "load"),
        (
            "/api/generate",
            json!({"model": "m", "keep_alive": 0}),
            "unload",
        ),
    ] {
        let mut exchange = exchange("POST", path, &body);
        assert!(matches!(exchange.decode(), Ok(Operation::LoadModel(_))));
        let reply = exchange.reply(OperationResult::None).unwrap();
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (body["done"].as_bool(), body["done_reason"].as_str()),
            (Some(true), Some(reason))
        );
    }
}

#[test]
fn nothing_to_embed_loads_the_model() {
    for (path, body, said) in [
        (
            "/api/embed",
            json!({"model": "m", "input": []}),
            json!({"model": "m", "embeddings": []}),
        ),
        (
            "/api/embed",
            json!({"model": "m", "input": ""}),
            json!({"model": "m", "embeddings": []}),
        ),
        (
            "/api/embeddings",
            json!({"model": "m"}),
            json!({"embedding": []}),
        ),
    ] {
        let mut exchange = exchange("POST", path, &body);
        assert!(matches!(exchange.decode(), Ok(Operation::LoadModel(_))));
        let reply = exchange.reply(OperationResult::None).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), said);
    }
}

#[test]
fn any_whole_number_is_a_seed() {
    for (seed, read) in [
        (
            json!(5_577_006_791_947_779_410_i64),
            Some(5_577_006_791_947_779_410),
        ),
        (json!(40.0), Some(40)),
        (json!(-2), Some(u64::MAX - 1)),
        (json!(-1), None),
    ] {
        let body = json!({"model": "m", "prompt": "x", "options": {"seed": seed}});
        let Operation::Generate(request) =
            exchange("POST", "/api/generate", &body).decode().unwrap()
        else {
            panic!("{seed}")
        };
        assert_eq!(request.sampling.seed, read);
    }
}

#[test]
fn what_is_wrong_is_said_in_ollamas_words() {
    for (path, body, said) in [
        ("/api/chat", Value::Null, "missing request body"),
        ("/api/chat", json!({"messages": []}), "model is required"),
        (
            "/api/chat",
            json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "options": {"seed": "x"}}),
            "option \"seed\" must be of type integer",
        ),
        (
            "/api/generate",
            json!({"model": "m", "prompt": "x", "raw": true, "system": "s"}),
            "raw mode does not support template, system, or context",
        ),
    ] {
        let mut exchange = exchange("POST", path, &body);
        let error = exchange.decode().unwrap_err();
        let reply = exchange.fail(error);
        assert_eq!(reply.head.status, 400);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body, json!({ "error": said }));
    }
    for path in ["/api/create", "/api/push", "/api/blobs/sha256:0"] {
        let mut exchange = exchange("POST", path, &json!({"model": "m"}));
        let error = exchange.decode().unwrap_err();
        assert!(error.message.contains("put a model's folder"));
        assert_eq!(exchange.fail(error).head.status, 400);
    }
    let missing = Error::model_not_found("x");
    let reply = exchange("POST", "/api/chat", &Value::Null).fail(missing);
    let said = String::from_utf8(reply.body).unwrap();
    assert_eq!(reply.head.status, 404);
    assert!(
        said.starts_with("{\"error\":\"model 'x' not found;"),
        "{said}"
    );
    assert!(said.contains("/api/tags"), "{said}");
}

#[test]
fn management_routes() {
    let operation =
        |method: &str, path: &str, body: Value| exchange(method, path, &body).decode().unwrap();
    assert!(matches!(
        operation("GET", "/api/tags", Value::Null),
        Operation::ListModels
    ));
    assert!(matches!(
        operation("GET", "/api/ps", Value::Null),
        Operation::ListRunning
    ));
    for named in [
        json!({"name": "m"}),
        json!({"model": "", "name": "m"}),
        json!({"model": "m", "name": ""}),
    ] {
        assert!(
            matches!(operation("POST", "/api/show", named), Operation::ShowModel(m) if m == "m")
        );
    }
    assert!(
        matches!(operation("DELETE", "/api/delete", json!({"model": "m:latest"})), Operation::DeleteModel(m) if m == "m")
    );
    assert!(
        matches!(operation("POST", "/api/pull", json!({"model": "a/b"})), Operation::PullModel(m) if m == "a/b")
    );
    assert!(
        matches!(operation("POST", "/api/copy", json!({"source": "a", "destination": "b"})), Operation::CopyModel((a, b)) if a == "a" && b == "b")
    );
    let mut version = exchange("GET", "/api/version", &Value::Null);
    assert!(matches!(version.decode(), Ok(Operation::None)));
    let reply = version.reply(OperationResult::None).unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(
        body["version"]
            .as_str()
            .unwrap()
            .split('.')
            .all(|n| n.parse::<u32>().is_ok())
    );
}

fn events(items: &[(u8, Vec<String>)]) -> Vec<Event> {
    let mut events = vec![Event::Started(Started {
        response_id: "9".into(),
        created_at: 1_795_478_400,
        model: "m".into(),
        prompt_tokens: 20,
        cached_tokens: 16,
        fingerprint: None,
    })];
    for (index, (kind, pieces)) in items.iter().enumerate() {
        let index = index as u32;
        let item_kind = match kind {
            0 => ItemKind::Message,
            1 => ItemKind::Reasoning,
            _ => ItemKind::ToolCall(ToolCallStart {
                call_id: format!("c{index}"),
                name: "tool".into(),
                namespace: None,
                custom: false,
            }),
        };
        events.push(Event::ItemStarted(Item {
            choice: 0,
            index,
            kind: item_kind,
        }));
        let pieces = match kind {
            2 => json!({"text": pieces.concat()})
                .to_string()
                .chars()
                .map(String::from)
                .collect(),
            _ => pieces.clone(),
        };
        for text in pieces {
            let delta = Delta {
                choice: 0,
                item: index,
                text,
                tokens: vec![],
            };
            events.push(match kind {
                0 => Event::TextDelta(delta),
                1 => Event::ReasoningDelta(delta),
                _ => Event::ArgumentsDelta(delta),
            });
        }
        events.push(Event::ItemFinished(ItemEnd {
            choice: 0,
            item: index,
            complete: true,
            signature: None,
        }));
    }
    events.push(Event::ChoiceFinished(ChoiceEnd {
        choice: 0,
        reason: FinishReason::Stop,
    }));
    events.push(Event::Finished(Finished {
        usage: Usage {
            prompt_tokens: 20,
            cached_tokens: 16,
            cache_written_tokens: 0,
            output_tokens: 7,
            reasoning_tokens: 2,
        },
        timings: Timings {
            queued: 1,
            load: 2,
            prefill: 3,
            decode: 4,
            total: 10,
        },
    }));
    events
}

fn run(path: &str, stream: bool, batches: impl IntoIterator<Item = Vec<Event>>) -> Vec<u8> {
    let body = json!({"model": "m", "prompt": "x", "messages": [{"role": "user", "content": "x"}], "stream": stream});
    let mut exchange = exchange("POST", path, &body);
    exchange.decode().unwrap();
    exchange.head();
    batches
        .into_iter()
        .flat_map(|batch| exchange.encode(batch).unwrap())
        .collect()
}

#[test]
fn each_line_says_when_it_was_made() {
    let items = [
        (1, vec!["hm".into()]),
        (2, vec!["x".into()]),
        (0, vec!["a".into()]),
    ];
    for path in ["/api/chat", "/api/generate"] {
        for stream in [true, false] {
            let sent = String::from_utf8(run(path, stream, [events(&items)])).unwrap();
            assert_eq!(sent.ends_with('\n'), stream);
            for line in sent.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["created_at"], "2026-11-24T00:00:00.250Z");
            }
        }
    }
    let mut load = exchange("POST", "/api/generate", &json!({"model": "m"}));
    load.decode().unwrap();
    let reply = load.reply(OperationResult::None).unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["created_at"], "2026-11-24T00:00:00.250Z");
}

/// The keys of each line, in the order in which Ollama writes them: its own tests read them so.
#[test]
fn each_line_has_the_keys_that_ollamas_have() {
    let items = [
        (1, vec!["hm".into()]),
        (2, vec!["x".into()]),
        (0, vec!["a".into()]),
    ];
    let sent = String::from_utf8(run("/api/chat", true, [events(&items)])).unwrap();
    let lines: Vec<Value> = sent
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let messages: Vec<String> = lines.iter().map(|line| keys(&line["message"])).collect();
    assert_eq!(
        messages,
        [
            "role content thinking",
            "role content tool_calls",
            "role content",
            "role content"
        ]
    );
    let (last, others) = lines.split_last().unwrap();
    assert!(
        others
            .iter()
            .all(|line| keys(line) == "model created_at message done")
    );
    assert_eq!(
        keys(last),
        "model created_at message done done_reason total_duration load_duration \
         prompt_eval_count prompt_eval_duration eval_count eval_duration"
    );
    let call = &lines[1]["message"]["tool_calls"][0];
    assert_eq!(
        (keys(call), keys(&call["function"])),
        ("id function".into(), "index name arguments".into())
    );
}

proptest! {
    #[test]
    fn the_lines_add_up_to_the_whole_answer(
        items in prop::collection::vec((0u8..3, prop::collection::vec("[a-zé\"\\\\\\n]{0,5}", 0..4)), 0..5),
        cuts in prop::collection::vec(1usize..6, 1..40),
    ) {
        let whole: Value = serde_json::from_slice(&run("/api/chat", false, [events(&items)])).unwrap();
        let mut batches = Vec::new();
        let mut rest = events(&items);
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() { break }
            let tail = rest.split_off(cut.min(rest.len()));
            batches.push(std::mem::replace(&mut rest, tail));
        }
        let bytes = run("/api/chat", true, batches);
        let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
        let lines: Vec<Value> = std::str::from_utf8(&bytes).unwrap().lines()
            .map(|line| serde_json::from_str(line).unwrap()).collect();
        for (at, line) in lines.iter().enumerate() {
            prop_assert_eq!(line["done"].as_bool(), Some(at + 1 == lines.len()));
            let message = &line["message"];
            text.push_str(message["content"].as_str().unwrap());
            thinking.push_str(message["thinking"].as_str().unwrap_or_default());
            calls.extend(message["tool_calls"].as_array().cloned().unwrap_or_default());
        }
        let message = &whole["message"];
        prop_assert_eq!(&text, message["content"].as_str().unwrap());
        prop_assert_eq!(&thinking, message["thinking"].as_str().unwrap_or_default());
        prop_assert_eq!(&calls, &message["tool_calls"].as_array().cloned().unwrap_or_default());
        let last = lines.last().unwrap();
        for key in ["done_reason", "prompt_eval_count", "eval_count", "total_duration", "eval_duration"] {
            prop_assert_eq!(&last[key], &whole[key]);
        }
    }

    #[test]
    fn the_lines_of_generate_add_up_to_its_whole_answer(
        items in prop::collection::vec((0u8..2, prop::collection::vec("[a-zé\"\\\\\\n]{0,5}", 0..4)), 0..5),
        size in 1usize..6,
    ) {
        let whole: Value = serde_json::from_slice(&run("/api/generate", false, [events(&items)])).unwrap();
        let batches: Vec<Vec<Event>> = events(&items).chunks(size).map(<[Event]>::to_vec).collect();
        let bytes = run("/api/generate", true, batches);
        let lines: Vec<Value> = std::str::from_utf8(&bytes).unwrap().lines()
            .map(|line| serde_json::from_str(line).unwrap()).collect();
        for key in ["response", "thinking"] {
            let sum: String = lines.iter().filter_map(|line| line[key].as_str()).collect();
            prop_assert_eq!(&sum, whole[key].as_str().unwrap_or_default());
        }
        let done: Vec<bool> = lines.iter().map(|line| line["done"].as_bool().unwrap()).collect();
        prop_assert_eq!(done.iter().filter(|done| **done).count(), 1);
        prop_assert_eq!(done.last(), Some(&true));
    }

    #[test]
    fn a_stream_that_fails_anywhere_ends_with_the_error(
        items in prop::collection::vec((0u8..3, prop::collection::vec("[a-z]{0,5}", 0..4)), 0..5),
        at in any::<prop::sample::Index>(),
    ) {
        let mut events = events(&items);
        events.truncate(1 + at.index(events.len() - 1));
        events.push(Event::Failed(Error::internal("broken")));
        let bytes = run("/api/chat", true, [events]);
        let lines: Vec<Value> = std::str::from_utf8(&bytes).unwrap().lines()
            .map(|line| serde_json::from_str(line).unwrap()).collect();
        let (last, before) = lines.split_last().unwrap();
        prop_assert_eq!(last, &json!({"error": "broken"}));
        prop_assert!(before.iter().all(|line| line["done"] == false && line.get("error").is_none()));
    }
}

#[test]
fn generate_says_response() {
    let bytes = run(
        "/api/generate",
        false,
        [events(&[(1, vec!["hm".into()]), (0, vec!["hi".into()])])],
    );
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (body["response"].as_str(), body["thinking"].as_str()),
        (Some("hi"), Some("hm"))
    );
    assert_eq!(body["model"], "m", "as the client spelled it");
    assert_eq!(body["eval_count"], 7);
}

/// A client that knows nothing but `context` has a conversation.
#[test]
fn context_carries_the_conversation() {
    for stream in [false, true] {
        let first = json!({"model": "m", "prompt": "My name is Ada.", "system": "Be kind.", "stream": stream});
        let mut first = exchange("POST", "/api/generate", &first);
        first.decode().unwrap();
        let bytes = first
            .encode(events(&[(0, vec!["Hello ".into(), "Ada".into()])]))
            .unwrap();
        let last = std::str::from_utf8(&bytes).unwrap().lines().last().unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["response"], if stream { "" } else { "Hello Ada" });
        let second = json!({"model": "m", "prompt": "Who am I?", "context": last["context"]});
        let request = generate("/api/generate", &second).unwrap();
        let Prompt::Conversation(messages) = request.prompt else {
            panic!()
        };
        let texts: Vec<(Role, &str)> = messages
            .iter()
            .map(|message| match &message.parts[0].content {
                PartContent::Text(text) => (message.role, text.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            texts,
            [
                (Role::System, "Be kind."),
                (Role::User, "My name is Ada."),
                (Role::Assistant, "Hello Ada"),
                (Role::User, "Who am I?"),
            ]
        );
    }
    let foreign = json!({"model": "m", "prompt": "x", "context": [1, 2, 3]});
    let error = generate("/api/generate", &foreign).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("context"));
}

#[test]
fn a_template_makes_the_prompt() {
    let body = json!({"model": "m", "prompt": "Hi", "system": "S", "template": "[{{ .System }}] {{ .Prompt }} ->{{ .Response }}"});
    let request = generate("/api/generate", &body).unwrap();
    let Prompt::Completion(completion) = request.prompt else {
        panic!()
    };
    assert!(completion.raw);
    assert!(matches!(&completion.inputs[..], [CompletionInput::Text(text)] if text == "[S] Hi ->"));
}

/// Models give their calls ids; clients answer them by name and place only.
#[test]
fn results_without_ids_find_their_calls() {
    let call =
        |id: &str, name: &str| json!({"id": id, "function": {"name": name, "arguments": {}}});
    let request = generate(
        "/api/chat",
        &json!({"model": "m", "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "tool_calls": [call("p", "time"), call("q", "weather"), call("r", "time")]},
            {"role": "tool", "content": "1", "tool_name": "weather"},
            {"role": "tool", "content": "2", "tool_name": "time"},
            {"role": "tool", "content": "3"},
        ]}),
    )
    .unwrap();
    let Prompt::Conversation(messages) = request.prompt else {
        panic!()
    };
    let ids: Vec<&str> = messages[2..]
        .iter()
        .map(|message| match &message.parts[0].content {
            PartContent::ToolResult(result) => result.call_id.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, ["q", "p", "r"]);
}

#[test]
fn a_pull_tells_its_progress() {
    let pull = |stream: bool, last: Event| {
        let mut exchange = exchange(
            "POST",
            "/api/pull",
            &json!({"model": "hf.co/a/b", "stream": stream}),
        );
        assert!(matches!(exchange.decode(), Ok(Operation::PullModel(name)) if name == "a/b"));
        let progress = |detail: Option<&str>, done, total| {
            Event::Progress(Progress {
                phase: Phase::Transfer,
                done,
                total,
                detail: detail.map(str::to_owned),
            })
        };
        let digest = format!("pulling sha256:{}", "ab".repeat(32));
        let events = vec![
            progress(None, 0, 0),
            progress(Some(&digest), 5, 9),
            progress(Some("verifying sha256 digest"), 0, 0),
            last,
        ];
        String::from_utf8(exchange.encode(events).unwrap()).unwrap()
    };
    let finished = || events(&[]).pop().unwrap();
    let expected = format!(
        "{{\"status\":\"pulling manifest\"}}\n\
         {{\"status\":\"pulling abababababab\",\"digest\":\"sha256:{}\",\"total\":9,\"completed\":5}}\n\
         {{\"status\":\"verifying sha256 digest\"}}\n{{\"status\":\"success\"}}\n",
        "ab".repeat(32)
    );
    assert_eq!(pull(true, finished()), expected);
    assert_eq!(pull(false, finished()), "{\"status\":\"success\"}\n");
    let failed = Event::Failed(Error::new(ErrorKind::NotFound, "gone"));
    assert_eq!(pull(false, failed), "{\"error\":\"gone\"}\n");
}

#[test]
fn a_failure_in_the_stream_is_a_last_line() {
    let started = events(&[]).remove(0);
    let bytes = run(
        "/api/chat",
        true,
        [vec![started, Event::Failed(Error::internal("broken"))]],
    );
    assert_eq!(bytes, b"{\"error\":\"broken\"}\n");
}
