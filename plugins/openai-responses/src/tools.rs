//! Tools as this API describes them, and as the model is told of them.
//!
//! A model knows functions only. Namespaced tools are told as `namespace__name` and split again in the
//! answer; tools that only the original service can run stay in the request as `hosted`, which the host does
//! not tell the model of, because agents send them whether or not they are used.

use atoll_sdk::json::{Field, Fields};
use atoll_sdk::types::{AllowedTools, Error, Grammar, GrammarSyntax, Tool, ToolChoice, ToolKind};

/// The tools of one request.
#[derive(Debug, Clone, Default)]
pub struct ToolSet {
    /// As the host gets them.
    pub tools: Vec<Tool>,
}

impl ToolSet {
    /// Reads `tools`.
    ///
    /// # Errors
    /// A function without a name, or with parameters that are no object.
    pub fn read(fields: &[Field]) -> Result<Self, Error> {
        let mut set = Self::default();
        for field in fields {
            set.add(field, None)?;
        }
        Ok(set)
    }

    /// Adds the tools of an `additional_tools` item. One of the same name takes the earlier one's place.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn add_all(&mut self, fields: &[Field]) -> Result<(), Error> {
        let more = Self::read(fields)?.tools;
        self.tools
            .retain(|tool| more.iter().all(|new| new.name != tool.name));
        self.tools.extend(more);
        Ok(())
    }

    fn add(&mut self, field: &Field, namespace: Option<&str>) -> Result<(), Error> {
        let mut tool = field.object()?;
        let kind = tool.require("type")?.string()?;
        match kind.as_str() {
            "function" => {
                let parameters = tool
                    .object_json("parameters")?
                    .unwrap_or_else(|| Tool::WITHOUT_PARAMETERS.to_owned());
                self.push(namespace, ToolKind::Function, &mut tool, parameters)?;
            }
            "custom" => {
                let grammar = match tool.object("format")? {
                    None => None,
                    Some(mut format) => grammar(&mut format)?,
                };
                let kind = ToolKind::Custom(grammar);
                self.push(namespace, kind, &mut tool, "{}".to_owned())?;
            }
            "namespace" if namespace.is_none() => {
                let name = tool.require("name")?.string()?;
                for inner in tool.array("tools")?.unwrap_or_default() {
                    self.add(&inner, Some(&name))?;
                }
            }
            _ => self.tools.push(Tool {
                kind: ToolKind::Hosted(kind.clone()),
                name: kind,
                namespace: None,
                description: None,
                parameters: field.json().to_owned(),
                strict: None,
                ext: None,
            }),
        }
        Ok(())
    }

    fn push(
        &mut self,
        namespace: Option<&str>,
        kind: ToolKind,
        tool: &mut Fields,
        parameters: String,
    ) -> Result<(), Error> {
        let name = tool.require("name")?.string()?;
        self.tools.push(Tool {
            kind,
            name: namespace.map_or_else(|| name.clone(), |space| format!("{space}__{name}")),
            namespace: namespace.map(str::to_owned),
            description: tool.string("description")?,
            parameters,
            strict: tool.bool("strict")?,
            ext: None,
        });
        Ok(())
    }

    /// Kinds that only the original service can run.
    #[must_use]
    pub fn hosted(&self) -> Vec<String> {
        self.tools
            .iter()
            .filter_map(|tool| match &tool.kind {
                ToolKind::Hosted(kind) => Some(kind.clone()),
                _ => None,
            })
            .collect()
    }

    /// The name the model uses for a tool of the client, or an error at `field`.
    fn flat(&self, field: &Field) -> Result<String, Error> {
        let name = field.string()?;
        let known = |tool: &&Tool| {
            let suffix = tool
                .namespace
                .as_ref()
                .and_then(|space| tool.name.strip_prefix(space.as_str())?.strip_prefix("__"));
            tool.name == name || suffix == Some(name.as_str())
        };
        self.tools
            .iter()
            .filter(|tool| !matches!(tool.kind, ToolKind::Hosted(_)))
            .find(known)
            .map(|tool| tool.name.clone())
            .ok_or_else(|| field.wrong("the name of one of the tools"))
    }

    /// Reads `tool_choice`.
    ///
    /// # Errors
    /// A tool that is not there, or something else.
    pub fn choice(&self, field: &Field) -> Result<ToolChoice, Error> {
        if field.kind() == atoll_sdk::json::Kind::String {
            return match field.string()?.as_str() {
                "auto" => Ok(ToolChoice::Auto),
                "none" => Ok(ToolChoice::None),
                "required" if self.tools.len() == self.hosted().len() => Err(Error::invalid(
                    field.path(),
                    "A tool is required, but there are no tools.",
                )),
                "required" => Ok(ToolChoice::Required),
                _ => Err(field.wrong("'auto', 'none', 'required' or an object")),
            };
        }
        if field.kind() != atoll_sdk::json::Kind::Object {
            return Err(field.wrong("'auto', 'none', 'required' or an object"));
        }
        let mut choice = field.object()?;
        match choice.require("type")?.string()?.as_str() {
            "function" | "custom" => Ok(ToolChoice::Named(self.flat(&choice.require("name")?)?)),
            "allowed_tools" => {
                let mode = choice.require("mode")?;
                let required = match mode.string()?.as_str() {
                    "auto" => false,
                    "required" => true,
                    _ => return Err(mode.wrong("'auto' or 'required'")),
                };
                let tools = choice.require("tools")?;
                let mut names = Vec::new();
                for tool in tools.array()? {
                    let mut tool = tool.object()?;
                    // Tools of the original service can be allowed but are not here.
                    if let Some(name) = tool.take("name") {
                        names.push(self.flat(&name)?);
                    }
                }
                match (names.is_empty(), required) {
                    (true, true) => Err(Error::unsupported(
                        tools.path(),
                        "None of these tools can be called here; name a function or a custom tool.",
                    )),
                    (true, false) => Ok(ToolChoice::None),
                    (false, _) => Ok(ToolChoice::Allowed(AllowedTools { required, names })),
                }
            }
            // The model was not told of it, and an answer without it is not what was asked for.
            hosted => Err(Error::unsupported(
                field.path(),
                format!(
                    "This host has no tool {hosted:?}; choose a function or a custom tool, or 'auto'."
                ),
            )),
        }
    }
}

/// The grammar of a custom tool; none for plain text.
fn grammar(format: &mut Fields) -> Result<Option<Grammar>, Error> {
    let kind = format.require("type")?;
    match kind.string()?.as_str() {
        "text" => Ok(None),
        "grammar" => {
            let syntax = format.require("syntax")?;
            Ok(Some(Grammar {
                syntax: match syntax.string()?.as_str() {
                    "lark" => GrammarSyntax::Lark,
                    "regex" => GrammarSyntax::Regex,
                    _ => return Err(syntax.wrong("'lark' or 'regex'")),
                },
                source: format.require("definition")?.string()?,
            }))
        }
        _ => Err(kind.wrong("'text' or 'grammar'")),
    }
}
