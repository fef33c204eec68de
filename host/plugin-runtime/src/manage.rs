//! The grant `manage-models`: what a plugin asks of the host that changes more than its own answer.
//!
//! Downloading, naming, deleting, loading and unloading a model, and saying for how long one stays
//! loaded, is felt by everybody who uses the host. No import stands behind these operations, so there
//! is nothing to leave unlinked: a plugin without the grant loads and works, and what it may not ask
//! for is refused when it does. Pure.

use serde_json::{Map, Value};

use crate::grant::Grant;
use crate::info::PluginInfo;
use crate::types::{Error, ErrorKind, KeepAlive, Operation};

/// The field in which clients hear that their wish was left out.
const KEEP_ALIVE: &str = "keep_alive";

/// A dialect's operation as it may be carried out. A generation or an embedding goes on without the
/// wish that the model stay loaded (or not), which is noted among the fields that were left out.
///
/// # Errors
/// `forbidden`, with the command that grants it, for an operation that is nothing but managing.
pub(crate) fn permit(plugin: &PluginInfo, mut operation: Operation) -> Result<Operation, Error> {
    if plugin.grants.contains(&Grant::ManageModels) {
        return Ok(operation);
    }
    if let Some(what) = managing(&operation) {
        return Err(not_granted(plugin, what));
    }
    let left_out = match &mut operation {
        Operation::Generate(request) => {
            let given = request.keep_alive.take();
            given.map(|_| &mut request.unconsumed)
        }
        Operation::Embed(request) => {
            let given = request.keep_alive.take();
            given.map(|_| &mut request.ext)
        }
        _ => None,
    };
    if let Some(unconsumed) = left_out {
        note(unconsumed);
    }
    Ok(operation)
}

/// What a filter may not change of an operation unless it was granted managing models.
pub(crate) fn keep_alive(operation: &Operation) -> Option<KeepAlive> {
    match operation {
        Operation::Generate(request) => request.keep_alive,
        Operation::Embed(request) => request.keep_alive,
        Operation::LoadModel(request) => request.keep_alive,
        _ => None,
    }
}

/// What an operation does to the host's models, if it does nothing else.
fn managing(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::PullModel(_) => Some("downloading a model"),
        Operation::CopyModel(_) => Some("giving a model another name"),
        Operation::DeleteModel(_) => Some("deleting a model"),
        Operation::LoadModel(_) => Some("loading or unloading a model"),
        _ => None,
    }
}

fn not_granted(plugin: &PluginInfo, what: &str) -> Error {
    let (name, grant) = (&plugin.installed_as, Grant::ManageModels);
    Error {
        kind: ErrorKind::Forbidden,
        message: format!(
            "{what} is managing models, which the plugin {name:?} was not granted; whoever runs this \
             host and trusts it with that allows it with: atoll plugin grant {name} {grant}"
        ),
        param: None,
        retry_after_ms: None,
        ext: None,
    }
}

/// Adds the field to those that a request names as left out: a JSON object, if it is one.
fn note(unconsumed: &mut Option<String>) {
    let mut fields = match unconsumed.as_deref().map(serde_json::from_str) {
        Some(Ok(Value::Object(fields))) => fields,
        _ => Map::new(),
    };
    fields.insert(KEEP_ALIVE.to_owned(), Value::Null);
    *unconsumed = Some(Value::Object(fields).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_added_to_what_there_is() {
        for (before, after) in [
            (None, r#"{"keep_alive":null}"#),
            (Some(r#"{"user":"x"}"#), r#"{"user":"x","keep_alive":null}"#),
            (Some("nonsense"), r#"{"keep_alive":null}"#),
            (Some("[1]"), r#"{"keep_alive":null}"#),
        ] {
            let mut fields = before.map(str::to_owned);
            note(&mut fields);
            let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(parse(&fields.unwrap()), parse(after));
        }
    }
}
