//! `GET /v1/responses/{id}/input_items`: a stored request's own input, as items.

use atoll_sdk::types::{
    Error, HttpRequest, Media, MediaSource, Message, PartContent, Prompt, ResultContent, Role,
    StoredResponse, ToolCall, ToolResult,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::shape::Shape;

/// Which page of the items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    ascending: bool,
    after: Option<String>,
    /// Pictures that were sent with the request are wanted back.
    pictures: bool,
}

impl Page {
    /// Reads `limit`, `order`, `after` and `include`.
    ///
    /// # Errors
    /// One of them is none.
    pub fn read(request: &HttpRequest) -> Result<Self, Error> {
        let limit = match request.query_param("limit") {
            None => 20,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=100).contains(limit))
                .ok_or_else(|| Error::invalid("limit", "Expected an integer from 1 to 100."))?,
        };
        let ascending = match request.query_param("order") {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(_) => return Err(Error::invalid("order", "Expected 'asc' or 'desc'.")),
        };
        Ok(Self {
            limit,
            ascending,
            after: request.query_param("after").map(str::to_owned),
            pictures: includes(request, "message.input_image.image_url"),
        })
    }

    /// The page of a stored request's items.
    #[must_use]
    pub fn of(&self, stored: &StoredResponse) -> Value {
        let mut items = items(stored, self.pictures);
        if !self.ascending {
            items.reverse();
        }
        let from = match &self.after {
            None => 0,
            Some(after) => items
                .iter()
                .position(|item| item["id"] == json!(after))
                .map_or(items.len(), |at| at + 1),
        };
        let rest = items.split_off(from.min(items.len()));
        let has_more = rest.len() > self.limit;
        let data: Vec<Value> = rest.into_iter().take(self.limit).collect();
        let id = |item: Option<&Value>| item.map(|item| item["id"].clone());
        json!({
            "object": "list",
            "first_id": id(data.first()),
            "last_id": id(data.last()),
            "has_more": has_more,
            "data": data,
        })
    }
}

/// Whether the query asks to include something.
#[must_use]
pub fn includes(request: &HttpRequest, what: &str) -> bool {
    let mut query = request.query.iter();
    query.any(|(name, value)| {
        matches!(name.as_str(), "include" | "include[]") && value.split(',').any(|one| one == what)
    })
}

fn items(stored: &StoredResponse, pictures: bool) -> Vec<Value> {
    let Prompt::Conversation(messages) = &stored.request.prompt else {
        return Vec::new();
    };
    let shape = Shape::of(&stored.request);
    let mut items = Vec::new();
    // Instructions are a field of the response, not an item.
    for message in messages
        .iter()
        .skip(stored.request.state.transient_messages as usize)
    {
        add(message, &shape, pictures, &mut items);
    }
    for (at, item) in items.iter_mut().enumerate() {
        item["id"] = json!(format!("item_{}_{at}", stored.id));
    }
    items
}

fn add(message: &Message, shape: &Shape, pictures: bool, items: &mut Vec<Value>) {
    let mut content = Vec::new();
    let text_kind = if message.role == Role::Assistant {
        "output_text"
    } else {
        "input_text"
    };
    for part in &message.parts {
        match &part.content {
            PartContent::Text(text) => content.push(json!({ "type": text_kind, "text": text })),
            PartContent::Refusal(text) => {
                content.push(json!({ "type": "refusal", "refusal": text }));
            }
            PartContent::Image(media) => content.push(image(media, pictures)),
            PartContent::Reasoning(reasoning) => items.push(json!({
                "type": "reasoning",
                "summary": [{ "type": "summary_text", "text": reasoning.text }],
            })),
            PartContent::ToolCall(call) => items.push(tool_call(call, shape)),
            PartContent::ToolResult(result) => items.push(tool_result(result)),
            PartContent::Audio(_) | PartContent::Document(_) | PartContent::Other(_) => {
                content.push(json!({ "type": "input_file" }));
            }
        }
    }
    if !content.is_empty() {
        let role = match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        items.push(json!({
            "type": "message", "role": role, "status": "completed", "content": content,
        }));
    }
}

fn image(media: &Media, pictures: bool) -> Value {
    let url = match &media.source {
        MediaSource::Url(url) => Some(url.clone()),
        MediaSource::Bytes(bytes) if pictures => {
            let encoded = STANDARD.encode(bytes);
            Some(format!("data:{};base64,{encoded}", media.media_type))
        }
        MediaSource::Bytes(_) | MediaSource::FileId(_) => None,
    };
    json!({
        "type": "input_image", "image_url": url, "detail": media.detail.as_deref().unwrap_or("auto"),
    })
}

fn tool_call(call: &ToolCall, shape: &Shape) -> Value {
    let (name, namespace) = shape.told(&call.name);
    if call.custom {
        return json!({
            "type": "custom_tool_call", "call_id": call.call_id, "name": name, "input": call.arguments,
        });
    }
    let mut item = json!({
        "type": "function_call", "status": "completed", "call_id": call.call_id, "name": name,
        "arguments": call.arguments,
    });
    if let Some(namespace) = namespace {
        item["namespace"] = json!(namespace);
    }
    item
}

fn tool_result(result: &ToolResult) -> Value {
    let texts: Vec<&str> = result
        .content
        .iter()
        .filter_map(|content| match content {
            ResultContent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    json!({
        "type": "function_call_output", "status": "completed", "call_id": result.call_id,
        "output": texts.join("\n"),
    })
}
