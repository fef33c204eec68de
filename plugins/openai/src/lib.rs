//! The OpenAI dialect: Chat Completions and Models.

use atoll_sdk::dialect::{Dialect, DialectDescriptor, Exchange, Route};
use atoll_sdk::json::Fields;
use atoll_sdk::types::{
    Descriptor, Error, Event, FinishReason, GenerateRequest, Header, HttpRequest, HttpResponse,
    Message, Operation, OperationResult, Prompt, ResponseHead, Role, Usage,
};
use atoll_sdk::{json, sse};
use serde_json::{Value, json};

struct OpenAi;

#[derive(Default)]
struct Answer {
    request: Option<HttpRequest>,
    streaming: bool,
    include_usage: bool,
    id: String,
    created: u64,
    model: String,
    text: String,
    reason: &'static str,
}

impl Dialect for OpenAi {
    type Exchange = Answer;

    fn describe() -> DialectDescriptor {
        DialectDescriptor {
            plugin: Descriptor::new(
                "openai",
                env!("CARGO_PKG_VERSION"),
                "OpenAI: Chat Completions and Models.",
            ),
            routes: vec![
                Route::new("POST", "/v1/chat/completions"),
                Route::new("GET", "/v1/models"),
                Route::new("GET", "/v1/models/{id...}"),
            ],
        }
    }
}

impl Answer {
    fn chunk(&self, delta: Value, finish_reason: Option<&str>) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.id),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        })
    }

    fn usage(usage: &Usage) -> Value {
        json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.prompt_tokens + usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        })
    }
}

impl Exchange for Answer {
    fn new(request: HttpRequest) -> Self {
        Self {
            request: Some(request),
            reason: "stop",
            ..Self::default()
        }
    }

    fn decode(&mut self) -> Result<Operation, Error> {
        let request = self
            .request
            .take()
            .ok_or_else(|| Error::internal("decoded twice"))?;
        if let Some(id) = request.path_param("id") {
            return Ok(Operation::ShowModel(id.to_owned()));
        }
        if request.method == "GET" {
            return Ok(Operation::ListModels);
        }
        let mut body = Fields::parse(&request.body)?;
        let model = body.require("model")?.string()?;
        let mut messages = Vec::new();
        for message in body.require("messages")?.array()? {
            let mut message = message.object()?;
            let role = message.require("role")?;
            let role = match role.string()?.as_str() {
                "system" => Role::System,
                "developer" => Role::Developer,
                "user" => Role::User,
                "assistant" => Role::Assistant,
                "tool" => Role::Tool,
                _ => return Err(role.wrong("a role")),
            };
            messages.push(Message::text(role, message.require("content")?.string()?));
        }
        let mut generate = GenerateRequest::new(model, Prompt::Conversation(messages));
        generate.streaming.enabled = body.bool("stream")?.unwrap_or(false);
        generate.max_output_tokens = body.u32("max_tokens")?;
        generate.sampling.temperature = body.f64_in("temperature", 0.0..=2.0)?;
        self.streaming = generate.streaming.enabled;
        Ok(Operation::Generate(generate))
    }

    fn head(&mut self) -> ResponseHead {
        let kind = if self.streaming {
            sse::CONTENT_TYPE
        } else {
            "application/json"
        };
        ResponseHead {
            status: 200,
            headers: vec![Header::new("content-type", kind)],
        }
    }

    fn encode(&mut self, events: Vec<Event>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for event in events {
            match event {
                Event::Started(started) => {
                    self.id = started.response_id;
                    self.created = started.created_at;
                    self.model = started.model;
                    if self.streaming {
                        let delta = json!({"role": "assistant", "content": ""});
                        sse::data(&mut out, &self.chunk(delta, None))?;
                    }
                }
                Event::TextDelta(delta) if self.streaming => {
                    sse::data(&mut out, &self.chunk(json!({"content": delta.text}), None))?;
                }
                Event::TextDelta(delta) => self.text.push_str(&delta.text),
                Event::ChoiceFinished(end) => {
                    self.reason = match end.reason {
                        FinishReason::Length | FinishReason::ContextWindow => "length",
                        _ => "stop",
                    };
                    if self.streaming {
                        let chunk = self.chunk(json!({}), Some(self.reason));
                        sse::data(&mut out, &chunk)?;
                    }
                }
                Event::Finished(finished) if self.streaming => {
                    if self.include_usage {
                        sse::data(&mut out, &Self::usage(&finished.usage))?;
                    }
                    sse::text(&mut out, "[DONE]");
                }
                Event::Finished(finished) => json::write(
                    &mut out,
                    &json!({
                        "id": format!("chatcmpl-{}", self.id),
                        "object": "chat.completion",
                        "created": self.created,
                        "model": self.model,
                        "choices": [{
                            "index": 0,
                            "message": {"role": "assistant", "content": self.text},
                            "finish_reason": self.reason,
                        }],
                        "usage": Self::usage(&finished.usage),
                    }),
                )?,
                _ => {}
            }
        }
        Ok(out)
    }

    fn reply(&mut self, outcome: OperationResult) -> Result<HttpResponse, Error> {
        let body = match outcome {
            OperationResult::Models(models) => json!({
                "object": "list",
                "data": models
                    .iter()
                    .map(|model| json!({
                        "id": model.id, "object": "model",
                        "created": model.created_at, "owned_by": model.owned_by,
                    }))
                    .collect::<Vec<_>>(),
            }),
            OperationResult::Model(model) => json!({
                "id": model.id, "object": "model",
                "created": model.created_at, "owned_by": model.owned_by,
            }),
            _ => return Err(Error::internal("unexpected result")),
        };
        Ok(HttpResponse::new(
            200,
            "application/json",
            json::to_vec(&body)?,
        ))
    }

    fn fail(&mut self, reason: Error) -> HttpResponse {
        let status = reason.http_status();
        let body = json!({"error": {
            "message": reason.message,
            "type": if status < 500 { "invalid_request_error" } else { "server_error" },
            "param": reason.param,
            "code": null,
        }});
        HttpResponse::new(status, "application/json", body.to_string())
    }
}

atoll_sdk::export_dialect!(OpenAi);
