//! `atoll plugin test`: text through a filter, as a request would go, or a recorded request through a
//! dialect ([`super::test_dialect`]), or a recorded queue through a scheduling strategy
//! ([`super::test_scheduling`]).
//!
//! Each text becomes the only user message of a request of its own: a fresh session, as the gateway makes
//! one, over a plugin that is compiled once.

use std::borrow::Cow;
use std::io::{BufRead, Read as _};
use std::path::Path;
use std::sync::Arc;

use atoll_plugin_runtime::types::{
    self, Error, FilterContext, Finding, GenerateRequest, Operation, PartContent, Prompt, Role,
    Verdict,
};
use atoll_plugin_runtime::{Filter, Grant, LoadPolicy, LoadedPlugin, PluginError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{inspect, install, test_dialect, test_scheduling};
use crate::cli::PluginTestArgs;
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::output;

/// Longest line: what a request may hold.
const MAX_LINE: u64 = 32 << 20;

/// Where the text stands in the request, as findings name it.
const PLACE: &str = "messages[0].parts[0]";

/// Runs the command.
pub fn command(args: &PluginTestArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let settings = args.settings.as_deref().map(settings).transpose()?;
    compose::runtime()?.block_on(async {
        let plugin = load(&config, args, settings).await?;
        let world = plugin.info().world;
        let filter = match (plugin, &args.request) {
            (LoadedPlugin::Filter(filter), None) => filter,
            (plugin @ LoadedPlugin::Dialect(_), Some(file)) => {
                return test_dialect::run(plugin, file).await;
            }
            (LoadedPlugin::Scheduling(strategy), Some(file)) => {
                return test_scheduling::run(&strategy, file).await;
            }
            _ => {
                let what = if world.is_pure() { " strategy" } else { "" };
                return Err(CliError::Other(format!(
                    "{} is a {world}{what}; a filter is tested with text, a dialect with --request FILE (an HTTP \
                     request), a scheduling strategy with --request FILE (a queue), and a placement strategy with: \
                     atoll plan MACHINES.toml --strategy PLUGIN.wasm",
                    args.plugin
                )));
            }
        };
        if args.jsonl {
            // A text is run to its end before the next is read, so nobody else needs this thread.
            return lines(&filter, &mut std::io::stdin().lock()).await;
        }
        let text = if args.text.is_empty() {
            let mut text = String::new();
            let read = std::io::stdin()
                .lock()
                .take(MAX_LINE)
                .read_to_string(&mut text);
            read.map_err(|error| CliError::Other(format!("standard input: {error}")))?;
            text
        } else {
            args.text.join(" ")
        };
        show(&text, run(&filter, &text).await?)
    })
}

/// The plugin, with everything granted that stays on this machine, and what the person adds. `settings`
/// take the place of the configuration's.
async fn load(
    config: &Config,
    args: &PluginTestArgs,
    settings: Option<Value>,
) -> Result<LoadedPlugin, CliError> {
    let plugin = args.plugin.as_str();
    let mut grants = Grant::all_local();
    for text in &args.grants {
        grants.push(install::known(text)?);
    }
    let source = inspect::source(config, plugin)?;
    let name = Path::new(plugin).file_stem().unwrap_or_default();
    let entry = config.plugin.get(name.to_string_lossy().as_ref());
    let configured =
        || entry.map(|entry| serde_json::to_value(&entry.settings).unwrap_or_default());
    let policy = LoadPolicy {
        grants,
        settings: settings
            .or_else(configured)
            .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
    };
    let runtime = compose::plugin_runtime(config, None)?;
    Ok(runtime.load(source, policy).await?)
}

fn settings(path: &Path) -> Result<Value, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| CliError::ConfigRead {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mistake = |reason: String| CliError::Config {
        path: path.to_owned(),
        reason,
    };
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        serde_json::from_str(&text).map_err(|error| mistake(error.to_string()))
    } else {
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| mistake(error.to_string()))?;
        serde_json::to_value(table).map_err(|error| mistake(error.to_string()))
    }
}

/// What came of one text.
struct Outcome {
    /// The text as the model would see it, or why it sees nothing.
    text: Result<String, Error>,
    findings: Vec<Finding>,
}

