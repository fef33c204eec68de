//! Templates in the manner of the published ones against Jinja2's own output, the loading rules,
//! folding, and hostile templates.

use std::time::Duration;

use super::*;

const CASES: &str = include_str!("../../../tests/fixtures/templates/cases.json");

fn source(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::from_source(
        source,
        &json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}}),
    )
    .unwrap()
}

fn conversation<'a>(messages: &'a [Value], variables: &'a Map<String, Value>) -> Conversation<'a> {
    Conversation {
        messages,
        tools: None,
        variables,
        add_generation_prompt: true,
        continue_final_message: false,
        now: SystemTime::UNIX_EPOCH,
    }
}

fn render(template: &ChatTemplate, messages: &Value) -> Result<String, TextError> {
    template.render(&conversation(messages.as_array().unwrap(), &Map::new()))
}

/// cases.json holds what Jinja2 itself wrote (generate.py beside it).
#[test]
fn every_case_equals_jinja2() {
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(cases["now"].as_u64().unwrap());
    let mut refused = 0;
    for case in cases["cases"].as_array().unwrap() {
        let template = template(&source(case["template"].as_str().unwrap()));
        let label = format!("{} {}", case["template"], case["name"]);
        let messages = case["messages"].as_array().unwrap();
        let variables = case["variables"].as_object().cloned().unwrap_or_default();
        let rendered = template.render(&Conversation {
            tools: case.get("tools"),
            add_generation_prompt: case["add_generation_prompt"].as_bool().unwrap_or(true),
            now,
            ..conversation(messages, &variables)
        });
        if let Some(expected) = case["output"].as_str() {
            assert_eq!(rendered.as_deref(), Ok(expected), "{label}");
        } else if messages.iter().any(|message| message["role"] == "system") {
            // Jinja2 refuses; we fold the system message and go on.
            assert!(rendered.unwrap().contains("Be brief.\n\n"), "{label}");
        } else {
            let message = case["refused"].as_str().unwrap().to_owned();
            assert_eq!(
                rendered,
                Err(TextError::TemplateRefused(message)),
                "{label}"
            );
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[test]
fn features_are_found_by_trying() {
    // What a template teaches the model to write has tests of its own, in `output`.
    let features = |name: &str| TemplateFeatures {
        output: OutputSyntax::default(),
        ..template(&source(name)).features()
    };
    let all = TemplateFeatures {
        tools: true,
        system: true,
        late_system: true,
        enable_thinking: true,
        ..TemplateFeatures::default()
    };
    assert_eq!(features("qwen3.jinja"), all);
    assert_eq!(
        features("llama3.jinja"),
        TemplateFeatures {
            enable_thinking: false,
            ..all
        }
    );
    assert_eq!(
        features("chatml.jinja"),
        TemplateFeatures {
            tools: false,
            enable_thinking: false,
            ..all
        }
    );
    assert_eq!(features("gemma.jinja"), TemplateFeatures::default());
    let mistral = features("mistral.jinja");
    assert!(mistral.tools && mistral.system && !mistral.late_system);
}

#[test]
fn system_messages_are_folded_where_they_cannot_stand() {
    let late = json!([
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "system", "content": "now in French"}, {"role": "developer", "content": "and short"},
        {"role": "user", "content": "c"},
    ]);
    let rendered = render(&template(&source("gemma.jinja")), &late).unwrap();
    assert!(
        rendered.contains("<start_of_turn>user\nnow in French\n\nand short\n\nc<end_of_turn>"),
        "{rendered}"
    );
    // A template that can hold it gets it as it is, under the name every template knows.
    let rendered = render(&template(&source("chatml.jinja")), &late).unwrap();
    assert!(
        rendered.contains("<|im_start|>system\nand short<|im_end|>"),
        "{rendered}"
    );
    // At the end there is no user message to fold into.
    let last = json!([{"role": "system", "content": "hello"}]);
    let rendered = render(&template(&source("gemma.jinja")), &last).unwrap();
    assert!(
        rendered.contains("<start_of_turn>user\nhello<end_of_turn>"),
        "{rendered}"
    );
}

#[test]
fn messages_are_evened_out() {
    let template = template("{{ messages | tojson }}");
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"function": {"name": "f", "arguments": "{\"x\": 1}"}}, {"function": {"name": "g", "arguments": "not json"}},
            {"name": "h", "arguments": "{}"}]},
    ]);
    let rendered: Value = serde_json::from_str(&render(&template, &messages).unwrap()).unwrap();
    assert_eq!(rendered[0]["content"], "a\nb");
    assert_eq!(rendered[1]["content"], messages[1]["content"]);
    assert_eq!(rendered[2]["content"], "");
    assert_eq!(
        rendered[2]["tool_calls"][0]["function"]["arguments"],
        json!({"x": 1})
    );
    assert_eq!(
        rendered[2]["tool_calls"][1]["function"]["arguments"],
        "not json"
    );
    assert_eq!(rendered[2]["tool_calls"][2]["arguments"], json!({}));
    for bad in [
        json!(["x"]),
        json!([{"content": "x"}]),
        json!([{"role": 1}]),
    ] {
        assert!(matches!(
            render(&template, &bad),
            Err(TextError::Conversation { .. })
        ));
    }
}

