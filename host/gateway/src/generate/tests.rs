//! Planning, field by field.

use atoll_engine::grammar::GrammarSpec;
use atoll_engine::output::ToolDemand;
use atoll_plugin_runtime::types::{
    CacheOptions, ErrorKind, Grammar, GrammarSyntax, JsonSchema, Message, OutputFormat, Overflow,
    Part, PartContent, ReasoningOptions, ReasoningVisibility, Role, State, Streaming, Tool,
    ToolChoice, ToolKind,
};
use serde_json::json;

use super::*;

pub(crate) fn request() -> GenerateRequest {
    let part = Part {
        content: PartContent::Text("Hi".to_owned()),
        cache_ttl: None,
        ext: None,
    };
    let message = Message {
        role: Role::User,
        parts: vec![part],
        name: None,
        id: None,
        ext: None,
    };
    GenerateRequest {
        model: "m".to_owned(),
        prompt: Prompt::Conversation(vec![message]),
        tools: vec![],
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        max_tool_calls: None,
        format: OutputFormat::Text,
        reasoning: ReasoningOptions {
            mode: ReasoningMode::Unset,
            effort: None,
            budget_tokens: None,
            visibility: ReasoningVisibility::Full,
        },
        sampling: unset_sampling(),
        max_output_tokens: Some(5),
        choices: 1,
        best_of: None,
        stop: vec![],
        logprobs: None,
        overflow: Overflow::Refuse,
        state: State {
            store: false,
            previous_response_id: None,
            conversation_id: None,
            background: false,
            transient_messages: 0,
        },
        cache: CacheOptions {
            key: None,
            ttl: None,
        },
        keep_alive: None,
        streaming: Streaming {
            enabled: true,
            include_usage: false,
        },
        template_variables: None,
        metadata: vec![],
        end_user: None,
        unconsumed: None,
        ext: None,
    }
}

fn unset_sampling() -> Sampling {
    Sampling {
        temperature: None,
        top_k: None,
        top_p: None,
        min_p: None,
        typical_p: None,
        repetition_penalty: None,
        repeat_last_n: None,
        presence_penalty: None,
        frequency_penalty: None,
        logit_bias: vec![],
        seed: None,
        ignore_eos: false,
    }
}

fn tool() -> Tool {
    Tool {
        kind: ToolKind::Function,
        name: "f".to_owned(),
        namespace: None,
        description: None,
        parameters: "{}".to_owned(),
        strict: None,
        ext: None,
    }
}

fn completion(inputs: Vec<CompletionInput>) -> Completion {
    Completion {
        inputs,
        suffix: None,
        echo: false,
        raw: true,
    }
}

#[test]
fn a_conversation_is_one_prompt_with_a_generation_prompt() {
    let plan = plan(request(), &Limits::default()).unwrap();
    let [PromptInput::Chat(chat)] = plan.inputs.as_slice() else {
        panic!("{:?}", plan.inputs)
    };
    assert_eq!(
        Value::Array(chat.messages.clone()),
        json!([{ "role": "user", "content": "Hi" }])
    );
    assert!(chat.add_generation_prompt && !chat.continue_final_message);
    assert_eq!(
        (plan.max_tokens, plan.choices, plan.stream),
        (Some(5), 1, true)
    );
}

#[test]
fn each_prompt_of_a_batch_counts_for_the_limit_on_choices() {
    let inputs = vec![
        CompletionInput::Text("a".to_owned()),
        CompletionInput::Tokens(vec![1, 2]),
    ];
    let mut request = request();
    request.prompt = Prompt::Completion(completion(inputs));
    request.choices = 3;
    let limits = Limits {
        max_choices: 6,
        ..Limits::default()
    };
    assert_eq!(plan(request.clone(), &limits).unwrap().total_choices(), 6);
    request.choices = 4;
    assert_eq!(
        plan(request.clone(), &limits).unwrap_err().param.as_deref(),
        Some("n")
    );
    request.choices = u32::MAX;
    assert_eq!(
        plan(request.clone(), &limits).unwrap_err().param.as_deref(),
        Some("n")
    );
    request.choices = 0;
    assert_eq!(
        plan(request, &limits).unwrap_err().param.as_deref(),
        Some("n")
    );
}