/// Runs one text through a session of its own.
async fn run(filter: &Arc<Filter>, text: &str) -> Result<Outcome, PluginError> {
    let context = FilterContext {
        request_id: "test".to_owned(),
        dialect: "test".to_owned(),
        model: "test".to_owned(),
        key_name: None,
        conversation: None,
        ext: None,
    };
    let refused = |error| Outcome {
        text: Err(error),
        findings: Vec::new(),
    };
    let mut session = match filter.open(context).await? {
        Ok(session) => session,
        Err(error) => return Ok(refused(error)),
    };
    let verdict = session.on_request(&request(text)).await?;
    let findings = session.findings().await?;
    let text = verdict.map(|verdict| match verdict {
        Verdict::Pass => text.to_owned(),
        Verdict::Replace(operation) => message(&operation),
    });
    Ok(Outcome { text, findings })
}

/// The least a request for one answer says.
fn request(text: &str) -> Operation {
    let part = types::Part {
        content: PartContent::Text(text.to_owned()),
        cache_ttl: None,
        ext: None,
    };
    let message = types::Message {
        role: Role::User,
        parts: vec![part],
        name: None,
        id: None,
        ext: None,
    };
    Operation::Generate(GenerateRequest {
        model: "test".to_owned(),
        prompt: Prompt::Conversation(vec![message]),
        tools: Vec::new(),
        tool_choice: types::ToolChoice::Auto,
        parallel_tool_calls: None,
        max_tool_calls: None,
        format: types::OutputFormat::Text,
        reasoning: types::ReasoningOptions {
            mode: types::ReasoningMode::Unset,
            effort: None,
            budget_tokens: None,
            visibility: types::ReasoningVisibility::Full,
        },
        sampling: types::Sampling {
            temperature: None,
            top_k: None,
            top_p: None,
            min_p: None,
            typical_p: None,
            repetition_penalty: None,
            repeat_last_n: None,
            presence_penalty: None,
            frequency_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            ignore_eos: false,
        },
        max_output_tokens: None,
        choices: 1,
        best_of: None,
        stop: Vec::new(),
        logprobs: None,
        overflow: types::Overflow::Refuse,
        state: types::State {
            store: false,
            previous_response_id: None,
            conversation_id: None,
            background: false,
            transient_messages: 0,
        },
        cache: types::CacheOptions {
            key: None,
            ttl: None,
        },
        keep_alive: None,
        streaming: types::Streaming {
            enabled: false,
            include_usage: false,
        },
        template_variables: None,
        metadata: Vec::new(),
        end_user: None,
        unconsumed: None,
        ext: None,
    })
}

/// The text of the user's message; a filter may have put others before it.
fn message(operation: &Operation) -> String {
    let Operation::Generate(GenerateRequest {
        prompt: Prompt::Conversation(messages),
        ..
    }) = operation
    else {
        return String::new();
    };
    let last = messages.iter().rev().find(|m| m.role == Role::User);
    let parts = last.into_iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match &part.content {
            PartContent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// A line of input. Other fields, such as a corpus's labels, are left alone.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

/// A line of output.
#[derive(Serialize)]
#[serde(untagged)]
enum Reply<'a> {
    Done {
        id: Option<&'a RawValue>,
        text: Option<&'a str>,
        findings: Vec<Found<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        blocked: Option<Problem<'a>>,
    },
    Failed {
        id: Option<&'a RawValue>,
        error: Problem<'a>,
    },
}

#[derive(Serialize)]
struct Found<'a> {
    entity: &'a str,
    start: u32,
    end: u32,
    action: &'a str,
    /// Only where it is not the message's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
}

#[derive(Serialize)]
struct Problem<'a> {
    kind: Cow<'a, str>,
    message: Cow<'a, str>,
}

impl<'a> Found<'a> {
    fn new(finding: &'a Finding) -> Self {
        Self {
            entity: &finding.kind,
            start: finding.start,
            end: finding.end,
            action: &finding.action,
            path: (finding.path != PLACE).then_some(&finding.path),
        }
    }
}

/// Line by line, until the input ends. A line that cannot be run has an error and the next goes on.
async fn lines(filter: &Arc<Filter>, input: &mut impl BufRead) -> Result<(), CliError> {
    let (mut all, mut failed) = (0u64, 0u64);
    let mut buffer = Vec::new();
    while let Some(line) = next_line(input, &mut buffer)? {
        let line = match line {
            Ok([]) => continue,
            other => other,
        };
        all += 1;
        if !reply(filter, line).await? {
            failed += 1;
        }
    }
    if failed > 0 {
        return Err(CliError::Lines { failed, all });
    }
    Ok(())
}

