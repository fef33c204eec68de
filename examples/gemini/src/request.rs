//! From Gemini's JSON to the canonical request.

use atoll_sdk::json::{Field, Fields, Kind};
use atoll_sdk::types::{
    AllowedTools, Error, ErrorKind, GenerateRequest, JsonSchema, Message, Operation, OutputFormat,
    Part, PartContent, Prompt, ResultContent, Role, Sampling, Tool, ToolCall, ToolChoice, ToolKind,
    ToolResult,
};

/// What a client asks of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Generate,
    Stream,
    CountTokens,
}

impl Method {
    /// The model and the method of `models/{model}:{method}`. Models may have colons in their names.
    pub fn parse(target: &str) -> Result<(&str, Self), Error> {
        let unknown = || {
            let message = format!("There is no method in 'models/{target}'.");
            Error::new(ErrorKind::NotFound, message)
        };
        let (model, method) = target.rsplit_once(':').ok_or_else(unknown)?;
        let method = match method {
            "generateContent" => Self::Generate,
            "streamGenerateContent" => Self::Stream,
            "countTokens" => Self::CountTokens,
            _ => return Err(unknown()),
        };
        Ok((model, method))
    }
}

/// The operation for a body.
pub fn decode(model: &str, method: &Method, body: &[u8]) -> Result<Operation, Error> {
    let mut fields = Fields::parse(body)?;
    if *method == Method::CountTokens {
        // Either the request itself, or only its contents.
        if let Some(inner) = fields.object("generateContentRequest")? {
            refuse_rest(fields)?;
            fields = inner;
            fields.take("model");
        }
        return generate(model, fields).map(Operation::CountTokens);
    }
    let mut request = generate(model, fields)?;
    request.streaming.enabled = *method == Method::Stream;
    Ok(Operation::Generate(request))
}

fn generate(model: &str, mut fields: Fields) -> Result<GenerateRequest, Error> {
    let mut messages = Vec::new();
    if let Some(mut system) = fields.object("systemInstruction")? {
        system.take("role");
        messages.push(Message::new(Role::System, parts(&mut system, &mut Calls::default())?));
        refuse_rest(system)?;
    }
    let mut calls = Calls::default();
    let contents = fields.require("contents")?;
    for content in contents.array()? {
        messages.push(message(content.object()?, &mut calls)?);
    }
    if calls.messages == 0 && messages.is_empty() {
        return Err(contents.wrong("a list that is not empty"));
    }
    let mut request = GenerateRequest::new(model, Prompt::Conversation(messages));
    for tool in fields.array("tools")?.unwrap_or_default() {
        request.tools.extend(tools(tool.object()?)?);
    }
    if let Some(config) = fields.object("toolConfig")? {
        request.tool_choice = tool_choice(config)?;
    }
    if let Some(config) = fields.object("generationConfig")? {
        generation_config(config, &mut request)?;
    }
    fields.take("safetySettings");
    request.unconsumed = fields.rest()?;
    Ok(request)
}

/// Function calls by name, because Gemini's results name the function and not the call.
#[derive(Default)]
struct Calls {
    open: Vec<(String, String)>,
    made: usize,
    messages: usize,
}

impl Calls {
    fn open(&mut self, name: &str, id: Option<String>) -> String {
        self.made += 1;
        let id = id.unwrap_or_else(|| format!("call_{}", self.made));
        self.open.push((name.to_owned(), id.clone()));
        id
    }

    /// The oldest open call of that function.
    fn close(&mut self, name: &str, id: Option<String>) -> String {
        let found = self
            .open
            .iter()
            .position(|(open, open_id)| match &id {
                Some(id) => open_id == id,
                None => open == name,
            })
            .map(|at| self.open.remove(at).1);
        found.or(id).unwrap_or_else(|| name.to_owned())
    }
}

fn message(mut content: Fields, calls: &mut Calls) -> Result<Message, Error> {
    calls.messages += 1;
    let role = match content.string("role")?.as_deref() {
        None | Some("user") => Role::User,
        Some("model") => Role::Assistant,
        // The official clients send results under either name.
        Some("function" | "tool") => Role::Tool,
        Some(_) => {
            let param = content.path_of("role");
            return Err(Error::invalid(param, "The role must be user or model."));
        }
    };
    let parts = parts(&mut content, calls)?;
    refuse_rest(content)?;
    let results = |part: &Part| matches!(part.content, PartContent::ToolResult(_));
    let role = if parts.iter().all(results) && !parts.is_empty() {
        Role::Tool
    } else {
        role
    };
    Ok(Message::new(role, parts))
}

fn parts(content: &mut Fields, calls: &mut Calls) -> Result<Vec<Part>, Error> {
    let list = content.require("parts")?;
    list.array()?
        .iter()
        .map(|field| part(field, calls).map(Part::new))
        .collect()
}

