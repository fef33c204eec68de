//! Whole answers in, events out; and the guarantees of the module for random text and random cuts.

use proptest::prelude::*;

use super::OutputEvent::{CallArguments, CallFinished, CallStarted, Reasoning, Text};
use super::*;

fn syntax(tools: ToolSyntax) -> OutputSyntax {
    OutputSyntax {
        reasoning: Some(ReasoningSyntax::THINK),
        tools: Some(tools),
    }
}

fn names() -> Vec<CallableTool> {
    let parameters =
        serde_json::json!({"properties": {"to": {"type": "string"}, "count": {"type": "integer"}}});
    ["get_weather", "send"]
        .map(|name| CallableTool::new(name, &parameters))
        .into()
}

/// Joins neighbouring pieces of one kind, so that two ways of cutting can be compared.
fn joined(events: Vec<OutputEvent>) -> Vec<OutputEvent> {
    let mut whole: Vec<OutputEvent> = Vec::new();
    for event in events {
        match (whole.last_mut(), event) {
            (Some(Text(before)), Text(text)) | (Some(Reasoning(before)), Reasoning(text)) => {
                before.push_str(&text);
            }
            (
                Some(CallArguments {
                    fragment: before,
                    index: i,
                }),
                CallArguments { fragment, index },
            ) if *i == index => {
                before.push_str(&fragment);
            }
            (_, event) => whole.push(event),
        }
    }
    whole
}

fn parse<'a>(syntax: OutputSyntax, pieces: impl IntoIterator<Item = &'a str>) -> Vec<OutputEvent> {
    let mut parser = OutputParser::new(syntax, names(), false);
    let mut events: Vec<OutputEvent> = pieces.into_iter().flat_map(|p| parser.push(p)).collect();
    events.extend(parser.finish());
    joined(events)
}

fn call(index: usize, name: &str, arguments: &str) -> Vec<OutputEvent> {
    vec![
        CallStarted {
            index,
            name: name.to_owned(),
        },
        CallArguments {
            index,
            fragment: arguments.to_owned(),
        },
        CallFinished {
            index,
            complete: true,
        },
    ]
}

fn text(text: &str) -> Vec<OutputEvent> {
    vec![Text(text.to_owned())]
}

/// A family's fixture: `tests/fixtures/outputs`.
struct Fixture {
    name: String,
    syntax: OutputSyntax,
    /// Why, the answer, what it means.
    cases: Vec<(String, String, Vec<OutputEvent>)>,
}

