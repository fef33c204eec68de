//! A request's tools, format and reasoning limits as the engine's rules, and as chat templates want them.
//!
//! What cannot be enforced is refused here or, where it depends on the model, by the engine; both name the
//! field.

use atoll_engine::engine::AnswerRules;
use atoll_engine::grammar::GrammarSpec;
use atoll_engine::output::{ToolDemand, ToolSpec};
use atoll_plugin_runtime::types::{
    Error, GenerateRequest, Grammar, GrammarSyntax, OutputFormat, Prompt, ReasoningMode, Tool,
    ToolChoice, ToolKind,
};
use serde_json::{Value, json};

use crate::failure;

/// Tokens of reasoning that an effort stands for where the model's template knows no efforts. Higher ones
/// have no limit.
const EFFORTS: [(&str, u32); 4] = [
    ("none", 0),
    ("minimal", 512),
    ("low", 1024),
    ("medium", 4096),
];

/// The budget of an effort.
pub(crate) fn budget_of(effort: &str) -> Option<u32> {
    EFFORTS
        .iter()
        .find(|(name, _)| *name == effort)
        .map(|(_, tokens)| *tokens)
}

/// What the answers must follow.
///
/// # Errors
/// `invalid-argument` or `unsupported`, naming the field.
pub(crate) fn read(request: &GenerateRequest) -> Result<AnswerRules, Error> {
    let conversation = matches!(request.prompt, Prompt::Conversation(_));
    let callable: Vec<&Tool> = match &request.tool_choice {
        ToolChoice::None => Vec::new(),
        ToolChoice::Auto | ToolChoice::Required => request.tools.iter().collect(),
        ToolChoice::Named(name) => named(&request.tools, std::slice::from_ref(name))?,
        ToolChoice::Allowed(allowed) => named(&request.tools, &allowed.names)?,
    };
    let tools = callable
        .iter()
        .filter(|tool| !matches!(tool.kind, ToolKind::Hosted(_)))
        .map(|tool| spec(tool))
        .collect::<Result<Vec<_>, _>>()?;
    let single_call = request.parallel_tool_calls == Some(false);
    let required = match &request.tool_choice {
        ToolChoice::Named(_) => Some(ToolDemand::One),
        ToolChoice::Required => Some(ToolDemand::Several),
        ToolChoice::Allowed(allowed) if allowed.required => Some(ToolDemand::Several),
        _ => None,
    };
    let demand = required.map(|demand| if single_call { ToolDemand::One } else { demand });
    if demand.is_some() && tools.is_empty() {
        return Err(failure::invalid(
            "tool_choice",
            "a tool must be called, but there is none that this host can call",
        ));
    }
    if !tools.is_empty() && !conversation {
        return Err(failure::unsupported(
            "tools",
            "tools need a conversation; a plain prompt has no place for them",
        ));
    }
    let mut budget = request.reasoning.budget_tokens;
    if request.reasoning.mode == ReasoningMode::Off {
        budget = Some(0);
    }
    Ok(AnswerRules {
        strict: callable.iter().any(|tool| tool.strict == Some(true)),
        tools,
        demand,
        single_call,
        form: form(&request.format)?,
        reasoning_budget: budget,
        reasoning_required: false,
    })
}

fn named<'a>(tools: &'a [Tool], names: &[String]) -> Result<Vec<&'a Tool>, Error> {
    names
        .iter()
        .map(|name| {
            tools.iter().find(|tool| tool.name == *name).ok_or_else(|| {
                let message = format!("there is no tool named {name:?} among the tools");
                failure::invalid("tool_choice", message)
            })
        })
        .collect()
}

fn spec(tool: &Tool) -> Result<ToolSpec, Error> {
    Ok(ToolSpec {
        name: tool.name.clone(),
        parameters: parameters(tool)?,
    })
}

