//! Grammars that make tool calls well-formed: the right names, arguments that match their schemas.

use serde_json::{Value, json};

use super::syntax::{CallHeader, ToolSyntax};
use crate::grammar::GrammarSpec;

/// A tool as a grammar needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// The name to call it by.
    pub name: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
}

/// How many calls the client demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolDemand {
    /// Exactly one.
    One,
    /// One or more.
    Several,
}

/// A grammar for a whole answer that must consist of calls of `tools` (`tool_choice` required or
/// named). `is_special` says which markers are single tokens of the vocabulary.
#[must_use]
pub fn demanded_call_grammar(
    syntax: &ToolSyntax,
    tools: &[ToolSpec],
    demand: ToolDemand,
    is_special: impl Fn(&str) -> bool,
) -> GrammarSpec {
    let open = marker(syntax.open, &is_special);
    let several = demand == ToolDemand::Several;
    let (rules, one) = call_rules(syntax, tools, &is_special);
    let start = match (syntax.list, syntax.bare) {
        (true, _) => {
            let more = if several { "(\",\" \" \"? call)*" } else { "" };
            format!("start: {open} \" \"? \"[\" call {more} \"]\"")
        }
        (false, true) => {
            let more = if several { "(\"; \" call)*" } else { "" };
            format!("start: call {more}")
        }
        (false, false) => {
            let more = if several {
                format!("(\"\\n\"? {open} call)*")
            } else {
                String::new()
            };
            format!("start: {open} call {more}")
        }
    };
    GrammarSpec::Lark(format!("{start}\ncall: {one}\n{rules}"))
}

/// A grammar for what follows the opening marker of a call the model chose to make, or `None` where
/// the syntax has no marker to wait for.
#[must_use]
pub fn auto_call_grammar(
    syntax: &ToolSyntax,
    tools: &[ToolSpec],
    is_special: impl Fn(&str) -> bool,
) -> Option<GrammarSpec> {
    let (rules, one) = call_rules(syntax, tools, &is_special);
    let start = match (syntax.list, syntax.close) {
        (true, _) => "start: \" \"? \"[\" call (\",\" \" \"? call)* \"]\"",
        (false, Some(_)) => "start: call",
        (false, None) => return None,
    };
    Some(GrammarSpec::Lark(format!("{start}\ncall: {one}\n{rules}")))
}

/// The rules for one call without its opening marker, and the expression that uses them.
fn call_rules(
    syntax: &ToolSyntax,
    tools: &[ToolSpec],
    is_special: &impl Fn(&str) -> bool,
) -> (String, String) {
    match syntax.header {
        CallHeader::Object => {
            let alternatives: Vec<Value> = tools
                .iter()
                .map(|tool| {
                    json!({
                        "type": "object",
                        "properties": {
                            "name": { "const": tool.name },
                            syntax.arguments_key: arguments_schema(&tool.parameters),
                        },
                        "required": ["name", syntax.arguments_key],
                        "additionalProperties": false,
                    })
                })
                .collect();
            let schema = match alternatives.as_slice() {
                [one] => one.clone(),
                _ => json!({ "anyOf": alternatives }),
            };
            let body = format!("body: %json {schema}\n");
            let one = match syntax.close {
                Some(close) => format!("\"\\n\" body \"\\n\" {}", marker(close, is_special)),
                None => "body".to_owned(),
            };
            (body, one)
        }
        CallHeader::Named(separator) => {
            let separator = marker(separator, is_special);
            let mut rules = String::new();
            let mut names = Vec::new();
            for (at, tool) in tools.iter().enumerate() {
                names.push(format!("{} {separator} arguments_{at}", quoted(&tool.name)));
                let schema = arguments_schema(&tool.parameters);
                rules.push_str(&format!("arguments_{at}: %json {schema}\n"));
            }
            (rules, names.join(" | "))
        }
    }
}

/// Arguments are an object even where the schema forgets to say so.
fn arguments_schema(parameters: &Value) -> Value {
    match parameters {
        Value::Object(fields) if !fields.is_empty() => {
            let mut schema = fields.clone();
            schema.entry("type").or_insert_with(|| json!("object"));
            Value::Object(schema)
        }
        _ => json!({ "type": "object" }),
    }
}

/// A marker as one special token where the vocabulary has it, as text otherwise.
fn marker(text: &str, is_special: &impl Fn(&str) -> bool) -> String {
    if is_special(text) && text.starts_with('<') && text.ends_with('>') {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A Lark string literal.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
