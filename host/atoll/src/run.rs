//! `atoll run`: one answer, or a conversation, in the terminal. The same engine as the server's,
//! without HTTP and without plugins.

use std::io::Read as _;
use std::sync::Arc;

use atoll_engine::engine::{
    ChatPrompt, ContextWindow, FinishReason, GenerateRequest, GenerationEvent, PromptInput,
};
use atoll_engine::sampling::SamplingParams;
use atoll_gateway::models::{Models, TextEngine};
use futures::StreamExt as _;
use rustyline::error::ReadlineError;
use serde_json::{Value, json};

use crate::cli::RunArgs;
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::output;

const HELP: &str = "\
/help   this list
/clear  begin again
/bye    leave (or Ctrl-D)
Ctrl-C stops an answer.";

/// Most bytes read from a pipe: far beyond any context, and a bound all the same.
const MAX_PIPED: u64 = 16 << 20;

/// Runs the command.
pub fn command(args: &RunArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let runtime = compose::runtime()?;
    let prompt = prompt(args)?;
    let models = compose::models(&config)?;
    let result = {
        let name = model_name(args, &models.names())?;
        let engine = runtime.block_on(models.engine(&name))?;
        let mut talk = Talk::new(engine, args);
        match prompt {
            Some(prompt) => {
                talk.say(&prompt);
                runtime.block_on(talk.answer())
            }
            None => converse(&mut talk, &runtime, &config, &name),
        }
    };
    runtime.block_on(models.shutdown());
    result
}

/// What is on the command line, and what is piped in after it.
fn prompt(args: &RunArgs) -> Result<Option<String>, CliError> {
    let mut pieces = Vec::new();
    if !args.prompt.is_empty() {
        pieces.push(args.prompt.join(" "));
    }
    if !output::person_types() {
        let mut piped = String::new();
        let read = std::io::stdin()
            .lock()
            .take(MAX_PIPED)
            .read_to_string(&mut piped);
        read.map_err(|error| CliError::Other(format!("standard input cannot be read: {error}")))?;
        let piped = piped.trim_end();
        if !piped.is_empty() {
            pieces.push(piped.to_owned());
        }
        if pieces.is_empty() {
            let message = "there is nothing to say: give a prompt, or pipe one in";
            return Err(CliError::Other(message.to_owned()));
        }
    }
    Ok(if pieces.is_empty() {
        None
    } else {
        Some(pieces.join("\n\n"))
    })
}

/// The model that was named, or the one it can only be.
fn model_name(args: &RunArgs, names: &[String]) -> Result<String, CliError> {
    let list = || names.join(", ");
    match (&args.model, names) {
        (_, []) => Err(CliError::NoModel(
            "there are no models on this machine; `atoll models --help` says where to put one"
                .to_owned(),
        )),
        (Some(name), _) if names.contains(name) => Ok(name.clone()),
        (Some(name), _) => Err(CliError::NoModel(format!(
            "there is no model {name:?}; there are: {}",
            list()
        ))),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(CliError::NoModel(format!("say which model: {}", list()))),
    }
}

/// A conversation and the model that takes part in it.
struct Talk {
    engine: Arc<dyn TextEngine>,
    system: Option<String>,
    messages: Vec<Value>,
    temperature: Option<f32>,
    seed: Option<u64>,
    max_tokens: Option<u32>,
}

impl Talk {
    fn new(engine: Arc<dyn TextEngine>, args: &RunArgs) -> Self {
        let mut talk = Self {
            engine,
            system: args.system.clone(),
            messages: Vec::new(),
            temperature: args.temperature,
            seed: args.seed,
            max_tokens: args.max_tokens,
        };
        talk.clear();
        talk
    }

    fn clear(&mut self) {
        let system = self
            .system
            .iter()
            .map(|text| json!({ "role": "system", "content": text }));
        self.messages = system.collect();
    }

    fn say(&mut self, text: &str) {
        self.messages
            .push(json!({ "role": "user", "content": text }));
    }

