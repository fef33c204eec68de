//! What an answer repeats of its request, read from the canonical request.
//!
//! The response object shows the request's own settings. They are taken from the canonical request, not from
//! the body, so that an answer from the store (whose request has passed the filters) is shown the same way as
//! a fresh one. What has no canonical place is in the request's `ext`: checked words only, never text of the
//! client's, because filters do not look there.

use atoll_sdk::types::{
    GenerateRequest, GrammarSyntax, OutputFormat, Overflow, PartContent, Prompt, Tool, ToolChoice,
    ToolKind,
};
use serde_json::{Map, Value, json};

/// Facts of a request that have no canonical place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// `text.verbosity`.
    pub verbosity: Option<String>,
    /// `reasoning.summary`.
    pub summary: Option<String>,
    /// The end user was named in the field that came before `safety_identifier`.
    pub user: bool,
    /// Reasoning is wanted in a form that can be sent again.
    pub encrypted: bool,
    /// Only the prefix cache is to be filled.
    pub prewarm: bool,
}

impl Extras {
    /// As the request's `ext`.
    #[must_use]
    pub fn to_ext(&self) -> String {
        json!({
            "verbosity": self.verbosity, "summary": self.summary, "user": self.user,
            "encrypted": self.encrypted, "prewarm": self.prewarm,
        })
        .to_string()
    }

    /// Those of a request.
    #[must_use]
    pub fn of(request: &GenerateRequest) -> Self {
        let ext: Value = request
            .ext
            .as_deref()
            .and_then(|ext| serde_json::from_str(ext).ok())
            .unwrap_or_default();
        let text = |name: &str| ext[name].as_str().map(str::to_owned);
        Self {
            verbosity: text("verbosity"),
            summary: text("summary"),
            user: ext["user"].as_bool().unwrap_or(false),
            encrypted: ext["encrypted"].as_bool().unwrap_or(false),
            prewarm: ext["prewarm"].as_bool().unwrap_or(false),
        }
    }
}

/// What the request decided about its answer.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Fields of the request that the response object repeats.
    pub echo: Map<String, Value>,
    /// Namespaces of tools by the name the model uses.
    namespaces: Vec<(String, String)>,
    /// The client wants reasoning back in a form it can send again.
    pub encrypted: bool,
    /// No answer is wanted.
    pub prewarm: bool,
    /// The answer runs in the background.
    pub background: bool,
}

impl Shape {
    /// The shape of the answer to a request.
    #[must_use]
    pub fn of(request: &GenerateRequest) -> Self {
        let extras = Extras::of(request);
        let sampling = &request.sampling;
        let metadata: Map<String, Value> = request
            .metadata
            .iter()
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect();
        let truncation = match request.overflow {
            Overflow::Refuse => "disabled",
            Overflow::TruncateOldest | Overflow::Shift => "auto",
        };
        let previous = request.state.previous_response_id.as_ref();
        let echo = json!({
            "instructions": instructions(request),
            "previous_response_id": previous.map(|id| format!("resp_{id}")),
            "tools": tools(&request.tools),
            "tool_choice": choice(request),
            "parallel_tool_calls": request.parallel_tool_calls.unwrap_or(true),
            "max_tool_calls": request.max_tool_calls,
            "max_output_tokens": request.max_output_tokens,
            "temperature": sampling.temperature.unwrap_or(1.0),
            "top_p": sampling.top_p.unwrap_or(1.0),
            "presence_penalty": sampling.presence_penalty.unwrap_or(0.0),
            "frequency_penalty": sampling.frequency_penalty.unwrap_or(0.0),
            "top_logprobs": request.logprobs.unwrap_or(0),
            "text": {
                "format": format(&request.format),
                "verbosity": extras.verbosity.as_deref().unwrap_or("medium"),
            },
            "reasoning": { "effort": request.reasoning.effort, "summary": extras.summary },
            "truncation": truncation,
            "store": request.state.store,
            "background": request.state.background,
            "metadata": metadata,
            "prompt_cache_key": request.cache.key,
            "safety_identifier": request.end_user.as_ref().filter(|_| !extras.user),
            "user": request.end_user.as_ref().filter(|_| extras.user),
            // Whatever was asked for: the answer says how it was served.
            "service_tier": "default",
        });
        let namespaces = request.tools.iter().filter_map(|tool| {
            let namespace = tool.namespace.clone()?;
            Some((tool.name.clone(), namespace))
        });
        Self {
            echo: match echo {
                Value::Object(fields) => fields,
                _ => Map::new(),
            },
            namespaces: namespaces.collect(),
            encrypted: extras.encrypted,
            prewarm: extras.prewarm,
            background: request.state.background,
        }
    }

