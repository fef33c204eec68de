//! [`ChatTemplate`]: a conversation to the text a model was trained on, in the Hugging Face dialect
//! of Jinja.
//!
//! A template comes with the model and is untrusted; see [`dialect`] for its limits. It is compiled
//! once, and a few harmless conversations are rendered then to learn what it can hold
//! ([`TemplateFeatures`]): where a system message cannot stand, it is folded into the next user
//! message instead of failing the request.

mod clock;
mod dialect;
mod json;
mod messages;

use std::path::Path;
use std::time::SystemTime;

use minijinja::{Environment, Value as JinjaValue};
use serde_json::{Map, Value, json};

use self::messages::Message;
use super::TextError;
use super::generation::{MAX_SMALL_JSON_BYTES, read_json, special_token};
use crate::files;
use crate::output::OutputSyntax;

/// Largest template. The longest published ones have 20 KB.
const MAX_TEMPLATE_BYTES: usize = 1 << 20;
/// Most named templates of one model; published models have up to three.
const MAX_TEMPLATES: usize = 16;
/// Name of the template that is used when no other fits.
const DEFAULT: &str = "default";
/// Name of the template for conversations with tools, where there is one.
const TOOL_USE: &str = "tool_use";
/// Special tokens that templates refer to, by their names in tokenizer_config.json.
const SPECIAL_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "pad_token",
    "sep_token",
    "cls_token",
    "mask_token",
];

/// A model's compiled chat templates. See the [module documentation](self).
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: Vec<(String, JinjaValue)>,
    has_tool_use: bool,
    features: TemplateFeatures,
}

/// What a template can hold, found by trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TemplateFeatures {
    /// It mentions `tools`.
    pub tools: bool,
    /// It writes a system message at the beginning.
    pub system: bool,
    /// It writes a system message in the middle of a conversation.
    pub late_system: bool,
    /// It mentions `enable_thinking`.
    pub enable_thinking: bool,
    /// It mentions `reasoning_effort`.
    pub reasoning_effort: bool,
    /// How it teaches the model to mark reasoning and tool calls.
    pub output: OutputSyntax,
}

/// What to render.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'a> {
    /// Objects with `role`, `content`, and what else the template knows.
    pub messages: &'a [Value],
    /// A list of tool definitions, if any.
    pub tools: Option<&'a Value>,
    /// Further variables: `enable_thinking`, `documents`. They cannot replace the messages.
    pub variables: &'a Map<String, Value>,
    /// Write the beginning of an assistant message at the end.
    pub add_generation_prompt: bool,
    /// The last message is the beginning of the answer: render it without its end.
    pub continue_final_message: bool,
    /// What `strftime_now` shows, in UTC.
    pub now: SystemTime,
}

/// A template's text and name, before it is compiled.
type Source = (String, String);