fn fixtures() -> Vec<Fixture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/outputs");
    let mut all: Vec<Fixture> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let fixture: serde_json::Value = serde_json::from_str(&text).unwrap();
            let string = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let cases = fixture["cases"].as_array().unwrap();
            Fixture {
                name: string(&fixture["family"]),
                syntax: OutputSyntax::detect(fixture["template"].as_str().unwrap()),
                cases: cases
                    .iter()
                    .map(|case| {
                        let events = case["events"].as_array().unwrap();
                        (
                            string(&case["why"]),
                            string(&case["answer"]),
                            meaning(events),
                        )
                    })
                    .collect(),
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The events of a fixture.
fn meaning(events: &[serde_json::Value]) -> Vec<OutputEvent> {
    let mut calls = 0;
    let mut meant = Vec::new();
    for event in events {
        let string = |name: &str| event[name].as_str().map(str::to_owned);
        if let Some(text) = string("text") {
            meant.push(Text(text));
        } else if let Some(text) = string("reasoning") {
            meant.push(Reasoning(text));
        } else {
            let index = calls;
            calls += 1;
            let name = string("call").unwrap();
            meant.push(CallStarted { index, name });
            let fragment = string("arguments").unwrap();
            if !fragment.is_empty() {
                meant.push(CallArguments { index, fragment });
            }
            let complete = event["complete"].as_bool().unwrap_or(true);
            meant.push(CallFinished { index, complete });
        }
    }
    meant
}

/// What no family's fixture says.
fn cases() -> Vec<(ToolSyntax, &'static str, Vec<OutputEvent>)> {
    let h = ToolSyntax::HERMES;
    vec![
        (h, "Hello there. ", text("Hello there. ")),
        (h, "  \n leading stays", text("  \n leading stays")),
        (h, "", vec![]),
        (h, "<think>cut off", vec![Reasoning("cut off".into())]),
        (
            h,
            "a <think> later is text</think>",
            text("a <think> later is text</think>"),
        ),
        (
            h,
            "<tool_call>{\"arguments\": {\"b\": [1, 2]}, \"name\": \"send\", \"id\": 7}</tool_call> done",
            [call(0, "send", "{\"b\": [1, 2]}"), text(" done")].concat(),
        ),
        (
            h,
            "<tool_call>{\"name\": \"send\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>",
            call(0, "send", "{\"a\": 1}"),
        ),
        (
            h,
            "<tool_call>{\"name\": \"send\"}</tool_call>",
            call(0, "send", "{}"),
        ),
        (
            h,
            "x <tool_call> not a call <tool_call>{\"name\": \"send\", \"arguments\": {}}</tool_call>",
            [text("x <tool_call> not a call"), call(0, "send", "{}")].concat(),
        ),
        (
            h,
            "<tool_call>\n{\"name\": ",
            text("<tool_call>\n{\"name\": "),
        ),
        (h, "a < b and <tool", text("a < b and <tool")),
    ]
}

fn by_character(syntax: OutputSyntax, answer: &str) -> Vec<OutputEvent> {
    let pieces: Vec<String> = answer.chars().map(String::from).collect();
    parse(syntax, pieces.iter().map(String::as_str))
}

#[test]
fn every_family_is_recognised_and_understood_whole_and_character_by_character() {
    let fixtures = fixtures();
    assert_eq!(
        fixtures.len(),
        12,
        "a family without a fixture is not served"
    );
    for fixture in fixtures {
        let recognised = fixture.syntax.tools.map(|tools| tools.name);
        assert_eq!(recognised, Some(fixture.name.as_str()));
        for (why, answer, expected) in &fixture.cases {
            let label = format!("{}: {why}: {answer}", fixture.name);
            assert_eq!(
                &parse(fixture.syntax, [answer.as_str()]),
                expected,
                "{label}"
            );
            assert_eq!(&by_character(fixture.syntax, answer), expected, "{label}");
        }
    }
}

#[test]
fn answers_are_understood_whole_and_character_by_character() {
    for (tools, answer, expected) in cases() {
        assert_eq!(parse(syntax(tools), [answer]), expected, "whole: {answer}");
        assert_eq!(
            by_character(syntax(tools), answer),
            expected,
            "by character: {answer}"
        );
    }
}

#[test]
fn a_prompt_that_opened_the_reasoning() {
    let mut parser = OutputParser::new(syntax(ToolSyntax::HERMES), names(), true);
    let mut events = parser.push("because</th");
    events.extend(parser.push("ink>\n\nSo"));
    events.extend(parser.finish());
    assert_eq!(
        joined(events),
        [Reasoning("because".into()), Text("So".into())]
    );
}

#[test]
fn without_markers_to_look_for_text_passes_unchanged() {
    let mut parser = OutputParser::new(OutputSyntax::default(), vec![], false);
    assert_eq!(
        parser.push(" <tool_call> <think> "),
        text(" <tool_call> <think> ")
    );
    assert!(parser.finish().is_empty());
}

#[test]
fn templates_tell_their_syntax() {
    for (template, tools) in [
        ("{{ '<tool_call>' }}</think>", Some(ToolSyntax::HERMES)),
        ("[TOOL_CALLS]{{ x }}", Some(ToolSyntax::MISTRAL)),
        ("[TOOL_CALLS]{{ n }}[ARGS]", Some(ToolSyntax::MISTRAL_NAMED)),
        (
            "<|start_header_id|> {\"name\": function name, \"parameters\": ...}",
            Some(ToolSyntax::LLAMA3),
        ),
        ("<|im_start|>{{ content }}", None),
    ] {
        assert_eq!(OutputSyntax::detect(template).tools, tools, "{template}");
    }
    assert!(OutputSyntax::detect("</think>").reasoning.is_some());
}

fn pieces_of_markup() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ a-zé\\n]{0,6}".prop_map(String::from),
        prop::sample::select(vec![
            "<tool_call>",
            "</tool_call>",
            "<think>",
            "</think>",
            "[TOOL_CALLS]",
            "[ARGS]",
            "[CALL_ID]",
            "<|python_tag|>",
            "<|python_start|>",
            "<|python_end|>",
            "[send(to=\"x\", n=1)",
            "send(",
            "to='",
            "=",
            ")",
            "'",
            "<function=send>",
            "</function>",
            "<parameter=to>",
            "</parameter>",
            "<arg_key>to</arg_key>",
            "<arg_value>",
            "</arg_value>",
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁call▁begin｜>",
            "function<｜tool▁sep｜>send\n```json\n",
            "<｜tool▁sep｜>",
            "```<｜tool▁call▁end｜>",
            "<｜tool▁calls▁end｜>",
            "<|tool_calls_section_begin|>",
            "<|tool_call_begin|>functions.send:0",
            "<|tool_call_argument_begin|>",
            "<|tool_call_end|>",
            "<|start|>",
            "<|channel|>",
            "analysis",
            "commentary to=functions.send ",
            "<|message|>",
            "<|end|>",
            "<|call|>",
            "{\"name\": \"send\", \"arguments\": {\"a\": \"}\"}}",
            "{\"name\": \"send\", \"parameters\": {}}",
            "{\"name\":",
            "\"arguments\":",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "\\",
            ",",
            ";",
            ":",
            "send",
            "<",
            "1.5",
            "مرحبا",
        ])
        .prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn events_do_not_depend_on_the_cuts(
        parts in prop::collection::vec(pieces_of_markup(), 0..14),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        which in 0usize..families::TOOLS.len(),
    ) {
        let tools = families::TOOLS[which].syntax;
        let answer = parts.concat();
        let boundaries: Vec<usize> = answer.char_indices().map(|(at, _)| at).chain([answer.len()]).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| boundaries[cut.index(boundaries.len())]).collect();
        cuts.extend([0, answer.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &answer[pair[0]..pair[1]]);
        let events = parse(syntax(tools), pieces);
        prop_assert_eq!(&events, &parse(syntax(tools), [answer.as_str()]));

        // Calls are numbered in order, never overlap, and always end.
        let mut open = None;
        let mut next = 0;
        for event in &events {
            match event {
                CallStarted { index, name } => {
                    prop_assert_eq!((open, *index), (None, next));
                    prop_assert!(names().iter().any(|tool| tool.name == *name));
                    open = Some(*index);
                    next += 1;
                }
                CallArguments { index, .. } => prop_assert_eq!(open, Some(*index)),
                CallFinished { index, .. } => {
                    prop_assert_eq!(open, Some(*index));
                    open = None;
                }
                Text(text) | Reasoning(text) => {
                    prop_assert!(open.is_none());
                    prop_assert!(!text.is_empty());
                }
            }
        }
        prop_assert_eq!(open, None);
    }

    #[test]
    fn text_without_markers_is_untouched(answer in "[ a-zA-Zé{}\\[\\]:\",.\\n]{0,60}") {
        let plain: String = parse(syntax(ToolSyntax::HERMES), [answer.as_str()])
            .into_iter()
            .map(|event| match event { Text(text) => text, other => format!("{other:?}") })
            .collect();
        prop_assert_eq!(plain, answer);
    }
}