/// A change to a request that planning must refuse, and the field the refusal must name.
type Refusal = (&'static str, fn(&mut GenerateRequest));

#[test]
fn what_the_engine_cannot_do_is_refused_by_name() {
    let cases: &[Refusal] = &[
        ("best_of", |r| r.best_of = Some(2)),
        ("typical_p", |r| r.sampling.typical_p = Some(0.5)),
        ("conversation", |r| {
            r.state.conversation_id = Some("x".to_owned())
        }),
        ("suffix", |r| {
            let mut prompt = completion(vec![CompletionInput::Tokens(vec![1])]);
            prompt.suffix = Some("b".to_owned());
            r.prompt = Prompt::Completion(prompt);
        }),
    ];
    for (param, change) in cases {
        let mut request = request();
        change(&mut request);
        let error = plan(request, &Limits::default()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(*param), "{error:?}");
        assert!(matches!(error.kind, ErrorKind::Unsupported), "{error:?}");
    }
}

#[test]
fn candidates_are_planned_where_they_can_be_ranked() {
    let mut request = request();
    request.streaming.enabled = false;
    request.choices = 2;
    let with = |best_of: Option<u32>, streams: bool| {
        let mut request = request.clone();
        request.best_of = best_of;
        request.streaming.enabled = streams;
        plan(request, &Limits::default()).map(|plan| (plan.choices, plan.wanted))
    };
    assert_eq!(with(None, false).unwrap(), (2, 2));
    assert_eq!(with(Some(5), false).unwrap(), (5, 2));
    assert_eq!(with(Some(2), true).unwrap(), (2, 2));
    for (best_of, streams) in [(1, false), (1, true), (5, true), (129, false)] {
        let error = with(Some(best_of), streams).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("best_of"), "{best_of}");
    }
}

#[test]
fn a_text_with_a_suffix_is_a_gap_to_fill() {
    let mut request = request();
    let mut prompt = completion(vec![CompletionInput::Text("a".to_owned())]);
    prompt.suffix = Some("b".to_owned());
    request.prompt = Prompt::Completion(prompt.clone());
    let gap = PromptInput::Infill {
        prefix: "a".to_owned(),
        suffix: "b".to_owned(),
    };
    let planned = plan(request.clone(), &Limits::default()).unwrap();
    assert_eq!(planned.inputs, [gap]);
    prompt.suffix = Some(String::new());
    request.prompt = Prompt::Completion(prompt);
    let planned = plan(request, &Limits::default()).unwrap();
    assert!(matches!(planned.inputs[..], [PromptInput::Text { .. }]));
}

#[test]
fn a_request_says_how_much_of_the_context_it_uses() {
    let window = |overflow, ext: Option<&str>| {
        let mut request = request();
        request.overflow = overflow;
        request.ext = ext.map(str::to_owned);
        plan(request, &Limits::default()).map(|plan| plan.window)
    };
    let plain = ContextWindow::default();
    assert_eq!(window(Overflow::Refuse, None).unwrap(), plain);
    // Other fields of `ext` are other parts' business.
    assert_eq!(window(Overflow::Refuse, Some("{\"x\": 1}")).unwrap(), plain);
    let cut = ContextWindow { cut: true, ..plain };
    assert_eq!(window(Overflow::TruncateOldest, None).unwrap(), cut);
    let both = ContextWindow { slide: true, ..cut };
    assert_eq!(window(Overflow::Shift, None).unwrap(), both);
    let asked = ContextWindow {
        length: Some(64),
        keep: 4,
        slide: true,
        ..plain
    };
    let ext = "{\"context_length\": 64, \"keep\": 4, \"slide\": true}";
    assert_eq!(window(Overflow::Refuse, Some(ext)).unwrap(), asked);
    let error = window(Overflow::Refuse, Some("{\"keep\": \"all\"}")).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("ext"));
}

#[test]
fn malformed_requests_are_invalid_by_name() {
    let cases: [Refusal; 10] = [
        ("tool_choice", |r| r.tool_choice = ToolChoice::Required),
        ("tool_choice", |r| {
            r.tool_choice = ToolChoice::Named("g".to_owned());
            r.tools.push(tool());
        }),
        ("tools", |r| {
            r.tools.push(Tool {
                parameters: "{".to_owned(),
                ..tool()
            });
        }),
        ("response_format", |r| {
            let schema = "{".to_owned();
            r.format = OutputFormat::JsonSchema(JsonSchema {
                name: None,
                description: None,
                schema,
                strict: None,
            });
        }),
        ("model", |r| r.model.clear()),
        ("prompt", |r| {
            r.prompt = Prompt::Completion(completion(vec![]))
        }),
        ("prompt[0]", |r| {
            r.prompt = Prompt::Completion(completion(vec![CompletionInput::Tokens(vec![])]));
        }),
        ("stop", |r| r.stop = vec!["x".to_owned(); 1000]),
        ("stop[1]", |r| r.stop = vec!["x".to_owned(), String::new()]),
        ("chat_template_kwargs", |r| {
            r.template_variables = Some("[1]".to_owned())
        }),
    ];
    for (param, change) in cases {
        let mut request = request();
        change(&mut request);
        let error = plan(request, &Limits::default()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{error:?}");
        assert!(
            matches!(error.kind, ErrorKind::InvalidArgument),
            "{error:?}"
        );
    }
}

#[test]
fn tools_reach_the_template_and_the_rules() {
    let mut request = request();
    request.tools = vec![
        Tool {
            parameters: json!({ "type": "object" }).to_string(),
            strict: Some(true),
            ..tool()
        },
        Tool {
            name: "patch".to_owned(),
            kind: ToolKind::Custom(Some(Grammar {
                syntax: GrammarSyntax::Regex,
                source: "a+".to_owned(),
            })),
            ..tool()
        },
        Tool {
            name: "search".to_owned(),
            kind: ToolKind::Hosted("web_search".to_owned()),
            ..tool()
        },
    ];
    request.tool_choice = ToolChoice::Named("f".to_owned());
    request.parallel_tool_calls = Some(false);
    request.format = OutputFormat::JsonObject;
    request.reasoning.mode = ReasoningMode::Off;
    let plan = plan(request, &Limits::default()).unwrap();
    let [PromptInput::Chat(chat)] = plan.inputs.as_slice() else {
        panic!("{:?}", plan.inputs)
    };
    // The model is told of everything it could call, what it must call is for the grammar.
    let told = chat.tools.as_ref().unwrap();
    assert_eq!(
        told.as_array().unwrap().len(),
        2,
        "hosted tools are not for the model"
    );
    assert_eq!(
        told[0],
        json!({ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } })
    );
    assert_eq!(
        told[1]["function"]["parameters"]["properties"]["input"],
        json!({ "type": "string", "pattern": "^(?:a+)$" })
    );
    assert_eq!(plan.custom_tools, ["patch"]);
    let rules = &plan.rules;
    assert_eq!(rules.tools.len(), 1);
    assert_eq!(rules.demand, Some(ToolDemand::One));
    assert!(rules.strict && rules.single_call);
    assert_eq!(rules.form, Some(GrammarSpec::JsonObject));
    assert_eq!(
        rules.reasoning_budget,
        Some(0),
        "off is off, also where the template cannot say so"
    );
}

