//! Grammars that make tool calls well-formed: the right names, arguments that match their schemas, in the
//! way of the model's family.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::families;
use super::references;
use super::syntax::{CallHeader, PairHeader, ToolSyntax};
use crate::executor::TokenId;
use crate::grammar::{GrammarSpec, MAX_SOURCE_BYTES, compact};

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
/// named), or, where `instead` is given, of that. `special` gives the special token whose text a marker
/// is.
#[must_use]
pub fn demanded_call_grammar(
    syntax: &ToolSyntax,
    tools: &[ToolSpec],
    demand: ToolDemand,
    instead: Option<&GrammarSpec>,
    special: impl Fn(&str) -> Option<TokenId>,
) -> GrammarSpec {
    let mut rules = Rules::new(&special);
    let one = rules.call(syntax, tools);
    let open = rules.marker(syntax.open);
    let more = |separator: &str, call: &str| match demand {
        ToolDemand::One => String::new(),
        ToolDemand::Several => format!("({separator} {call})*"),
    };
    let calls = match syntax.header {
        CallHeader::Harmony => {
            let (end, start) = (rules.marker("<|end|>"), rules.marker("<|start|>"));
            let next = format!("{} {start} \"assistant\"", rules.marker("<|call|>"));
            let message = rules.marker("<|message|>");
            rules.line("TEXT", "/(?s:.*)/");
            rules.line(
                "analysis",
                &format!("{open} \"analysis\" {message} TEXT {end} {start} \"assistant\""),
            );
            format!(
                "analysis? {open} call {}",
                more(&next, &format!("{open} call"))
            )
        }
        CallHeader::Python => {
            let open = if syntax.bare { String::new() } else { open };
            let end = syntax
                .end
                .filter(|_| !syntax.bare)
                .map(|end| rules.marker(end));
            format!(
                "{open} \"[\" call {} \"]\" {}",
                more("\",\" \" \"?", "call"),
                end.unwrap_or_default()
            )
        }
        _ => match (syntax.each, syntax.list, syntax.bare) {
            (Some(each), _, _) => {
                let each = rules.marker(each);
                let end = rules.marker(syntax.end.unwrap_or_default());
                let more = more(&format!("\"\\n\"? {each}"), "call");
                format!("{open} {each} call {more} {end}")
            }
            (None, true, _) => {
                format!(
                    "{open} \" \"? \"[\" call {} \"]\"",
                    more("\",\" \" \"?", "call")
                )
            }
            (None, false, true) => format!("call {}", more("\"; \"", "call")),
            (None, false, false) => {
                format!("{open} call {}", more(&format!("\"\\n\"? {open}"), "call"))
            }
        },
    };
    rules.line("call", &one);
    rules.line("calls", &calls);
    let start = match instead {
        None => "calls".to_owned(),
        Some(spec) => {
            let other = rules.form(spec);
            format!("calls | {other}")
        }
    };
    rules.grammar(&start)
}

/// A grammar for what follows the opening marker of a call the model chose to make, or `None` where
/// the syntax has no marker to wait for.
#[must_use]
pub fn auto_call_grammar(
    syntax: &ToolSyntax,
    tools: &[ToolSpec],
    special: impl Fn(&str) -> Option<TokenId>,
) -> Option<GrammarSpec> {
    let mut rules = Rules::new(&special);
    let one = rules.call(syntax, tools);
    let start = match (syntax.header, syntax.each, syntax.list, syntax.close) {
        (CallHeader::Harmony | CallHeader::Python, ..) => return None,
        (_, Some(each), ..) => {
            let each = rules.marker(each);
            let end = rules.marker(syntax.end.unwrap_or_default());
            format!("{each} call (\"\\n\"? {each} call)* {end}")
        }
        (_, None, true, _) => "\" \"? \"[\" call (\",\" \" \"? call)* \"]\"".to_owned(),
        (CallHeader::Pairs(_), None, false, _) | (_, None, false, Some(_)) => "call".to_owned(),
        (_, None, false, None) => return None,
    };
    rules.line("call", &one);
    Some(rules.grammar(&start))
}