fn part(field: &Field, calls: &mut Calls) -> Result<PartContent, Error> {
    let mut part = field.object()?;
    let content = if let Some(text) = part.string("text")? {
        PartContent::Text(text)
    } else if let Some(mut call) = part.object("functionCall")? {
        let name = call.require("name")?.string()?;
        let id = call.string("id")?;
        let arguments = call.object_json("args")?.unwrap_or_else(|| "{}".to_owned());
        refuse_rest(call)?;
        PartContent::ToolCall(ToolCall {
            call_id: calls.open(&name, id),
            name,
            namespace: None,
            arguments,
            custom: false,
        })
    } else if let Some(mut result) = part.object("functionResponse")? {
        let name = result.require("name")?.string()?;
        let id = result.string("id")?;
        let response = result.require("response")?.json().to_owned();
        refuse_rest(result)?;
        PartContent::ToolResult(ToolResult {
            call_id: calls.close(&name, id),
            name: Some(name),
            content: vec![ResultContent::Text(response)],
            is_error: false,
        })
    } else {
        let message = "Only text, functionCall and functionResponse parts are supported here.";
        return Err(Error::unsupported(field.path(), message));
    };
    refuse_rest(part)?;
    Ok(content)
}

fn tools(mut tool: Fields) -> Result<Vec<Tool>, Error> {
    let declarations = tool.array("functionDeclarations")?.unwrap_or_default();
    refuse_rest(tool)?;
    let declare = |field: Field| {
        let mut fields = field.object()?;
        let tool = Tool {
            kind: ToolKind::Function,
            name: fields.require("name")?.string()?,
            namespace: None,
            description: fields.string("description")?,
            parameters: match fields.object_json("parametersJsonSchema")? {
                Some(schema) => schema,
                None => fields
                    .take("parameters")
                    .map_or_else(|| Ok("{}".to_owned()), |schema| lower_types(&schema))?,
            },
            strict: None,
            ext: None,
        };
        refuse_rest(fields)?;
        Ok(tool)
    };
    declarations.into_iter().map(declare).collect()
}

fn tool_choice(mut config: Fields) -> Result<ToolChoice, Error> {
    let calling = config.object("functionCallingConfig")?;
    refuse_rest(config)?;
    let Some(mut calling) = calling else {
        return Ok(ToolChoice::Auto);
    };
    let mode = calling.string("mode")?;
    let names = calling.array("allowedFunctionNames")?;
    let param = calling.path_of("mode");
    refuse_rest(calling)?;
    let names = names.unwrap_or_default();
    let names: Vec<String> = names.iter().map(Field::string).collect::<Result<_, _>>()?;
    match mode.as_deref() {
        None | Some("AUTO" | "MODE_UNSPECIFIED") => Ok(ToolChoice::Auto),
        Some("NONE") => Ok(ToolChoice::None),
        Some("ANY") if names.is_empty() => Ok(ToolChoice::Required),
        Some("ANY") => Ok(ToolChoice::Allowed(AllowedTools {
            required: true,
            names,
        })),
        Some(_) => Err(Error::invalid(param, "The mode must be AUTO, ANY or NONE.")),
    }
}

fn generation_config(mut config: Fields, request: &mut GenerateRequest) -> Result<(), Error> {
    request.sampling = Sampling {
        temperature: config.f64_in("temperature", 0.0..=2.0)?,
        top_p: config.f64_in("topP", 0.0..=1.0)?,
        top_k: config.u32("topK")?,
        presence_penalty: config.f64_in("presencePenalty", -2.0..=2.0)?,
        frequency_penalty: config.f64_in("frequencyPenalty", -2.0..=2.0)?,
        seed: config.u32("seed")?.map(u64::from),
        ..Sampling::default()
    };
    request.max_output_tokens = config.u32("maxOutputTokens")?;
    request.choices = config.u32("candidateCount")?.unwrap_or(1);
    for stop in config.array("stopSequences")?.unwrap_or_default() {
        request.stop.push(stop.string()?);
    }
    let schema = match config.object_json("responseJsonSchema")? {
        Some(schema) => Some(schema),
        None => config
            .take("responseSchema")
            .map(|schema| lower_types(&schema))
            .transpose()?,
    };
    let mime = config.string("responseMimeType")?;
    request.format = match (mime.as_deref(), schema) {
        (None | Some("text/plain"), None) => OutputFormat::Text,
        (Some("application/json"), None) => OutputFormat::JsonObject,
        (_, Some(schema)) => OutputFormat::JsonSchema(JsonSchema {
            name: None,
            description: None,
            schema,
            strict: Some(true),
        }),
        (Some(other), None) => {
            let message = format!("'{other}' answers are not supported here.");
            return Err(Error::unsupported(config.path_of("responseMimeType"), message));
        }
    };
    refuse_rest(config)
}

/// Gemini's schemas spell types in capitals (`"type": "STRING"`); JSON Schema does not.
fn lower_types(schema: &Field) -> Result<String, Error> {
    if schema.kind() != Kind::Object {
        return Err(schema.wrong("a schema"));
    }
    let mut value: serde_json::Value = schema.read("a schema")?;
    lower(&mut value);
    Ok(value.to_string())
}

fn lower(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            if let Some(serde_json::Value::String(kind)) = fields.get_mut("type") {
                *kind = kind.to_ascii_lowercase();
            }
            fields.values_mut().for_each(lower);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(lower),
        _ => {}
    }
}

/// A field this plugin does not translate would change what the client gets: say so.
fn refuse_rest(fields: Fields) -> Result<(), Error> {
    let path = fields.path().to_owned();
    let Some(rest) = fields.rest()? else {
        return Ok(());
    };
    let rest: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&rest)
        .map_err(|_| Error::internal("The unconsumed fields are not an object."))?;
    let name = rest.keys().next().cloned().unwrap_or_default();
    let param = if path.is_empty() {
        name.clone()
    } else {
        format!("{path}.{name}")
    };
    Err(Error::unsupported(param, format!("'{name}' is not supported here.")))
}
