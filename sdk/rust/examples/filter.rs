//! A filter that lets everything through and counts it on the metrics page.
//!
//! Build it with `atoll plugin build`, or by hand with
//! `cargo build --release --target wasm32-wasip2`.

#![forbid(unsafe_code)]

use atoll_sdk::filter::{Filter, FilterContext, FilterDescriptor, Interests, Session};
use atoll_sdk::types::{Descriptor, Error, Event, Grant};

struct Count;

struct OneAnswer {
    bytes: u64,
}

impl Filter for Count {
    type Session = OneAnswer;

    fn describe() -> FilterDescriptor {
        FilterDescriptor {
            plugin: Descriptor::new(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
                "Counts bytes of text.",
            )
            .wanting(Grant::Metrics, "To report what it counts."),
            sees: Interests::EVENTS,
            max_held_bytes: 0,
        }
    }

    fn open(_: FilterContext) -> Result<OneAnswer, Error> {
        Ok(OneAnswer { bytes: 0 })
    }
}

impl Session for OneAnswer {
    fn on_events(&mut self, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        for event in &events {
            match event {
                Event::TextDelta(delta) => self.bytes += delta.text.len() as u64,
                Event::Finished(_) => atoll_sdk::host::metrics::count("text_bytes", self.bytes),
                _ => {}
            }
        }
        Ok(events)
    }
}

atoll_sdk::export_filter!(Count);

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_sdk::types::Delta;

    /// What calls the host (`metrics` here, at the end of the answer) has none in a test; the rest is plain Rust.
    #[test]
    fn everything_passes_and_is_counted() {
        let text = |text: &str| {
            Event::TextDelta(Delta {
                choice: 0,
                item: 0,
                text: text.to_owned(),
                tokens: Vec::new(),
            })
        };
        let mut answer = OneAnswer { bytes: 0 };
        for batch in [vec![text("Hello"), text(" ")], vec![text("wörld")]] {
            assert_eq!(answer.on_events(batch.clone()).unwrap(), batch);
        }
        assert_eq!(answer.bytes, 12);
    }
}