/// The schema of a tool's arguments. Free text is told to the model as an object with one string in it: models
/// know functions only.
fn parameters(tool: &Tool) -> Result<Value, Error> {
    match &tool.kind {
        ToolKind::Custom(grammar) => {
            let mut input = json!({ "type": "string" });
            // No grammar of JSON strings can be made of a Lark grammar: the model is told of it instead.
            if let Some(Grammar {
                syntax: GrammarSyntax::Regex,
                source,
            }) = grammar
            {
                input["pattern"] = json!(format!("^(?:{source})$"));
            }
            Ok(json!({
                "type": "object",
                "properties": { "input": input },
                "required": ["input"],
                "additionalProperties": false,
            }))
        }
        ToolKind::Function | ToolKind::Hosted(_) => {
            serde_json::from_str(&tool.parameters).map_err(|_| {
                let message = format!("the parameters of the tool {:?} are not JSON", tool.name);
                failure::invalid("tools", message)
            })
        }
    }
}

/// The tools as chat templates expect them, or nothing if none may be called: then the model is better off
/// without knowing of them.
pub(crate) fn for_template(request: &GenerateRequest) -> Option<Value> {
    if matches!(request.tool_choice, ToolChoice::None) {
        return None;
    }
    let tools: Vec<Value> = request
        .tools
        .iter()
        .filter(|tool| !matches!(tool.kind, ToolKind::Hosted(_)))
        .filter_map(|tool| {
            let mut function = json!({ "name": tool.name });
            if let Some(description) = description(tool) {
                function["description"] = json!(description);
            }
            // `read` has refused what this cannot read.
            function["parameters"] = parameters(tool).ok()?;
            Some(json!({ "type": "function", "function": function }))
        })
        .collect();
    (!tools.is_empty()).then_some(Value::Array(tools))
}

/// The Lark grammar of a tool that takes free text.
fn lark(tool: &Tool) -> Option<&str> {
    match &tool.kind {
        ToolKind::Custom(Some(grammar)) if grammar.syntax == GrammarSyntax::Lark => {
            Some(&grammar.source)
        }
        _ => None,
    }
}

/// What the model is told of a tool: with a grammar that is not enforced, the grammar too.
fn description(tool: &Tool) -> Option<String> {
    let Some(grammar) = lark(tool) else {
        return tool.description.clone();
    };
    let about = tool.description.as_deref().unwrap_or_default();
    Some(
        format!("{about}\n\nThe input follows this Lark grammar:\n{grammar}")
            .trim_start()
            .to_owned(),
    )
}

/// What of the tools has no effect, as names of fields: tools that only the original service can run, and grammars
/// that are told and not enforced. Agents send both to every host.
pub(crate) fn left_out(tools: &[Tool]) -> impl Iterator<Item = String> {
    tools.iter().filter_map(|tool| match &tool.kind {
        ToolKind::Hosted(kind) => Some(format!("tools.{kind}")),
        _ => lark(tool).map(|_| format!("tools.{}.format", tool.name)),
    })
}

/// The names of tools that take free text.
pub(crate) fn custom_tools(tools: &[Tool]) -> Vec<String> {
    tools
        .iter()
        .filter(|tool| matches!(tool.kind, ToolKind::Custom(_)))
        .map(|tool| tool.name.clone())
        .collect()
}

fn form(format: &OutputFormat) -> Result<Option<GrammarSpec>, Error> {
    Ok(match format {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => Some(GrammarSpec::JsonObject),
        OutputFormat::JsonSchema(schema) => {
            let schema = serde_json::from_str(&schema.schema)
                .map_err(|_| failure::invalid("response_format", "the schema is not JSON"))?;
            Some(GrammarSpec::JsonSchema(schema))
        }
        OutputFormat::Grammar(grammar) => Some(match grammar.syntax {
            GrammarSyntax::Regex => GrammarSpec::Regex(grammar.source.clone()),
            GrammarSyntax::Lark => GrammarSpec::Lark(grammar.source.clone()),
        }),
    })
}
