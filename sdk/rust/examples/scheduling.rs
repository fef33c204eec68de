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