/// A grammar for `form` that first allows the line breaks models write after their reasoning.
#[must_use]
pub(crate) fn after_reasoning(form: &GrammarSpec) -> GrammarSpec {
    match form {
        // A grammar of its own has a start of its own.
        GrammarSpec::Lark(_) => form.clone(),
        _ => {
            let mut rules = Rules::new(&|_| None);
            let form = rules.form(form);
            rules.grammar(&format!("\"\\n\"? \"\\n\"? {form}"))
        }
    }
}

/// The final channel of the harmony format with `form` in it, reasoning before it allowed.
#[must_use]
pub(crate) fn harmony_answer(
    form: &GrammarSpec,
    special: impl Fn(&str) -> Option<TokenId>,
) -> GrammarSpec {
    let mut rules = Rules::new(&special);
    let [channel, message, end, start] =
        ["<|channel|>", "<|message|>", "<|end|>", "<|start|>"].map(|marker| rules.marker(marker));
    let form = rules.form(form);
    rules.line("TEXT", "/(?s:.*)/");
    rules.line(
        "analysis",
        &format!("{channel} \"analysis\" {message} TEXT {end} {start} \"assistant\""),
    );
    rules.grammar(&format!("analysis? {channel} \"final\" {message} {form}"))
}

/// A grammar while it is written.
struct Rules<'a> {
    text: String,
    special: &'a dyn Fn(&str) -> Option<TokenId>,
}

impl<'a> Rules<'a> {
    fn new(special: &'a dyn Fn(&str) -> Option<TokenId>) -> Self {
        Self {
            text: String::new(),
            special,
        }
    }

    fn line(&mut self, name: &str, body: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{name}: {body}");
    }

    fn grammar(self, start: &str) -> GrammarSpec {
        GrammarSpec::Lark(format!("start: {start}\n{}", self.text))
    }

    /// A marker: its special token where the vocabulary has one, its text otherwise.
    fn marker(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        if let Some(token) = (self.special)(text) {
            return format!("<[{token}]>");
        }
        for part in families::PARTS {
            if part != text
                && let Some((before, after)) = text.split_once(part)
            {
                return format!(
                    "{} {} {}",
                    self.marker(before),
                    self.marker(part),
                    self.marker(after)
                );
            }
        }
        quoted(text)
    }

    /// The expression for a form of answer that is no grammar of its own.
    fn form(&mut self, spec: &GrammarSpec) -> String {
        match spec {
            GrammarSpec::JsonObject => self.json("form", &json!({ "type": "object" })),
            GrammarSpec::JsonSchema(schema) => self.json("form", schema),
            GrammarSpec::Regex(source) => {
                self.line("form", "FORM");
                self.line("FORM", &format!("/{}/", source.replace('/', "\\/")));
            }
            // A client's grammar cannot be part of another: it is not asked for together with tools.
            GrammarSpec::Lark(_) => self.line("form", "/(?s:.*)/"),
        }
        "form".to_owned()
    }