    /// Streams one answer to standard output. Ctrl-C ends it; what was said stays said.
    async fn answer(&mut self) -> Result<(), CliError> {
        let input = PromptInput::Chat(ChatPrompt {
            messages: self.messages.clone(),
            tools: None,
            template_variables: serde_json::Map::new(),
            add_generation_prompt: true,
            continue_final_message: false,
        });
        let request = GenerateRequest {
            id: "run".to_owned(),
            prompt: self.engine.prepare(&input, ContextWindow::default())?,
            sampling: self.sampling(),
            choices: 1,
            max_tokens: self.max_tokens,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            ignore_eos: false,
            constraint: None,
            reasoning_budget: None,
            shown_tokens: std::sync::Arc::new([]),
            cache_salt: None,
            priority: 0,
            owner: "".into(),
        };
        let mut events = self.engine.generate(request).await?;
        let mut said = String::new();
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = tokio::signal::ctrl_c() => {
                    output::line("")?;
                    output::note("(stopped)");
                    break;
                }
            };
            match event {
                Some(GenerationEvent::Text { text, .. }) => {
                    output::piece(&text)?;
                    said.push_str(&text);
                }
                Some(GenerationEvent::Failed(error)) => return Err(error.into()),
                Some(GenerationEvent::Finished { reason, .. }) => {
                    output::line("")?;
                    if let FinishReason::ContextWindow = reason {
                        output::note("(the context is full: /clear begins again)");
                    }
                }
                Some(GenerationEvent::Done { .. }) | None => break,
                Some(GenerationEvent::Started { .. } | GenerationEvent::Progress { .. }) => {}
            }
        }
        self.messages
            .push(json!({ "role": "assistant", "content": said }));
        Ok(())
    }

    fn sampling(&self) -> SamplingParams {
        let defaults = self.engine.facts().defaults;
        let plain = SamplingParams::default();
        SamplingParams {
            temperature: self
                .temperature
                .or(defaults.temperature)
                .unwrap_or(plain.temperature),
            top_k: defaults.top_k,
            top_p: defaults.top_p.unwrap_or(plain.top_p),
            min_p: defaults.min_p.unwrap_or(plain.min_p),
            repetition_penalty: defaults
                .repetition_penalty
                .unwrap_or(plain.repetition_penalty),
            seed: self
                .seed
                .unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0),
            ..plain
        }
    }
}

/// Reads, answers, and again.
fn converse(
    talk: &mut Talk,
    runtime: &tokio::runtime::Runtime,
    config: &Config,
    name: &str,
) -> Result<(), CliError> {
    let mut editor = rustyline::DefaultEditor::new()
        .map_err(|error| CliError::Other(format!("this terminal cannot be used: {error}")))?;
    // A missing history is the first time; a broken one is not worth a word.
    let _ = editor.load_history(&config.paths.history);
    output::note(format_args!(
        "{name} listens. /help lists commands, Ctrl-D leaves."
    ));
    loop {
        match editor.readline("> ") {
            Ok(text) => {
                let text = text.trim();
                match text {
                    "" => continue,
                    "/help" | "/?" => output::line(HELP)?,
                    "/clear" => talk.clear(),
                    "/bye" | "/exit" | "/quit" => break,
                    _ if text.starts_with('/') => {
                        output::note(format_args!("there is no command {text}; /help lists them"));
                    }
                    _ => {
                        let _ = editor.add_history_entry(text);
                        talk.say(text);
                        match runtime.block_on(talk.answer()) {
                            Ok(()) => {}
                            Err(CliError::Engine(error)) => {
                                output::note(format_args!("{error}"));
                                // The turn that failed should not stand in the way of the next.
                                talk.messages.pop();
                            }
                            Err(other) => return Err(other),
                        }
                    }
                }
            }
            Err(ReadlineError::Interrupted) => output::note("Ctrl-D leaves"),
            Err(ReadlineError::Eof) => break,
            Err(error) => {
                return Err(CliError::Other(format!(
                    "this terminal cannot be read: {error}"
                )));
            }
        }
    }
    if let Some(folder) = config.paths.history.parent() {
        let saved = std::fs::create_dir_all(folder).is_ok()
            && editor.save_history(&config.paths.history).is_ok();
        tracing::debug!(saved, "history");
    }
    Ok(())
}