#[test]
fn grammars_for_calls_compile_and_lead_back_to_the_parser() {
    use crate::grammar::{GrammarCompiler, VocabularyEntry};
    let mut vocabulary: Vec<_> = (0..=255u8)
        .map(|b| VocabularyEntry::Bytes(vec![b]))
        .collect();
    for name in ["<|im_end|>", "<tool_call>", "</tool_call>"] {
        vocabulary.push(VocabularyEntry::Special(name.to_owned()));
    }
    let compiler = GrammarCompiler::new(&vocabulary, &[256]).unwrap();
    let special = |marker: &str| match marker {
        "<tool_call>" => Some(257),
        "</tool_call>" => Some(258),
        _ => None,
    };
    let send = |to: serde_json::Value| {
        serde_json::json!({"type": "object", "properties": {"to": to}, "required": ["to"],
            "additionalProperties": false, "$defs": {"Letter": {"enum": ["a", "b"]}, "To": {"$ref": "#/$defs/Letter"}}})
    };
    // In its place, and elsewhere in the tool's own schema, as generators write it.
    for to in [
        serde_json::json!({"enum": ["a", "b"]}),
        serde_json::json!({"$ref": "#/$defs/To"}),
    ] {
        let tools = [
            ToolSpec {
                name: "send".into(),
                parameters: send(to),
            },
            ToolSpec {
                name: "get_weather".into(),
                parameters: serde_json::json!({"type": "object", "properties": {
                    "near": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
                    "unit": {"$ref": "#/definitions/Unit"},
                    "place": {"$ref": "#place"},
                }, "definitions": {"Unit": {"type": "string"}, "Place": {"$anchor": "place", "type": "object"}}}),
            },
        ];
        each_family_calls(&compiler, &vocabulary, &tools, &special);
    }
}