#[test]
fn the_last_message_can_be_continued() {
    for (name, text) in [
        ("chatml.jinja", "The answer is "),
        ("llama3.jinja", "The answer is "),
        ("gemma.jinja", "x"),
    ] {
        let template = template(&source(name));
        let messages =
            json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": text}]);
        let rendered = template
            .render(&Conversation {
                continue_final_message: true,
                ..conversation(messages.as_array().unwrap(), &Map::new())
            })
            .unwrap();
        assert!(
            rendered.trim_end().ends_with(text.trim_end()),
            "{name}: {rendered:?}"
        );
        // ChatML keeps the space at the end, the others trim it themselves.
        assert_eq!(rendered.ends_with("is "), name == "chatml.jinja");
    }
    let messages = [json!({"role": "assistant", "content": " "})];
    let variables = Map::new();
    let empty = Conversation {
        continue_final_message: true,
        ..conversation(&messages, &variables)
    };
    assert!(matches!(
        template(&source("chatml.jinja")).render(&empty),
        Err(TextError::Conversation { .. })
    ));
}

#[test]
fn variables_reach_the_template_but_replace_nothing() {
    let template = template(
        "{{ messages[0].role }} {{ mood }} {{ add_generation_prompt }} {{ bos_token }}{{ pad_token }}",
    );
    let variables = json!({"mood": "good", "messages": [], "add_generation_prompt": "x"});
    let messages = [json!({"role": "user", "content": ""})];
    let rendered = template
        .render(&conversation(&messages, variables.as_object().unwrap()))
        .unwrap();
    assert_eq!(rendered, "user good True <s>");
}

#[test]
fn templates_are_found_in_all_places() {
    let write = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    };
    let field = ("tokenizer_config.json", r#"{"chat_template": "field"}"#);
    let list = r#"{"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with {{ tools[0] }}"}]}"#;
    let messages = [json!({"role": "user", "content": ""})];
    for (files, tools, expected) in [
        (vec![field], None, "field"),
        (
            vec![
                field,
                ("chat_template.json", r#"{"chat_template": "json"}"#),
            ],
            None,
            "json",
        ),
        (vec![field, ("chat_template.jinja", "own")], None, "own"),
        (vec![("tokenizer_config.json", list)], None, "plain"),
        (
            vec![("tokenizer_config.json", list)],
            Some(json!(["t"])),
            "with t",
        ),
        (
            vec![("tokenizer_config.json", list)],
            Some(json!([])),
            "plain",
        ),
    ] {
        let folder = write(&files);
        let template = ChatTemplate::read(folder.path()).unwrap().unwrap();
        let variables = Map::new();
        let conversation = Conversation {
            tools: tools.as_ref(),
            ..conversation(&messages, &variables)
        };
        assert_eq!(template.render(&conversation).unwrap(), expected);
    }
    assert!(ChatTemplate::read(write(&[]).path()).unwrap().is_none());
    let broken = write(&[("chat_template.jinja", "{% if %}")]);
    assert!(matches!(
        ChatTemplate::read(broken.path()),
        Err(TextError::TemplateSyntax(_))
    ));
    let odd = write(&[(
        "tokenizer_config.json",
        r#"{"chat_template": [{"name": 1}]}"#,
    )]);
    assert!(matches!(
        ChatTemplate::read(odd.path()),
        Err(TextError::TemplateSyntax(_))
    ));
}

/// Each would take for ever, or all memory, or the stack; each must be a typed error.
#[test]
fn hostile_templates_are_stopped() {
    let doubling = |body: &str| {
        let grow = "{% set a = [a, a, a, a, a, a, a, a] %}".repeat(20);
        format!("{{% set a = ['x'] %}}{grow}{body}")
    };
    let cases = [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}".to_owned(),
        "{{ 'x' * 99999999 }}{{ 'x' * 99999999 }}".to_owned(),
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}".to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}".to_owned(),
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns | tojson }}".to_owned(),
        doubling("{{ a }}"),
        doubling("{{ a | tojson }}"),
        doubling("{{ a | string }}"),
        doubling("{% set b %}{{ a }}{% endset %}"),
        doubling("{{ a | map('string') | list }}"),
        doubling("{{ 'x'.replace(a, 'y') }}"),
        doubling("{{ raise_exception(a) }}"),
        "{{ range(1000000000) | list }}".to_owned(),
        "{{ {'a': 1} | tojson(indent=999999999) }}{{ 1 | tojson(indent=-1) }}".to_owned(),
        "{{ '%999999999d' | format(1) }}".to_owned(),
        "{% include 'x' %}".to_owned(),
        "{{ messages | tojson(separators=7) }}".to_owned(),
        format!("{}{}", "(".repeat(100_000), ")".repeat(100_000)),
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}".to_owned(),
    ];
    for source in cases {
        let result = ChatTemplate::from_source(&source, &Value::Null)
            .and_then(|template| render(&template, &json!([{"role": "user", "content": "x"}])));
        if let Ok(text) = &result {
            assert!(
                text.len() <= dialect::MAX_OUTPUT_BYTES,
                "{}",
                &source[..60.min(source.len())]
            );
            assert!(
                ["(((", "{{ '%999"].iter().any(|ok| source.starts_with(ok)),
                "{}",
                &source[..60.min(source.len())]
            );
        }
    }
}

#[test]
fn nesting_is_limited_before_anything_runs() {
    let source = format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000));
    let error = ChatTemplate::from_source(&source, &Value::Null).unwrap_err();
    assert_eq!(error, TextError::TemplateLimit("nesting"));
}

#[test]
fn limits_are_told_apart() {
    let run = |source: &str| render(&template(source), &json!([])).unwrap_err();
    assert_eq!(
        run("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"),
        TextError::TemplateLimit("work")
    );
    assert_eq!(
        run("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        TextError::TemplateLimit("nesting")
    );
    let big = "{% set s = 'x' * 1000000 %}{% for i in range(40) %}{{ s }}{% endfor %}";
    assert_eq!(run(big), TextError::TemplateLimit("output size"));
    assert!(matches!(
        run("{{ nothing.at.all }}"),
        TextError::TemplateFailed(_)
    ));
    assert_eq!(
        run("{{ raise_exception('no') }}"),
        TextError::TemplateRefused("no".to_owned())
    );
}
