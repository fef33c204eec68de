//! From a canonical `generate` request to what the engine is asked for.
//!
//! Pure: no model is needed to plan, so a request that can never work is refused before anything
//! is loaded. What the engine cannot do yet is refused with the field's name; nothing a client
//! said is ignored in silence, except hints that change no token (cache keys, metadata).

use atoll_engine::engine::{AnswerRules, ChatPrompt, ContextWindow, PromptInput};
use atoll_engine::executor::TokenId;
use atoll_engine::sampling::SamplingParams;
use atoll_plugin_runtime::types::{
    Completion, CompletionInput, Error, GenerateRequest, KeepAlive, Prompt, ReasoningMode, Sampling,
};
use serde_json::{Map, Value};

use crate::models::SamplingDefaults;
use crate::options::Limits;
use crate::remarks::Remarks;
use crate::{failure, fit, prompt, rules};

/// A request in the engine's terms, before a model is at hand.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The model's name as the client said it.
    pub model: String,
    /// Prompts; each gives `choices` answers.
    pub inputs: Vec<PromptInput>,
    /// Answers per prompt; choice index = input index * choices + choice.
    pub choices: u32,
    /// How many of them are answers: the likeliest, where they are not all.
    pub wanted: u32,
    /// Most tokens per answer, or as many as fit.
    pub max_tokens: Option<u32>,
    /// Strings that end an answer.
    pub stop: Vec<String>,
    /// What the answers must look like and may call.
    pub rules: AnswerRules,
    /// The request's effort, for models whose template knows no such thing.
    pub effort: Option<String>,
    /// Names of tools that take free text.
    pub custom_tools: Vec<String>,
    /// Return the prompt before the answer.
    pub echo: bool,
    /// Keep going after the model's end token.
    pub ignore_eos: bool,
    /// How tokens are drawn, as far as the client said.
    pub sampling: Sampling,
    /// Alternatives per token, if log probabilities were asked for.
    pub logprobs: Option<u32>,
    /// Whether the client wants events as they happen.
    pub stream: bool,
    /// How long the model stays in memory afterwards, if the client said.
    pub keep_alive: Option<KeepAlive>,
    /// How much of the context prompt and answer may use.
    pub window: ContextWindow,
    /// The client asked for reasoning.
    pub reasons: bool,
    /// What the client should know.
    pub remarks: Remarks,
}

impl Plan {
    /// All answers of the request.
    pub(crate) fn total_choices(&self) -> u32 {
        u32::try_from(self.inputs.len())
            .unwrap_or(u32::MAX)
            .saturating_mul(self.choices)
    }
}

/// Checks a request and lays it out for the engine.
///
/// # Errors
/// `unsupported` or `invalid-argument`, naming the field.
pub(crate) fn plan(request: GenerateRequest, limits: &Limits) -> Result<Plan, Error> {
    refuse_unsupported(&request)?;
    if request.model.is_empty() {
        return Err(failure::invalid("model", "say which model should answer"));
    }
    check_stop(&request.stop, limits)?;
    let variables = template_variables(&request)?;
    let wishes = fit::wishes(&request)?;
    let rules = AnswerRules {
        reasoning_required: wishes.reasoning_required,
        ..rules::read(&request)?
    };
    let tools = rules::for_template(&request);
    let effort = request.reasoning.effort.clone();
    let (inputs, echo) = match request.prompt {
        Prompt::Conversation(conversation) => {
            let rendered = prompt::messages(&conversation)?;
            let chat = ChatPrompt {
                messages: rendered.messages,
                tools,
                template_variables: variables,
                add_generation_prompt: !rendered.continues,
                continue_final_message: rendered.continues,
            };
            (vec![PromptInput::Chat(chat)], false)
        }
        Prompt::Completion(completion) => (completion_inputs(&completion)?, completion.echo),
    };
    if echo && request.logprobs.is_some() {
        return Err(failure::unsupported(
            "echo",
            "log probabilities of the prompt itself are not available; leave out echo or logprobs",
        ));
    }
    let plan = Plan {
        model: request.model,
        inputs,
        choices: request.best_of.unwrap_or(request.choices),
        wanted: request.choices,
        max_tokens: request.max_output_tokens,
        stop: request.stop,
        custom_tools: rules::custom_tools(&request.tools),
        rules,
        effort,
        echo,
        ignore_eos: request.sampling.ignore_eos,
        sampling: request.sampling,
        logprobs: request.logprobs,
        stream: request.streaming.enabled,
        keep_alive: request.keep_alive,
        window: wishes.window,
        reasons: request.reasoning.mode == ReasoningMode::On,
        remarks: Remarks::default(),
    };
    if plan.choices == 0 || plan.total_choices() > limits.max_choices {
        let param = if plan.choices > plan.wanted {
            "best_of"
        } else {
            "n"
        };
        return Err(failure::invalid(
            param,
            format!(
                "{param} times the number of prompts must be from 1 to {}",
                limits.max_choices
            ),
        ));
    }
    Ok(plan)
}