#[test]
fn a_lark_grammar_is_told_to_the_model_and_named_as_not_enforced() {
    let mut request = request();
    let grammar = Grammar {
        syntax: GrammarSyntax::Lark,
        source: "start: \"x\"".to_owned(),
    };
    request.tools = vec![Tool {
        kind: ToolKind::Custom(Some(grammar)),
        name: "patch".to_owned(),
        description: Some("Edits.".to_owned()),
        ..tool()
    }];
    let named: Vec<String> = crate::rules::left_out(&request.tools).collect();
    assert_eq!(named, ["tools.patch.format"]);
    let plan = plan(request, &Limits::default()).unwrap();
    let [PromptInput::Chat(chat)] = plan.inputs.as_slice() else {
        panic!("{:?}", plan.inputs)
    };
    let function = &chat.tools.as_ref().unwrap()[0]["function"];
    assert_eq!(
        function["description"],
        "Edits.\n\nThe input follows this Lark grammar:\nstart: \"x\""
    );
    let input = &function["parameters"]["properties"]["input"];
    assert_eq!(input, &json!({ "type": "string" }));
}

#[test]
fn tools_that_must_not_be_called_are_accepted_and_left_out() {
    let mut request = request();
    request.tools.push(tool());
    request.tool_choice = ToolChoice::None;
    let plan = plan(request, &Limits::default()).unwrap();
    let [PromptInput::Chat(chat)] = plan.inputs.as_slice() else {
        panic!("{:?}", plan.inputs)
    };
    assert!(chat.tools.is_none());
}

#[test]
fn the_reasoning_mode_reaches_the_template_and_the_clients_own_variable_wins() {
    let thinking = |change: fn(&mut GenerateRequest)| {
        let mut request = request();
        change(&mut request);
        template_variables(&request)
            .unwrap()
            .get("enable_thinking")
            .cloned()
    };
    assert_eq!(thinking(|_| {}), None);
    assert_eq!(
        thinking(|r| r.reasoning.mode = ReasoningMode::On),
        Some(json!(true))
    );
    assert_eq!(
        thinking(|r| r.reasoning.effort = Some("none".to_owned())),
        Some(json!(false))
    );
    assert_eq!(
        thinking(|r| r.reasoning.effort = Some("high".to_owned())),
        Some(json!(true))
    );
    assert_eq!(
        thinking(|r| {
            r.reasoning.mode = ReasoningMode::On;
            r.template_variables = Some("{\"enable_thinking\": false}".to_owned());
        }),
        Some(json!(false))
    );
}

#[test]
fn the_client_wins_over_the_model_over_plain_sampling() {
    let defaults = SamplingDefaults {
        temperature: Some(0.6),
        top_k: Some(20),
        top_p: Some(0.95),
        min_p: None,
        repetition_penalty: None,
    };
    let mut asked = unset_sampling();
    asked.temperature = Some(0.0);
    asked.logit_bias = vec![(9, -100.0), (2, 1.5)];
    let params = sampling(&asked, &defaults, 7, Some(3)).unwrap();
    assert_eq!(
        (params.temperature, params.top_k, params.top_p),
        (0.0, Some(20), 0.95)
    );
    assert_eq!(
        (params.min_p, params.seed, params.logprobs),
        (0.0, 7, Some(3))
    );
    assert_eq!(params.logit_bias, [(2, 1.5), (9, -100.0)]);
    // 0 is all of them for the one, and none but the first for the other.
    asked.top_k = Some(0);
    asked.top_p = Some(0.0);
    let params = sampling(&asked, &defaults, 7, None).unwrap();
    assert_eq!((params.top_k, params.top_p), (None, f32::EPSILON));
    asked.logit_bias.push((9, 1.0));
    let error = sampling(&asked, &defaults, 7, None).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("logit_bias"));
}
