//! Every text of an operation, in an order that later turns do not change.
//!
//! The rule is to read everything and leave out what is structure: ids, roles, tool names, signatures
//! and property names of schemas. Tools and formats come before messages and request-wide fields after
//! them, so a conversation that grows by one turn meets its old values in the old order.
//! What holds no text (pictures, sound, binary documents, token inputs, parts that only one API knows)
//! is listed as unreadable, for the policy to decide.

use atoll_sdk::types::{
    CompletionInput, GenerateRequest, Media, MediaSource, Operation, OutputFormat, Part,
    PartContent, Prompt, ResultContent, Tool, ToolKind,
};

/// How a text is read.
#[derive(Debug)]
pub enum Slot<'a> {
    /// Free text; JSON in it is read as JSON.
    Text(&'a mut String),
    /// A JSON value: its strings, keys and numbers.
    Json(&'a mut String),
    /// A JSON Schema: its descriptions, titles, defaults and examples; its property names stay.
    Schema(&'a mut String),
    /// Text that arrived as bytes.
    Bytes(&'a mut Vec<u8>),
}

/// One text and where it is.
#[derive(Debug)]
pub struct Field<'a> {
    /// `messages[2].parts[0]`.
    pub path: String,
    /// The text.
    pub slot: Slot<'a>,
}

/// Everything in an operation.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    /// Texts, in order.
    pub texts: Vec<Field<'a>>,
    /// Paths of what has no text to read.
    pub unreadable: Vec<String>,
}

impl<'a> Fields<'a> {
    fn text(&mut self, path: impl Into<String>, text: &'a mut String) {
        if !text.is_empty() {
            self.texts.push(Field {
                path: path.into(),
                slot: Slot::Text(text),
            });
        }
    }

    fn optional(&mut self, path: impl Into<String>, text: &'a mut Option<String>) {
        if let Some(text) = text {
            self.text(path, text);
        }
    }

    fn json(&mut self, path: impl Into<String>, json: &'a mut Option<String>) {
        if let Some(json) = json {
            self.texts.push(Field {
                path: path.into(),
                slot: Slot::Json(json),
            });
        }
    }

    fn schema(&mut self, path: impl Into<String>, schema: &'a mut String) {
        self.texts.push(Field {
            path: path.into(),
            slot: Slot::Schema(schema),
        });
    }

    /// Every text of `operation`.
    #[must_use]
    pub fn of(operation: &'a mut Operation) -> Self {
        let mut f = Fields::default();
        match operation {
            Operation::Generate(r) | Operation::CountTokens(r) => f.generate(r),
            Operation::Embed(r) => {
                f.inputs("inputs", &mut r.inputs);
                f.json("ext", &mut r.ext);
            }
            Operation::Other(o) => {
                f.unreadable.push("operation".to_owned());
                f.texts.push(Field {
                    path: "operation".to_owned(),
                    slot: Slot::Json(&mut o.value),
                });
            }
            // Names and ids only.
            Operation::ListModels
            | Operation::ShowModel(_)
            | Operation::LoadModel(_)
            | Operation::ListRunning
            | Operation::PullModel(_)
            | Operation::DeleteModel(_)
            | Operation::CopyModel(_)
            | Operation::GetResponse(_)
            | Operation::DeleteResponse(_)
            | Operation::CancelResponse(_)
            | Operation::None => {}
        }
        f
    }

    fn generate(&mut self, r: &'a mut GenerateRequest) {
        for (i, tool) in r.tools.iter_mut().enumerate() {
            self.tool(&format!("tools[{i}]"), tool);
        }
        match &mut r.format {
            OutputFormat::Text | OutputFormat::JsonObject => {}
            OutputFormat::JsonSchema(s) => {
                self.optional("format.description", &mut s.description);
                self.schema("format.schema", &mut s.schema);
            }
            OutputFormat::Grammar(g) => self.text("format.grammar", &mut g.source),
        }
        match &mut r.prompt {
            Prompt::Conversation(messages) => {
                for (i, m) in messages.iter_mut().enumerate() {
                    let path = format!("messages[{i}]");
                    self.optional(format!("{path}.name"), &mut m.name);
                    for (j, part) in m.parts.iter_mut().enumerate() {
                        self.part(format!("{path}.parts[{j}]"), part);
                    }
                    self.json(format!("{path}.ext"), &mut m.ext);
                }
            }
            Prompt::Completion(c) => {
                self.inputs("inputs", &mut c.inputs);
                self.optional("suffix", &mut c.suffix);
            }
        }
        for (i, stop) in r.stop.iter_mut().enumerate() {
            self.text(format!("stop[{i}]"), stop);
        }
        self.json("template_variables", &mut r.template_variables);
        // By number: a key is the client's own text, and paths go to the audit.
        for (i, (_, value)) in r.metadata.iter_mut().enumerate() {
            self.text(format!("metadata[{i}]"), value);
        }
        self.optional("end_user", &mut r.end_user);
        self.optional("cache.key", &mut r.cache.key);
        self.json("unconsumed", &mut r.unconsumed);
        self.json("ext", &mut r.ext);
    }

    fn tool(&mut self, path: &str, tool: &'a mut Tool) {
        self.optional(format!("{path}.description"), &mut tool.description);
        self.schema(format!("{path}.parameters"), &mut tool.parameters);
        if let ToolKind::Custom(Some(grammar)) = &mut tool.kind {
            self.text(format!("{path}.grammar"), &mut grammar.source);
        }
        self.json(format!("{path}.ext"), &mut tool.ext);
    }

    fn inputs(&mut self, path: &str, inputs: &'a mut [CompletionInput]) {
        for (i, input) in inputs.iter_mut().enumerate() {
            let path = format!("{path}[{i}]");
            match input {
                CompletionInput::Text(text) => self.text(path, text),
                CompletionInput::Tokens(_) => self.unreadable.push(path),
            }
        }
    }

    fn part(&mut self, path: String, part: &'a mut Part) {
        self.json(format!("{path}.ext"), &mut part.ext);
        match &mut part.content {
            PartContent::Text(text) | PartContent::Refusal(text) => self.text(path, text),
            PartContent::Image(m) | PartContent::Audio(m) => self.media(path, m),
            PartContent::Document(m) => self.document(path, m),
            PartContent::Reasoning(r) => {
                for (i, paragraph) in r.summary.iter_mut().enumerate() {
                    self.text(format!("{path}.summary[{i}]"), paragraph);
                }
                self.text(path, &mut r.text);
            }
            PartContent::ToolCall(call) => {
                let path = format!("{path}.arguments");
                let slot = if call.custom {
                    Slot::Text(&mut call.arguments)
                } else {
                    Slot::Json(&mut call.arguments)
                };
                self.texts.push(Field { path, slot });
            }
            PartContent::ToolResult(result) => {
                for (i, content) in result.content.iter_mut().enumerate() {
                    let path = format!("{path}.content[{i}]");
                    match content {
                        ResultContent::Text(text) => self.text(path, text),
                        ResultContent::Image(m) => self.media(path, m),
                        ResultContent::Document(m) => self.document(path, m),
                        ResultContent::Other(o) => self.opaque(path, &mut o.value),
                    }
                }
            }
            PartContent::Other(o) => self.opaque(path, &mut o.value),
        }
    }

    fn opaque(&mut self, path: String, value: &'a mut String) {
        self.unreadable.push(path.clone());
        self.texts.push(Field {
            path,
            slot: Slot::Json(value),
        });
    }

    fn media(&mut self, path: String, m: &'a mut Media) {
        self.optional(format!("{path}.detail"), &mut m.detail);
        if let MediaSource::Url(url) = &mut m.source
            && !url.starts_with("data:")
        {
            self.text(format!("{path}.url"), url);
        }
        self.unreadable.push(path);
    }

    /// Documents of plain text are read, others are not.
    fn document(&mut self, path: String, m: &'a mut Media) {
        let kind = m
            .media_type
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        let textual = kind.starts_with("text/")
            || matches!(
                kind.as_str(),
                "application/json" | "application/xml" | "application/yaml"
            );
        let text =
            textual && matches!(&m.source, MediaSource::Bytes(b) if std::str::from_utf8(b).is_ok());
        if !text {
            return self.media(path, m);
        }
        self.optional(format!("{path}.detail"), &mut m.detail);
        if let MediaSource::Bytes(bytes) = &mut m.source {
            self.texts.push(Field {
                path,
                slot: Slot::Bytes(bytes),
            });
        }
    }
}

/// What stays the same over the turns of a conversation: its first system and first other message, or
/// the beginning of a completion.
#[must_use]
pub fn root(operation: &Operation) -> String {
    let r = match operation {
        Operation::Generate(r) | Operation::CountTokens(r) => r,
        Operation::Embed(_) => return "embed".to_owned(),
        _ => return String::new(),
    };
    match &r.prompt {
        Prompt::Conversation(messages) => {
            let mut out = String::new();
            for m in messages.iter().take(2) {
                for part in &m.parts {
                    if let PartContent::Text(text) = &part.content {
                        out.push_str(text);
                        out.push('\u{1f}');
                    }
                }
                if m.role == atoll_sdk::types::Role::User {
                    break;
                }
            }
            out
        }
        Prompt::Completion(c) => match c.inputs.first() {
            Some(CompletionInput::Text(text)) => text.chars().take(48).collect(),
            _ => String::new(),
        },
    }
}