/// A property that refers to something takes the schema along, so text could grow with the schema's square.
#[test]
fn many_references_make_no_more_text_than_a_grammar_may_have() {
    let properties: serde_json::Map<String, serde_json::Value> = (0..2000)
        .map(|i| (format!("p{i}"), serde_json::json!({"$ref": "#/$defs/A"})))
        .collect();
    let parameters = serde_json::json!({
        "type": "object", "properties": properties, "$defs": {"A": {"type": "integer"}},
    });
    let schema = parameters.to_string().len();
    let tools = [ToolSpec {
        name: "many".into(),
        parameters,
    }];
    for family in families::TOOLS {
        let spec = demanded_call_grammar(&family.syntax, &tools, ToolDemand::One, None, |_| None);
        let crate::grammar::GrammarSpec::Lark(text) = spec else {
            panic!("{spec:?}")
        };
        // What is beyond the limit, one more copy and a line for each property.
        assert!(
            text.len() < crate::grammar::MAX_SOURCE_BYTES + 6 * schema,
            "{}: {}",
            family.syntax.name,
            text.len()
        );
    }
}

/// Grammars of all families for these tools compile, and the shortest call of the first is understood.
fn each_family_calls(
    compiler: &crate::grammar::GrammarCompiler,
    vocabulary: &[crate::grammar::VocabularyEntry],
    tools: &[ToolSpec],
    special: &dyn Fn(&str) -> Option<u32>,
) {
    use crate::grammar::VocabularyEntry;
    for family in families::TOOLS {
        let syntax = family.syntax;
        // A section of several calls has no shortest way: its end reads like one more call.
        if syntax.each.is_some() {
            let several = ToolDemand::Several;
            let spec = demanded_call_grammar(&syntax, tools, several, None, special);
            compiler.compile(&spec).unwrap();
        }
        let demands: &[ToolDemand] = match syntax.each {
            Some(_) => &[ToolDemand::One],
            None => &[ToolDemand::One, ToolDemand::Several],
        };
        for &demand in demands {
            let spec = demanded_call_grammar(&syntax, &tools[..1], demand, None, special);
            let grammar = compiler
                .compile(&spec)
                .unwrap_or_else(|e| panic!("{spec:?}: {e}"));
            // Always take the first allowed token: the shortest way through this small grammar.
            let mut state = grammar.start();
            let mut answer = Vec::new();
            for _ in 0..400 {
                let mask = state.mask().unwrap();
                let token = (0..vocabulary.len() as u32)
                    .rev()
                    .find(|&id| mask[id as usize / 32] >> (id % 32) & 1 == 1)
                    .unwrap();
                if token == 256 {
                    break;
                }
                state.accept(token).unwrap();
                match &vocabulary[token as usize] {
                    VocabularyEntry::Bytes(bytes) => answer.extend_from_slice(bytes),
                    VocabularyEntry::Special(name) => answer.extend_from_slice(name.as_bytes()),
                    VocabularyEntry::Unused => unreachable!(),
                }
                if demand == ToolDemand::Several && state.may_end() {
                    break;
                }
            }
            let answer = String::from_utf8(answer).unwrap();
            let events = parse(self::syntax(syntax), [answer.as_str()]);
            assert!(
                matches!(&events[..], [CallStarted { name, .. }, CallArguments { fragment, .. }, CallFinished { complete: true, .. }]
                    if name == "send" && serde_json::from_str::<serde_json::Value>(fragment).unwrap()["to"].is_string()),
                "{}: {answer:?} -> {events:?}",
                syntax.name
            );
        }
        let auto = auto_call_grammar(&syntax, tools, special);
        if let Some(spec) = auto {
            compiler
                .compile(&spec)
                .unwrap_or_else(|e| panic!("{spec:?}: {e}"));
        }
    }
}
