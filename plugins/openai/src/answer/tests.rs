//! The answer's two forms against each other, and against transcripts.

mod accumulate;
mod events;
mod golden;
mod properties;

use atoll_sdk::types::Event;

use super::{ChatAnswer, ChatOptions, CompletionAnswer, Mode};

/// Encodes in batches whose sizes repeat; 0 is an empty batch.
fn in_batches(
    mut encode: impl FnMut(Vec<Event>) -> Vec<u8>,
    events: &[Event],
    sizes: &[usize],
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sizes = sizes.iter().copied().chain([1]).cycle();
    let mut rest = events;
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(1).min(rest.len());
        let (batch, later) = rest.split_at(size);
        out.extend(encode(batch.to_vec()));
        rest = later;
    }
    out
}

fn chat(options: ChatOptions, events: &[Event], sizes: &[usize]) -> Vec<u8> {
    let mut answer = ChatAnswer::new(options);
    in_batches(|batch| answer.encode(batch).unwrap(), events, sizes)
}

fn completion(
    mode: Mode,
    choices: u32,
    logprobs: bool,
    events: &[Event],
    sizes: &[usize],
) -> Vec<u8> {
    let mut answer = CompletionAnswer::new(mode, choices, logprobs);
    in_batches(|batch| answer.encode(batch).unwrap(), events, sizes)
}
