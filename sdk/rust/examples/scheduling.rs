//! A scheduling strategy: larger priorities first, then whoever waited longest, while there is room.
//!
//! Build it with `atoll plugin build`, or by hand with
//! `cargo build --release --target wasm32-wasip2`.

#![forbid(unsafe_code)]

use atoll_sdk::scheduling::{Decision, Load, Scheduling, WaitingRequest};
use atoll_sdk::types::{Descriptor, Error};

struct InTurn;

impl Scheduling for InTurn {
    fn describe() -> Descriptor {
        Descriptor::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            "By priority, then first come.",
        )
    }

    fn order(mut waiting: Vec<WaitingRequest>, load: Load) -> Result<Vec<Decision>, Error> {
        waiting.sort_by_key(|request| {
            let priority = std::cmp::Reverse(request.priority);
            (priority, std::cmp::Reverse(request.waited_ms), request.id)
        });
        let room = load.max_running.saturating_sub(load.running);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        Ok(waiting
            .iter()
            .take(room)
            .map(|request| Decision::Admit(request.id))
            .collect())
    }
}

atoll_sdk::export_scheduling!(InTurn);

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(id: u64, priority: i32, waited_ms: u64) -> WaitingRequest {
        WaitingRequest {
            id,
            key_name: String::new(),
            priority,
            prompt_tokens: 1,
            cached_tokens: 0,
            max_output_tokens: 1,
            waited_ms,
            ext: None,
        }
    }

    fn admitted(running: u32) -> Vec<u64> {
        let requests = vec![
            waiting(1, 0, 10),
            waiting(2, 0, 30),
            waiting(3, 5, 0),
            waiting(4, 0, 30),
        ];
        let load = Load {
            running,
            max_running: 4,
            free_blocks: 1,
            total_blocks: 1,
            recent: Vec::new(),
        };
        let decisions = InTurn::order(requests, load).unwrap();
        let id = |decision: Decision| match decision {
            Decision::Admit(id) | Decision::Reject(id) => id,
        };
        decisions.into_iter().map(id).collect()
    }

    #[test]
    fn priority_then_first_come_while_there_is_room() {
        assert_eq!(admitted(0), [3, 2, 4, 1]);
        assert_eq!(admitted(2), [3, 2]);
        assert_eq!(admitted(9), Vec::<u64>::new());
    }
}