    /// One call without its opening marker.
    fn call(&mut self, syntax: &ToolSyntax, tools: &[ToolSpec]) -> String {
        let close = syntax.close.map(|close| self.marker(close));
        let close = close.unwrap_or_default();
        match syntax.header {
            CallHeader::Object(key) => {
                self.object(key, tools);
                match syntax.close {
                    Some(_) => format!("\"\\n\" body \"\\n\" {close}"),
                    None => "body".to_owned(),
                }
            }
            CallHeader::Named(header) => {
                let before = self.marker(header.before);
                let separator = header.separators.first().copied().unwrap_or_default();
                let separator = self.marker(separator);
                // Kimi numbers its calls.
                let number = match header.cut {
                    Some(":") => " \":\" /[0-9]+/",
                    _ => "",
                };
                let fence = if syntax.close.is_some_and(|close| close.starts_with("```")) {
                    "\"\\n\""
                } else {
                    ""
                };
                self.each(tools, |rules, at, tool| {
                    rules.schema(&format!("arguments_{at}"), &tool.parameters);
                    let name = quoted(&format!("{}{}", header.prefix, tool.name));
                    format!("{before} {name}{number} {separator} arguments_{at} {fence} {close}")
                })
            }
            CallHeader::Pairs(header) => {
                self.line("TEXT", "/[^<]*(<[^\\/<][^<]*)*/");
                self.each(tools, |rules, at, tool| {
                    let pairs = rules.pairs(&header, at, &tool.parameters);
                    let end = rules.marker(header.end);
                    let lines = if header.lines { "\"\\n\"" } else { "" };
                    let opening = quoted(&format!(
                        "{}{}{}",
                        header.name_open, tool.name, header.name_close
                    ));
                    format!("{lines} {opening} {lines} {pairs} {end} {lines} {close}")
                })
            }
            CallHeader::Python => self.each(tools, |rules, at, tool| {
                let arguments = rules.keywords(at, &tool.parameters);
                format!("{} {arguments} \")\"", quoted(&format!("{}(", tool.name)))
            }),
            CallHeader::Harmony => {
                let (constrain, message) =
                    (self.marker("<|constrain|>"), self.marker("<|message|>"));
                self.each(tools, |rules, at, tool| {
                    rules.schema(&format!("arguments_{at}"), &tool.parameters);
                    let name = quoted(&format!("commentary to=functions.{} ", tool.name));
                    format!("{name} {constrain} \"json\" {message} arguments_{at}")
                })
            }
        }
    }

    /// A rule per tool, and the choice between them.
    fn each(
        &mut self,
        tools: &[ToolSpec],
        body: impl Fn(&mut Self, usize, &ToolSpec) -> String,
    ) -> String {
        let mut names = Vec::new();
        for (at, tool) in tools.iter().enumerate() {
            let body = body(self, at, tool);
            let name = format!("tool_{at}");
            self.line(&name, &body);
            names.push(name);
        }
        names.join(" | ")
    }

    fn object(&mut self, key: &str, tools: &[ToolSpec]) {
        let alternatives: Vec<Value> = tools
            .iter()
            .enumerate()
            .map(|(at, tool)| {
                let place = match tools.len() {
                    1 => format!("/properties/{key}"),
                    _ => format!("/anyOf/{at}/properties/{key}"),
                };
                json!({
                    "type": "object",
                    "properties": {
                        "name": { "const": tool.name },
                        key: references::moved(&arguments_schema(&tool.parameters), &place),
                    },
                    "required": ["name", key],
                    "additionalProperties": false,
                })
            })
            .collect();
        let schema = match alternatives.as_slice() {
            [one] => one.clone(),
            _ => json!({ "anyOf": alternatives }),
        };
        self.json("body", &schema);
    }

    /// A rule for JSON that matches `schema`.
    fn json(&mut self, rule: &str, schema: &Value) {
        self.line(rule, &format!("%json {}", compact(schema)));
    }

    fn schema(&mut self, name: &str, parameters: &Value) {
        self.json(name, &arguments_schema(parameters));
    }

    /// Arguments between markers, in the schema's order, the required ones demanded.
    fn pairs(&mut self, header: &PairHeader, tool: usize, parameters: &Value) -> String {
        let mut all = Vec::new();
        for (at, (key, schema, required)) in properties(parameters).into_iter().enumerate() {
            let value = self.text_value(&format!("value_{tool}_{at}"), (key, schema), parameters);
            let lines = if header.lines { "\"\\n\"" } else { "" };
            let parts = [
                self.marker(header.key_open),
                quoted(key),
                self.marker(header.key_close),
                if header.lines {
                    String::new()
                } else {
                    "\"\\n\"".to_owned()
                },
                self.marker(header.value_open),
                lines.to_owned(),
                value,
                lines.to_owned(),
                self.marker(header.value_close),
                "\"\\n\"".to_owned(),
            ];
            let optional = if required { "" } else { "?" };
            all.push(format!("({}){optional}", parts.join(" ")));
        }
        all.join(" ")
    }