/// The sampling parameters of one prompt: what the client said over what the model's own
/// `generation_config.json` says over plain sampling. Ranges are checked by the engine, which knows
/// the vocabulary.
///
/// # Errors
/// `invalid-argument` for a token that is biased twice.
pub(crate) fn sampling(
    asked: &Sampling,
    defaults: &SamplingDefaults,
    seed: u64,
    logprobs: Option<u32>,
) -> Result<SamplingParams, Error> {
    let plain = SamplingParams::default();
    let or = |asked: Option<f64>, model: Option<f32>, plain: f32| {
        asked.map(narrow).or(model).unwrap_or(plain)
    };
    Ok(SamplingParams {
        temperature: or(asked.temperature, defaults.temperature, plain.temperature),
        // 0 is none, whatever the model's own is.
        top_k: asked.top_k.or(defaults.top_k).filter(|&count| count > 0),
        top_p: nucleus(or(asked.top_p, defaults.top_p, plain.top_p)),
        min_p: or(asked.min_p, defaults.min_p, plain.min_p),
        repetition_penalty: or(
            asked.repetition_penalty,
            defaults.repetition_penalty,
            plain.repetition_penalty,
        ),
        repeat_last_n: asked.repeat_last_n.map(|count| count as usize),
        presence_penalty: or(asked.presence_penalty, None, plain.presence_penalty),
        frequency_penalty: or(asked.frequency_penalty, None, plain.frequency_penalty),
        logit_bias: logit_bias(&asked.logit_bias)?,
        seed,
        logprobs,
    })
}

/// APIs allow a `top_p` of 0 for the one most likely token. The smallest share keeps that one, and the nucleus from
/// being empty.
fn nucleus(top_p: f32) -> f32 {
    if top_p == 0.0 { f32::EPSILON } else { top_p }
}

/// Sampling is computed in f32. A finite number beyond its range becomes an infinity, which the
/// engine's range check then names.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to the engine's precision is meant"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn logit_bias(asked: &[(TokenId, f64)]) -> Result<Vec<(TokenId, f32)>, Error> {
    let mut bias: Vec<_> = asked
        .iter()
        .map(|&(token, value)| (token, narrow(value)))
        .collect();
    bias.sort_by_key(|&(token, _)| token);
    if let Some(pair) = bias.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let token = pair[0].0;
        return Err(failure::invalid(
            "logit_bias",
            format!("token {token} is biased twice"),
        ));
    }
    Ok(bias)
}

fn completion_inputs(completion: &Completion) -> Result<Vec<PromptInput>, Error> {
    if completion.inputs.is_empty() {
        return Err(failure::invalid("prompt", "there is no prompt"));
    }
    let suffix = completion
        .suffix
        .as_ref()
        .filter(|suffix| !suffix.is_empty());
    let convert = |(index, input): (usize, &CompletionInput)| match input {
        CompletionInput::Text(text) => Ok(match suffix {
            None => PromptInput::Text {
                text: text.clone(),
                add_special_tokens: true,
            },
            Some(suffix) => PromptInput::Infill {
                prefix: text.clone(),
                suffix: suffix.clone(),
            },
        }),
        CompletionInput::Tokens(_) if suffix.is_some() => Err(failure::unsupported(
            "suffix",
            "a suffix goes with a prompt of text, not of tokens",
        )),
        CompletionInput::Tokens(tokens) if tokens.is_empty() => Err(failure::invalid(
            format!("prompt[{index}]"),
            "the list of tokens is empty",
        )),
        CompletionInput::Tokens(tokens) => Ok(PromptInput::Tokens(tokens.clone())),
    };
    completion.inputs.iter().enumerate().map(convert).collect()
}

fn check_stop(stop: &[String], limits: &Limits) -> Result<(), Error> {
    if stop.len() > limits.max_stop_strings {
        let most = limits.max_stop_strings;
        return Err(failure::invalid(
            "stop",
            format!("at most {most} stop strings are allowed"),
        ));
    }
    for (index, text) in stop.iter().enumerate() {
        if text.is_empty() || text.len() > limits.max_stop_bytes {
            let most = limits.max_stop_bytes;
            return Err(failure::invalid(
                format!("stop[{index}]"),
                format!("a stop string must have from 1 to {most} bytes"),
            ));
        }
    }
    Ok(())
}

/// The client's own template variables, with the request's reasoning mode under the names that
/// templates of open models use.
fn template_variables(request: &GenerateRequest) -> Result<Map<String, Value>, Error> {
    let mut variables = match request.template_variables.as_deref() {
        None => Map::new(),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => map,
            _ => {
                return Err(failure::invalid(
                    "chat_template_kwargs",
                    "template variables must be a JSON object",
                ));
            }
        },
    };
    let effort = request.reasoning.effort.as_deref();
    let thinks = match request.reasoning.mode {
        ReasoningMode::On => Some(true),
        ReasoningMode::Off => Some(false),
        // The effort alone decides: `none` is off; anything else needs a thinking model to notice.
        ReasoningMode::Unset | ReasoningMode::Adaptive => effort.map(|effort| effort != "none"),
    };
    if let Some(thinks) = thinks {
        variables
            .entry("enable_thinking")
            .or_insert(Value::Bool(thinks));
    }
    if let Some(effort) = effort {
        variables
            .entry("reasoning_effort")
            .or_insert_with(|| Value::from(effort));
    }
    Ok(variables)
}

/// Everything canonical that the engine behind this gateway cannot do yet, each by name.
fn refuse_unsupported(request: &GenerateRequest) -> Result<(), Error> {
    let refuse = |param: &str, message: &str| Err(failure::unsupported(param, message));
    match request.best_of {
        Some(best_of) if best_of < request.choices => {
            return Err(failure::invalid("best_of", "best_of must be at least n"));
        }
        Some(best_of) if best_of > request.choices && request.streaming.enabled => {
            return refuse(
                "best_of",
                "best_of must equal n in a stream: candidates are ranked when the last of them has ended",
            );
        }
        _ => {}
    }
    if request.sampling.typical_p.is_some_and(|p| p < 1.0) {
        return refuse("typical_p", "locally typical sampling is not available");
    }
    if request.state.conversation_id.is_some() {
        return refuse("conversation", "stored conversations are not available yet");
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