    /// The client's name for the tool the model calls `flat`, and its namespace.
    #[must_use]
    pub fn told(&self, flat: &str) -> (String, Option<String>) {
        match self.namespaces.iter().find(|(name, _)| name == flat) {
            Some((_, namespace)) => (own_name(flat, namespace), Some(namespace.clone())),
            None => (flat.to_owned(), None),
        }
    }
}

fn own_name(flat: &str, namespace: &str) -> String {
    flat.strip_prefix(namespace)
        .and_then(|rest| rest.strip_prefix("__"))
        .unwrap_or(flat)
        .to_owned()
}

/// The message that holds for this answer only.
fn instructions(request: &GenerateRequest) -> Option<&str> {
    let Prompt::Conversation(messages) = &request.prompt else {
        return None;
    };
    let message = messages
        .first()
        .filter(|_| request.state.transient_messages > 0)?;
    message.parts.iter().find_map(|part| match &part.content {
        PartContent::Text(text) => Some(text.as_str()),
        _ => None,
    })
}

fn tools(tools: &[Tool]) -> Vec<Value> {
    let mut shown: Vec<Value> = Vec::new();
    for tool in tools {
        let one = show(tool);
        let Some(namespace) = &tool.namespace else {
            shown.push(one);
            continue;
        };
        match shown
            .last_mut()
            .filter(|last| last["type"] == "namespace" && last["name"] == json!(namespace))
            .and_then(|last| last["tools"].as_array_mut())
        {
            Some(inner) => inner.push(one),
            None => shown.push(json!({ "type": "namespace", "name": namespace, "tools": [one] })),
        }
    }
    shown
}

fn show(tool: &Tool) -> Value {
    let name = match &tool.namespace {
        Some(namespace) => own_name(&tool.name, namespace),
        None => tool.name.clone(),
    };
    let parsed = || serde_json::from_str::<Value>(&tool.parameters).unwrap_or_default();
    match &tool.kind {
        ToolKind::Function => json!({
            "type": "function", "name": name, "description": tool.description,
            "parameters": parsed(), "strict": tool.strict,
        }),
        ToolKind::Custom(grammar) => {
            let format = match grammar {
                None => json!({ "type": "text" }),
                Some(grammar) => json!({
                    "type": "grammar", "syntax": syntax(grammar.syntax), "definition": grammar.source,
                }),
            };
            json!({ "type": "custom", "name": name, "description": tool.description, "format": format })
        }
        // As the client sent it.
        ToolKind::Hosted(_) => parsed(),
    }
}

fn syntax(syntax: GrammarSyntax) -> &'static str {
    match syntax {
        GrammarSyntax::Lark => "lark",
        GrammarSyntax::Regex => "regex",
    }
}

fn choice(request: &GenerateRequest) -> Value {
    let named = |flat: &String| {
        let tool = request.tools.iter().find(|tool| tool.name == *flat);
        let kind = match tool.map(|tool| &tool.kind) {
            Some(ToolKind::Custom(_)) => "custom",
            _ => "function",
        };
        let name = tool
            .and_then(|tool| tool.namespace.as_ref())
            .map_or_else(|| flat.clone(), |namespace| own_name(flat, namespace));
        json!({ "type": kind, "name": name })
    };
    match &request.tool_choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(flat) => named(flat),
        ToolChoice::Allowed(allowed) => json!({
            "type": "allowed_tools",
            "mode": if allowed.required { "required" } else { "auto" },
            "tools": allowed.names.iter().map(named).collect::<Vec<_>>(),
        }),
    }
}

fn format(format: &OutputFormat) -> Value {
    match format {
        OutputFormat::JsonObject => json!({ "type": "json_object" }),
        OutputFormat::JsonSchema(schema) => json!({
            "type": "json_schema", "name": schema.name, "description": schema.description,
            "schema": serde_json::from_str::<Value>(&schema.schema).unwrap_or_default(),
            "strict": schema.strict,
        }),
        OutputFormat::Text | OutputFormat::Grammar(_) => json!({ "type": "text" }),
    }
}
