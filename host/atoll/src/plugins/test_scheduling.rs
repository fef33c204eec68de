//! `atoll plugin test` for a scheduling strategy: a recorded queue through it, as the engine asks.
//!
//! The file is JSON with the contract's names (`wit/scheduling.wit`); what it leaves out is 0 or empty:
//!
//! ```text
//! {"waiting": [{"id": 1, "waited_ms": 900}, {"id": 2, "key_name": "ops", "priority": 5}],
//!  "load": {"running": 3, "max_running": 4, "recent": [["ops", 1200]]}}
//! ```
//!
//! What comes out, a line each: who is admitted or rejected, in order, then who keeps waiting.

use std::path::Path;

use atoll_plugin_runtime::Scheduling;
use atoll_plugin_runtime::types::scheduling::{Decision, Load, WaitingRequest};
use serde::Deserialize;

use crate::error::CliError;
use crate::output;

/// A recorded queue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    waiting: Vec<Waiting>,
    #[serde(default)]
    load: Busy,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Waiting {
    id: u64,
    key_name: String,
    priority: i32,
    prompt_tokens: u32,
    cached_tokens: u32,
    max_output_tokens: u32,
    waited_ms: u64,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Busy {
    running: u32,
    max_running: u32,
    free_blocks: u32,
    total_blocks: u32,
    recent: Vec<(String, u64)>,
}

impl Default for Busy {
    /// Nothing runs, and there is room for a few.
    fn default() -> Self {
        Self {
            running: 0,
            max_running: 8,
            free_blocks: 1024,
            total_blocks: 1024,
            recent: Vec::new(),
        }
    }
}

/// Asks the strategy about the queue in `file` and prints what it decides.
pub async fn run(strategy: &Scheduling, file: &Path) -> Result<(), CliError> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| CliError::ConfigRead {
        path: file.to_owned(),
        reason: error.to_string(),
    })?;
    let queue: Queue = serde_json::from_str(&text)
        .map_err(|error| CliError::Other(format!("{shown}: {error}")))?;
    let (waiting, load) = asked(queue);
    let decisions = strategy
        .order(&waiting, &load)
        .await?
        .map_err(|error| CliError::Other(format!("it answers with an error: {}", error.message)))?;
    for line in lines(&decisions, &waiting) {
        output::line(line)?;
    }
    Ok(())
}

/// The queue in the contract's own types.
fn asked(queue: Queue) -> (Vec<WaitingRequest>, Load) {
    let request = |one: Waiting| WaitingRequest {
        id: one.id,
        key_name: one.key_name,
        priority: one.priority,
        prompt_tokens: one.prompt_tokens,
        cached_tokens: one.cached_tokens,
        max_output_tokens: one.max_output_tokens,
        waited_ms: one.waited_ms,
        ext: None,
    };
    let load = Load {
        running: queue.load.running,
        max_running: queue.load.max_running,
        free_blocks: queue.load.free_blocks,
        total_blocks: queue.load.total_blocks,
        recent: queue.load.recent,
    };
    (queue.waiting.into_iter().map(request).collect(), load)
}

/// A line for each decision, then for each request that nothing was decided about.
fn lines(decisions: &[Decision], waiting: &[WaitingRequest]) -> Vec<String> {
    let parts = |decision: &Decision| match *decision {
        Decision::Admit(id) => ("admit", id),
        Decision::Reject(id) => ("reject", id),
    };
    let decided = decisions.iter().map(|decision| {
        let (what, id) = parts(decision);
        match waiting.iter().any(|request| request.id == id) {
            true => format!("{what} {id}"),
            false => format!("{what} {id}: nobody with this id waits; a host leaves it out"),
        }
    });
    let left = waiting.iter().map(|request| request.id);
    let left = left.filter(|id| decisions.iter().all(|decision| parts(decision).1 != *id));
    decided.chain(left.map(|id| format!("wait {id}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_named_waits_and_strangers_are_said() {
        let queue = r#"{"waiting": [{"id": 1}, {"id": 2, "key_name": "ops", "priority": -3}, {"id": 3}],
                        "load": {"running": 2, "recent": [["ops", 7]]}}"#;
        let (waiting, load) = asked(serde_json::from_str(queue).unwrap());
        assert_eq!((waiting[1].priority, load.running), (-3, 2));
        assert_eq!((load.max_running, load.recent[0].1), (8, 7));
        let decisions = [Decision::Admit(3), Decision::Reject(1), Decision::Admit(9)];
        let lines = lines(&decisions, &waiting);
        assert_eq!(lines[..2], ["admit 3", "reject 1"]);
        assert!(lines[2].starts_with("admit 9: nobody"), "{lines:?}");
        assert_eq!(lines[3..], ["wait 2"]);
    }

    #[test]
    fn a_misspelled_name_is_no_zero() {
        for text in [
            r#"{"waiting": [{"id": 1, "waited": 3}]}"#,
            r#"{"waiting": [], "load": {"runing": 3}}"#,
            r#"{"queue": []}"#,
        ] {
            assert!(serde_json::from_str::<Queue>(text).is_err(), "{text}");
        }
    }
}