impl ChatTemplate {
    /// Reads the templates of a model folder: `chat_template.jinja`, else `chat_template.json`,
    /// else the field of `tokenizer_config.json`. `None` if there is none.
    ///
    /// # Errors
    /// [`TextError`] if a file is malformed or a template does not compile.
    pub fn read(folder: &Path) -> Result<Option<Self>, TextError> {
        let tokenizer_config = read_json(folder, "tokenizer_config.json")?;
        let own_file =
            files::read_bounded(&folder.join("chat_template.jinja"), MAX_SMALL_JSON_BYTES);
        let sources = match own_file {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| {
                    TextError::TemplateSyntax("chat_template.jinja is not UTF-8".to_owned())
                })?;
                vec![(DEFAULT.to_owned(), text)]
            }
            Err(error) if error.is_not_found() => {
                match sources(read_json(folder, "chat_template.json")?.get("chat_template"))? {
                    sources if sources.is_empty() => sources_of(&tokenizer_config)?,
                    sources => sources,
                }
            }
            Err(error) => return Err(error.into()),
        };
        if sources.is_empty() {
            Ok(None)
        } else {
            Self::new(sources, &tokenizer_config).map(Some)
        }
    }

    /// Compiles one template. `tokenizer_config` gives the special tokens it refers to.
    ///
    /// # Errors
    /// [`TextError::TemplateSyntax`].
    pub fn from_source(source: &str, tokenizer_config: &Value) -> Result<Self, TextError> {
        Self::new(
            vec![(DEFAULT.to_owned(), source.to_owned())],
            tokenizer_config,
        )
    }

    fn new(sources: Vec<Source>, tokenizer_config: &Value) -> Result<Self, TextError> {
        if sources.len() > MAX_TEMPLATES {
            return Err(TextError::TemplateSyntax(format!(
                "more than {MAX_TEMPLATES} templates"
            )));
        }
        let mut environment = dialect::environment();
        // A model may call its only template anything.
        let fallback = if sources.iter().any(|(name, _)| name == DEFAULT) {
            ""
        } else {
            DEFAULT
        };
        let mut mentioned = std::collections::HashSet::new();
        let mut output = OutputSyntax::default();
        for (index, (name, source)) in sources.into_iter().enumerate() {
            if source.len() > MAX_TEMPLATE_BYTES {
                return Err(TextError::TemplateSyntax(format!(
                    "longer than {MAX_TEMPLATE_BYTES} bytes"
                )));
            }
            let name = if index == 0 && !fallback.is_empty() {
                fallback.to_owned()
            } else {
                name
            };
            let taught = OutputSyntax::detect(&source);
            output.reasoning = output.reasoning.or(taught.reasoning);
            output.tools = output.tools.or(taught.tools);
            let source = dialect::without_generation_tags(&source);
            environment
                .add_template_owned(name.clone(), source)
                .map_err(|error| dialect::explain(&error))?;
            let template = environment
                .get_template(&name)
                .map_err(|error| dialect::explain(&error))?;
            mentioned.extend(template.undeclared_variables(false));
        }
        let special = |name: &&str| special_token(tokenizer_config, name);
        let special_tokens = SPECIAL_TOKENS
            .iter()
            .map(|name| {
                (
                    (*name).to_owned(),
                    JinjaValue::from(special(name).unwrap_or("")),
                )
            })
            .collect();
        let mut template = Self {
            has_tool_use: environment.get_template(TOOL_USE).is_ok(),
            environment,
            special_tokens,
            features: TemplateFeatures::default(),
        };
        template.features = TemplateFeatures {
            tools: template.has_tool_use || mentioned.contains("tools"),
            enable_thinking: mentioned.contains("enable_thinking"),
            reasoning_effort: mentioned.contains("reasoning_effort"),
            output,
            system: template.holds(&["system", "user"]),
            late_system: template.holds(&["system", "user", "assistant", "system", "user"]),
        };
        Ok(template)
    }

    /// What the template can hold.
    #[must_use]
    pub fn features(&self) -> TemplateFeatures {
        self.features
    }

    /// The prompt for a conversation.
    ///
    /// # Errors
    /// [`TextError::Conversation`] if the messages are malformed; [`TextError::TemplateRefused`] if
    /// the template says so; [`TextError::TemplateLimit`] or [`TextError::TemplateFailed`].
    pub fn render(&self, conversation: &Conversation<'_>) -> Result<String, TextError> {
        let mut messages = messages::normalise(conversation.messages)?;
        let late = messages.iter().skip(1).any(is_system);
        if !self.features.system && messages.iter().any(is_system) {
            messages = messages::fold_system(messages, false);
        } else if !self.features.late_system && late {
            messages = messages::fold_system(messages, true);
        }
        let rendered = self.render_as_is(&messages, conversation)?;
        match messages.last() {
            Some(last) if conversation.continue_final_message => {
                messages::cut_after_last_message(rendered, last)
            }
            _ => Ok(rendered),
        }
    }

    fn render_as_is(
        &self,
        messages: &[Message],
        conversation: &Conversation<'_>,
    ) -> Result<String, TextError> {
        let tools = conversation
            .tools
            .filter(|tools| tools.as_array().is_none_or(|tools| !tools.is_empty()));
        let name = if tools.is_some() && self.has_tool_use {
            TOOL_USE
        } else {
            DEFAULT
        };
        let mut variables = self.special_tokens.clone();
        // Templates ask `documents is none`, as transformers passes None.
        variables.push(("documents".to_owned(), JinjaValue::from(())));
        variables.extend(
            conversation
                .variables
                .iter()
                .map(|(name, value)| (name.clone(), messages::to_jinja(value))),
        );
        // Last, so that nothing a client adds can replace them.
        variables.push((
            "messages".to_owned(),
            messages.iter().map(messages::object_to_jinja).collect(),
        ));
        variables.push((
            "tools".to_owned(),
            tools.map_or(JinjaValue::from(()), messages::to_jinja),
        ));
        let prompt = conversation.add_generation_prompt && !conversation.continue_final_message;
        variables.push(("add_generation_prompt".to_owned(), JinjaValue::from(prompt)));
        dialect::render(&self.environment, name, variables, conversation.now)
    }

    /// Whether a conversation of these roles renders, with every message's text in it, in order.
    fn holds(&self, roles: &[&str]) -> bool {
        let marks: Vec<String> = (0..roles.len())
            .map(|index| format!("probe {index} mark"))
            .collect();
        let messages: Vec<Value> = roles
            .iter()
            .zip(&marks)
            .map(|(role, mark)| json!({"role": role, "content": mark}))
            .collect();
        let conversation = Conversation {
            messages: &messages,
            tools: None,
            variables: &Map::new(),
            add_generation_prompt: true,
            continue_final_message: false,
            now: SystemTime::UNIX_EPOCH,
        };
        let rendered = messages::normalise(&messages)
            .and_then(|messages| self.render_as_is(&messages, &conversation));
        rendered.is_ok_and(|text| {
            let positions: Option<Vec<usize>> = marks.iter().map(|mark| text.find(mark)).collect();
            positions.is_some_and(|positions| positions.is_sorted())
        })
    }
}

fn is_system(message: &Message) -> bool {
    message.get("role").and_then(Value::as_str) == Some("system")
}

fn sources_of(tokenizer_config: &Value) -> Result<Vec<Source>, TextError> {
    sources(tokenizer_config.get("chat_template"))
}

/// One template as a string, or a list of `{name, template}`.
fn sources(value: Option<&Value>) -> Result<Vec<Source>, TextError> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(source)) => Ok(vec![(DEFAULT.to_owned(), source.clone())]),
        Some(Value::Array(list)) => {
            let named = |entry: &Value| {
                let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
                text("name").zip(text("template"))
            };
            let sources: Option<Vec<Source>> = list.iter().map(named).collect();
            sources.ok_or_else(|| {
                TextError::TemplateSyntax("a list entry lacks name or template".to_owned())
            })
        }
        Some(_) => Err(TextError::TemplateSyntax(
            "chat_template must be text or a list".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
