//! Tools as this API describes them, and as the model is told of them.
//!
//! A model knows functions only. Namespaced tools are told as `namespace__name` and split again in the
//! answer; custom tools as a function of one text, `input`, and unpacked again; tools that only the original
//! service can run are left out and reported, because agents send them whether or not they are used.

use atoll_sdk::json::Field;
use atoll_sdk::types::{AllowedTools, Error, Tool, ToolChoice, ToolKind};
use serde_json::{Value, json};

/// What the answer must know about a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The name the model uses.
    pub flat: String,
    /// The name the client uses.
    pub name: String,
    /// The client's namespace.
    pub namespace: Option<String>,
    /// Free text instead of JSON arguments.
    pub custom: bool,
}

/// The tools of one request.
#[derive(Debug, Clone, Default)]
pub struct ToolSet {
    /// As the host gets them.
    pub tools: Vec<Tool>,
    /// Names, both ways.
    pub told: Vec<Told>,
    /// Kinds that were left out.
    pub skipped: Vec<String>,
    /// As the client sent them, for the response object.
    pub echoed: Vec<Value>,
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

    fn add(&mut self, field: &Field, namespace: Option<&str>) -> Result<(), Error> {
        let mut tool = field.object()?;
        let kind = tool.require("type")?.string()?;
        if namespace.is_none() {
            self.echoed.push(field.read("a tool")?);
        }
        match kind.as_str() {
            "function" => {
                let name = tool.require("name")?.string()?;
                let parameters = tool
                    .object_json("parameters")?
                    .unwrap_or_else(|| "{}".to_owned());
                let description = tool.string("description")?;
                let strict = tool.bool("strict")?;
                self.push(namespace, name, description, parameters, strict, false);
            }
            "custom" => {
                let name = tool.require("name")?.string()?;
                let parameters = json!({
                    "type": "object",
                    "properties": { "input": { "type": "string" } },
                    "required": ["input"],
                    "additionalProperties": false,
                });
                let description = tool.string("description")?;
                self.push(
                    namespace,
                    name,
                    description,
                    parameters.to_string(),
                    None,
                    true,
                );
            }
            "namespace" if namespace.is_none() => {
                let name = tool.require("name")?.string()?;
                for inner in tool.array("tools")?.unwrap_or_default() {
                    self.add(&inner, Some(&name))?;
                }
            }
            _ => self.skipped.push(kind),
        }
        Ok(())
    }

    fn push(
        &mut self,
        namespace: Option<&str>,
        name: String,
        description: Option<String>,
        parameters: String,
        strict: Option<bool>,
        custom: bool,
    ) {
        let flat = namespace.map_or_else(|| name.clone(), |space| format!("{space}__{name}"));
        self.tools.push(Tool {
            kind: ToolKind::Function,
            name: flat.clone(),
            namespace: None,
            description,
            parameters,
            strict,
            ext: None,
        });
        self.told.push(Told {
            flat,
            name,
            namespace: namespace.map(str::to_owned),
            custom,
        });
    }

    /// What the client calls the tool the model calls `flat`.
    #[must_use]
    pub fn told(&self, flat: &str) -> Option<&Told> {
        self.told.iter().find(|told| told.flat == flat)
    }

    /// The name the model uses for a tool of the client, or an error at `field`.
    fn flat(&self, field: &Field) -> Result<String, Error> {
        let name = field.string()?;
        self.told
            .iter()
            .find(|told| told.name == name || told.flat == name)
            .map(|told| told.flat.clone())
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
                "required" if self.tools.is_empty() => Err(Error::invalid(
                    field.path(),
                    "A tool is required, but there are no tools.",
                )),
                "required" => Ok(ToolChoice::Required),
                _ => Err(field.wrong("'auto', 'none', 'required' or an object")),
            };
        }
        let mut choice = field.object()?;
        match choice.require("type")?.string()?.as_str() {
            "function" | "custom" => Ok(ToolChoice::Named(self.flat(&choice.require("name")?)?)),
            "allowed_tools" => {
                let required = choice.string("mode")?.as_deref() == Some("required");
                let mut names = Vec::new();
                for tool in choice.array("tools")?.unwrap_or_default() {
                    let mut tool = tool.object()?;
                    // Tools of the original service can be allowed but are not here.
                    if let Some(name) = tool.take("name") {
                        names.push(self.flat(&name)?);
                    }
                }
                Ok(ToolChoice::Allowed(AllowedTools { required, names }))
            }
            // A tool of the original service, which the model was not told of.
            _ => Ok(ToolChoice::Auto),
        }
    }
}