    /// A rule for one property of `whole`. A property that refers to something takes a copy of the whole along, so
    /// no more are written once the grammar is too large anyway.
    fn property(&mut self, rule: &str, (key, schema): (&str, &Value), whole: &Value) {
        if self.text.len() <= MAX_SOURCE_BYTES {
            self.json(rule, &references::alone(schema, key, whole));
        }
    }

    /// A value outside of JSON: text without quotes, anything else as JSON.
    fn text_value(&mut self, rule: &str, (key, given): (&str, &Value), whole: &Value) -> String {
        let schema = references::target(given, whole);
        if let Some(Value::Array(values)) = schema.get("enum")
            && values.iter().all(Value::is_string)
        {
            let values: Vec<_> = values
                .iter()
                .filter_map(Value::as_str)
                .map(quoted)
                .collect();
            return format!("({})", values.join(" | "));
        }
        if schema.get("type").and_then(Value::as_str) == Some("string") {
            return "TEXT".to_owned();
        }
        self.property(rule, (key, given), whole);
        rule.to_owned()
    }

    /// `key=value` with the required keys first, in the schema's order.
    fn keywords(&mut self, tool: usize, parameters: &Value) -> String {
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for (at, (key, schema, is_required)) in properties(parameters).into_iter().enumerate() {
            let target = references::target(schema, parameters);
            let value = if target.get("type").and_then(Value::as_str) == Some("boolean") {
                "(\"True\" | \"False\")".to_owned()
            } else {
                let rule = format!("value_{tool}_{at}");
                self.property(&rule, (key, schema), parameters);
                rule
            };
            let keyword = format!("{} {value}", quoted(&format!("{key}=")));
            if is_required {
                required.push(keyword);
            } else {
                optional.push(keyword);
            }
        }
        let comma = " \",\" \" \"? ";
        let optional = optional.join(" | ");
        match (required.is_empty(), optional.is_empty()) {
            (true, true) => String::new(),
            (false, true) => required.join(comma),
            (false, false) => format!("{} ({comma} ({optional}))*", required.join(comma)),
            (true, false) => format!("(({optional}) ({comma} ({optional}))*)?"),
        }
    }
}

/// The properties of a schema, and whether each is required.
fn properties(parameters: &Value) -> Vec<(&str, &Value, bool)> {
    let required = |key: &str| {
        parameters
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|keys| keys.iter().any(|name| name == key))
    };
    let fields = parameters.get("properties").and_then(Value::as_object);
    fields
        .into_iter()
        .flat_map(Map::iter)
        .map(|(key, schema)| (key.as_str(), schema, required(key)))
        .collect()
}

/// Says something of keys beyond `properties`, or brings in a schema that may.
const OPENING: [&str; 7] = [
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
];

/// Arguments are an object even where the schema forgets to say so, and where it lists what there is and does not
/// speak of more there is no more: a function can do nothing with an argument that it does not have.
fn arguments_schema(parameters: &Value) -> Value {
    match parameters {
        Value::Object(fields) if !fields.is_empty() => {
            let mut schema = fields.clone();
            schema.entry("type").or_insert_with(|| json!("object"));
            if schema.contains_key("properties")
                && !OPENING.iter().any(|key| schema.contains_key(*key))
            {
                schema.insert("additionalProperties".to_owned(), json!(false));
            }
            Value::Object(schema)
        }
        _ => json!({ "type": "object" }),
    }
}

/// A Lark string literal.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_the_function_unless_it_says_that_there_may_be_more() {
        for (given, used) in [
            (json!({}), json!({"type": "object"})),
            (json!({"type": "object"}), json!({"type": "object"})),
            (
                json!({"properties": {}}),
                json!({"type": "object", "properties": {}, "additionalProperties": false}),
            ),
        ] {
            assert_eq!(arguments_schema(&given), used);
        }
        for open in [
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}}),
            json!({"type": "object", "properties": {}, "patternProperties": {"^x": {}}}),
            json!({"type": "object", "properties": {}, "allOf": [{"properties": {"a": {}}}]}),
        ] {
            assert_eq!(arguments_schema(&open), open);
        }
    }
}
