//! `tools` and `tool_choice`, and their predecessors `functions` and `function_call`.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{AllowedTools, Error, Grammar, GrammarSyntax, Tool, ToolChoice, ToolKind};

/// The tools in canonical form. Tools that the original service runs itself are kept as hosted: this
/// host cannot run them, but a client that sends them to everybody must not be turned away.
///
/// # Errors
/// A field is missing or wrong.
pub(crate) fn tools(field: &Field) -> Result<Vec<Tool>, Error> {
    field
        .array()?
        .iter()
        .map(|tool| tool_of(tool.object()?))
        .collect()
}

/// The functions of the older spelling.
///
/// # Errors
/// A field is missing or wrong.
pub(crate) fn functions(field: &Field) -> Result<Vec<Tool>, Error> {
    field
        .array()?
        .iter()
        .map(|function| function_tool(function.object()?, None))
        .collect()
}

fn tool_of(mut tool: Fields) -> Result<Tool, Error> {
    let kind = tool.require("type")?.string()?;
    match kind.as_str() {
        "function" => {
            let function = tool.require("function")?.object()?;
            function_tool(function, tool.rest()?)
        }
        "custom" => {
            let mut custom = tool.require("custom")?.object()?;
            let name = name(&mut custom)?;
            let description = custom.string("description")?;
            let grammar = match custom.object("format")? {
                Some(format) => custom_format(format)?,
                None => None,
            };
            Ok(Tool {
                kind: ToolKind::Custom(grammar),
                name,
                namespace: None,
                description,
                parameters: "{}".to_owned(),
                strict: None,
                ext: custom.rest()?,
            })
        }
        _ => Ok(Tool {
            name: kind.clone(),
            kind: ToolKind::Hosted(kind),
            namespace: None,
            description: None,
            parameters: "{}".to_owned(),
            strict: None,
            ext: tool.rest()?,
        }),
    }
}

fn function_tool(mut function: Fields, ext: Option<String>) -> Result<Tool, Error> {
    Ok(Tool {
        kind: ToolKind::Function,
        name: name(&mut function)?,
        namespace: None,
        description: function.string("description")?,
        parameters: function
            .object_json("parameters")?
            .unwrap_or_else(|| Tool::WITHOUT_PARAMETERS.to_owned()),
        strict: function.bool("strict")?,
        ext: function.rest()?.or(ext),
    })
}

fn name(object: &mut Fields) -> Result<String, Error> {
    let field = object.require("name")?;
    let name = field.string()?;
    if name.is_empty() {
        Err(field.wrong("a name"))
    } else {
        Ok(name)
    }
}

fn custom_format(mut format: Fields) -> Result<Option<Grammar>, Error> {
    let kind = format.require("type")?;
    match kind.string()?.as_str() {
        "text" => Ok(None),
        "grammar" => {
            // Nested in Chat Completions, flat in what some clients carry over from Responses.
            let mut grammar = match format.object("grammar")? {
                Some(grammar) => grammar,
                None => format,
            };
            let syntax = grammar.require("syntax")?;
            Ok(Some(Grammar {
                syntax: match syntax.string()?.as_str() {
                    "lark" => GrammarSyntax::Lark,
                    "regex" => GrammarSyntax::Regex,
                    _ => return Err(syntax.wrong("'lark' or 'regex'")),
                },
                source: grammar.require("definition")?.string()?,
            }))
        }
        _ => Err(kind.wrong("'text' or 'grammar'")),
    }
}

/// Which tools may or must be called.
///
/// # Errors
/// A field is missing or wrong.
pub(crate) fn tool_choice(field: &Field) -> Result<ToolChoice, Error> {
    const EXPECTED: &str = "'none', 'auto', 'required', or an object that names tools";
    match field.kind() {
        Kind::String => match field.string()?.as_str() {
            "none" => Ok(ToolChoice::None),
            "auto" => Ok(ToolChoice::Auto),
            "required" => Ok(ToolChoice::Required),
            _ => Err(field.wrong(EXPECTED)),
        },
        Kind::Object => {
            let mut object = field.object()?;
            let kind = object.require("type")?;
            match kind.string()?.as_str() {
                name @ ("function" | "custom") => {
                    let mut inner = object.require(name)?.object()?;
                    Ok(ToolChoice::Named(self::name(&mut inner)?))
                }
                "allowed_tools" => {
                    let inner = object.require("allowed_tools")?.object()?;
                    allowed(inner).map(ToolChoice::Allowed)
                }
                _ => Err(kind.wrong("one of 'function', 'custom', 'allowed_tools'")),
            }
        }
        _ => Err(field.wrong(EXPECTED)),
    }
}

fn allowed(mut object: Fields) -> Result<AllowedTools, Error> {
    let mode = object.require("mode")?;
    let required = match mode.string()?.as_str() {
        "auto" => false,
        "required" => true,
        _ => return Err(mode.wrong("'auto' or 'required'")),
    };
    let names = object
        .require("tools")?
        .array()?
        .iter()
        .map(|tool| {
            let mut tool = tool.object()?;
            let kind = tool.require("type")?.string()?;
            // A hosted tool goes by its type.
            match tool.object(&kind)? {
                Some(mut inner) => name(&mut inner),
                None => Ok(tool.string("name")?.unwrap_or(kind)),
            }
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(AllowedTools { required, names })
}

/// `function_call` of a request: the older `tool_choice`.
///
/// # Errors
/// It is something else.
pub(crate) fn function_call(field: &Field) -> Result<ToolChoice, Error> {
    match field.kind() {
        Kind::String => match field.string()?.as_str() {
            "none" => Ok(ToolChoice::None),
            "auto" => Ok(ToolChoice::Auto),
            _ => Err(field.wrong("'none', 'auto', or an object with a name")),
        },
        _ => name(&mut field.object()?).map(ToolChoice::Named),
    }
}
