//! The canonical conversation: what every dialect translates to and from.
//!
//! Generated from `wit/types.wit`, whose comments say what each field means; this module adds the
//! constructors that save typing. Plain data: everything here works on any target, in any test.

pub use crate::bindings::imports::atoll::plugin::types::*;

impl Header {
    /// A header; `name` in lower case.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

impl HttpRequest {
    /// The first header of this name (lower case), if the client sent it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.name == name)
            .map(|header| header.value.as_str())
    }

    /// Whether this is a message of a WebSocket (or the refused opening of one, whose body is empty).
    #[must_use]
    pub fn is_socket_message(&self) -> bool {
        self.method == "GET" && self.header(crate::dialect::SOCKET_HEADER).is_some()
    }

    /// The value of the route's `{name}` segment.
    #[must_use]
    pub fn path_param(&self, name: &str) -> Option<&str> {
        self.path_params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first query parameter of this name.
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl HttpResponse {
    /// A whole answer with one `content-type`.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![Header::new("content-type", content_type)];
        Self {
            head: ResponseHead { status, headers },
            body: body.into(),
        }
    }
}

impl Part {
    /// Content without a cache boundary.
    #[must_use]
    pub fn new(content: PartContent) -> Self {
        Self {
            content,
            cache_ttl: None,
            ext: None,
        }
    }

    /// Says where the client has this part, such as `input[2].content[0]`: the host names it so in an error about it.
    /// Without this it counts messages and parts as you gave them.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        self.ext = Some(serde_json::json!({ "path": path }).to_string());
        self
    }

    /// A stretch of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(PartContent::Text(text.into()))
    }
}

impl Tool {
    /// The schema of a function that its client describes without one: APIs say that it takes nothing then.
    pub const WITHOUT_PARAMETERS: &'static str = r#"{"type":"object","properties":{}}"#;
}

impl Message {
    /// A message without name or id.
    #[must_use]
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            parts,
            name: None,
            id: None,
            ext: None,
        }
    }

    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::text(text)])
    }
}

impl GenerateRequest {
    /// A request for one choice that leaves everything else to the host and the model.
    pub fn new(model: impl Into<String>, prompt: Prompt) -> Self {
        Self {
            model: model.into(),
            prompt,
            tools: Vec::new(),
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
            sampling: Sampling::default(),
            max_output_tokens: None,
            choices: 1,
            best_of: None,
            stop: Vec::new(),
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
                enabled: false,
                include_usage: false,
            },
            template_variables: None,
            metadata: Vec::new(),
            end_user: None,
            unconsumed: None,
            ext: None,
        }
    }
}

impl Default for Sampling {
    /// Everything unset: the host applies the model's own defaults.
    fn default() -> Self {
        Self {
            temperature: None,
            top_k: None,
            top_p: None,
            min_p: None,
            typical_p: None,
            repetition_penalty: None,
            repeat_last_n: None,
            presence_penalty: None,
            frequency_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            ignore_eos: false,
        }
    }
}

impl Grant {
    /// To ask for models to be downloaded, copied, deleted, loaded and unloaded, and to say how long one
    /// stays loaded. A dialect loads without it; the host then refuses those operations, in words that
    /// the dialect renders like any other error, and leaves out what it says of `keep-alive`.
    #[must_use]
    pub fn manage_models() -> Self {
        // Younger than the contract, which has a case for what it does not know.
        Self::Other("manage-models".to_owned())
    }
}

impl Descriptor {
    /// A plugin without settings, of this crate's version: usually
    /// `Descriptor::new("my-plugin", env!("CARGO_PKG_VERSION"), "What it does.")`.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            settings_schema: "{}".to_owned(),
            wants: Vec::new(),
            ext: None,
        }
    }

    /// Adds the JSON Schema of the plugin's settings.
    #[must_use]
    pub fn with_settings_schema(mut self, schema: impl Into<String>) -> Self {
        self.settings_schema = schema.into();
        self
    }

    /// Asks for a host interface, with the reason shown to whoever grants it.
    #[must_use]
    pub fn wanting(mut self, grant: Grant, reason: impl Into<String>) -> Self {
        self.wants.push(Want {
            grant,
            reason: reason.into(),
        });
        self
    }
}