/// Answers one line; says whether it could be run.
async fn reply(filter: &Arc<Filter>, line: Result<&[u8], &str>) -> Result<bool, CliError> {
    let fail = |id, kind: &'static str, message: Cow<'_, str>| {
        let kind = Cow::Borrowed(kind);
        write(&Reply::Failed {
            id,
            error: Problem { kind, message },
        })
        .map(|()| false)
    };
    let line: Line<'_> = match line.map(serde_json::from_slice) {
        Ok(Ok(line)) => line,
        Ok(Err(error)) => return fail(None, "invalid_json", error.to_string().into()),
        Err(reason) => return fail(None, "too_large", reason.into()),
    };
    let Some(text) = &line.text else {
        return fail(line.id, "missing_argument", "there is no \"text\"".into());
    };
    let outcome = match run(filter, text).await {
        Ok(outcome) => outcome,
        Err(fault) => return fail(line.id, "plugin_fault", fault.to_string().into()),
    };
    let blocked = outcome.text.as_ref().err().map(|error| Problem {
        kind: format!("{:?}", error.kind).to_lowercase().into(),
        message: error.message.as_str().into(),
    });
    write(&Reply::Done {
        id: line.id,
        text: outcome.text.as_deref().ok(),
        findings: outcome.findings.iter().map(Found::new).collect(),
        blocked,
    })?;
    Ok(true)
}

fn write(reply: &Reply<'_>) -> Result<(), CliError> {
    let text = serde_json::to_string(reply).map_err(|error| CliError::Output(error.to_string()))?;
    output::line(text)
}

/// The next line without its end; `None` at the end of the input. One that is too long is skipped to its
/// end.
fn next_line<'a>(
    input: &mut impl BufRead,
    buffer: &'a mut Vec<u8>,
) -> Result<Option<Result<&'a [u8], &'static str>>, CliError> {
    let unreadable = |error: std::io::Error| CliError::Other(format!("standard input: {error}"));
    buffer.clear();
    let read = input.by_ref().take(MAX_LINE).read_until(b'\n', buffer);
    if read.map_err(unreadable)? == 0 {
        return Ok(None);
    }
    if buffer.last() != Some(&b'\n') && buffer.len() as u64 == MAX_LINE {
        loop {
            buffer.clear();
            let read = input.by_ref().take(1 << 16).read_until(b'\n', buffer);
            if read.map_err(unreadable)? == 0 || buffer.last() == Some(&b'\n') {
                return Ok(Some(Err("the line is longer than 32 MiB")));
            }
        }
    }
    Ok(Some(Ok(buffer.trim_ascii())))
}

/// For people: the text as a model would see it, then what was found.
fn show(text: &str, outcome: Outcome) -> Result<(), CliError> {
    match &outcome.text {
        Ok(seen) => output::line(seen.trim_end_matches('\n'))?,
        Err(error) => output::line(format_args!("refused: {}", error.message))?,
    }
    if outcome.findings.is_empty() {
        return output::line("\nnothing was found");
    }
    let rows: Vec<Vec<String>> = outcome
        .findings
        .iter()
        .map(|finding| {
            let found = text.get(finding.start as usize..finding.end as usize);
            vec![
                finding.kind.clone(),
                finding.action.clone(),
                format!("{}..{}", finding.start, finding.end),
                found.unwrap_or_default().escape_debug().to_string(),
            ]
        })
        .collect();
    output::line("")?;
    output::table(&["ENTITY", "ACTION", "BYTES", "TEXT"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_end_and_long_ones_are_skipped() {
        let long = "x".repeat(usize::try_from(MAX_LINE).unwrap() + 5);
        let input = format!("a\r\n\n{long}\nlast");
        let mut reader = input.as_bytes();
        let mut buffer = Vec::new();
        let mut seen = Vec::new();
        while let Some(line) = next_line(&mut reader, &mut buffer).unwrap() {
            seen.push(line.map(<[u8]>::to_vec));
        }
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[0], Ok(b"a".to_vec()));
        assert_eq!(seen[1], Ok(vec![]));
        assert!(seen[2].is_err());
        assert_eq!(seen[3], Ok(b"last".to_vec()));
    }

    #[test]
    fn an_id_of_any_kind_comes_back_as_it_was_written() {
        for id in [
            "7",
            "12345678901234567890123",
            "\"a\\u0041\"",
            "null",
            "{\"k\": [1]}",
        ] {
            let text = format!("{{\"labels\": [], \"id\": {id}, \"text\": \"t\\n\"}}");
            let line: Line<'_> = serde_json::from_str(&text).unwrap();
            let reply = Reply::Done {
                id: line.id,
                text: line.text.as_deref(),
                findings: vec![],
                blocked: None,
            };
            let expected = format!("{{\"id\":{id},\"text\":\"t\\n\",\"findings\":[]}}");
            assert_eq!(serde_json::to_string(&reply).unwrap(), expected);
        }
    }
}
