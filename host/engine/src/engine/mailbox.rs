//! The way out: events that merge while nobody reads them.
//!
//! A channel of fixed size would make the loop wait for its slowest reader, an unbounded one would
//! keep every event. Here, unread text of a choice becomes one longer event, and progress replaces
//! progress, so that a request never holds more than a few events per choice. What grows is the
//! text itself, and the engine gives an answer up when too many of its tokens lie unread. A reader
//! that keeps up sees every token as it comes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{EngineError, GenerationEvent};

#[derive(Debug, Default)]
struct State {
    events: VecDeque<GenerationEvent>,
    unread_tokens: usize,
    /// A terminal event has been put in.
    ended: bool,
    /// The reader is gone.
    abandoned: bool,
}

#[derive(Debug, Default)]
struct Mailbox {
    state: Mutex<State>,
    arrived: Notify,
}

impl Mailbox {
    /// Nothing that holds the lock can panic half-way, so a poisoned state is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's end. Ends the request with an error if it is dropped before a terminal event, so that
/// no reader waits for ever.
#[derive(Debug)]
pub(super) struct EventSender {
    mailbox: Arc<Mailbox>,
}

/// A request's answers while they are made. Dropping it cancels the request within one step.
#[derive(Debug)]
pub struct Generation {
    prompt_tokens: u32,
    mailbox: Arc<Mailbox>,
}

pub(super) fn mailbox(prompt_tokens: u32) -> (EventSender, Generation) {
    let mailbox = Arc::new(Mailbox::default());
    let sender = EventSender {
        mailbox: Arc::clone(&mailbox),
    };
    let reader = Generation {
        prompt_tokens,
        mailbox,
    };
    (sender, reader)
}

impl EventSender {
    /// Puts an event in, merging where that loses nothing. Events after a terminal one are ignored.
    pub fn send(&self, event: GenerationEvent) {
        let mut state = self.mailbox.state();
        if state.ended || state.abandoned {
            return;
        }
        state.ended = event.is_terminal();
        state.push(event);
        drop(state);
        self.mailbox.arrived.notify_one();
    }

    /// Tokens put in that nobody has taken out.
    pub fn unread_tokens(&self) -> usize {
        self.mailbox.state().unread_tokens
    }

    /// Whether the reader is gone.
    pub fn is_abandoned(&self) -> bool {
        self.mailbox.state().abandoned
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        self.send(GenerationEvent::Failed(EngineError::Internal(
            "the request was dropped".into(),
        )));
    }
}

impl State {
    fn push(&mut self, event: GenerationEvent) {
        match event {
            GenerationEvent::Text {
                choice,
                text,
                tokens,
            } => {
                self.unread_tokens += tokens.len();
                // Nothing of this choice can lie behind its last text: `Finished` comes last.
                let unread = self.events.iter_mut().rev().find_map(|event| match event {
                    GenerationEvent::Text {
                        choice: other,
                        text,
                        tokens,
                    } if *other == choice => Some((text, tokens)),
                    _ => None,
                });
                match unread {
                    Some((unread_text, unread_tokens)) => {
                        unread_text.push_str(&text);
                        unread_tokens.extend(tokens);
                    }
                    None => self.events.push_back(GenerationEvent::Text {
                        choice,
                        text,
                        tokens,
                    }),
                }
            }
            GenerationEvent::Progress { .. } => {
                match self.events.back_mut() {
                    Some(last @ GenerationEvent::Progress { .. }) => *last = event,
                    _ => self.events.push_back(event),
                };
            }
            event => self.events.push_back(event),
        }
    }

    fn take(&mut self) -> Option<GenerationEvent> {
        let event = self.events.pop_front()?;
        if let GenerationEvent::Text { tokens, .. } = &event {
            self.unread_tokens -= tokens.len();
        }
        Some(event)
    }
}

impl Generation {
    /// Tokens of the prompt.
    #[must_use]
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt_tokens
    }

    /// The next event; `None` after the terminal one. Cancel-safe: no event is lost if the future
    /// is dropped.
    pub async fn next(&mut self) -> Option<GenerationEvent> {
        loop {
            {
                let mut state = self.mailbox.state();
                if let Some(event) = state.take() {
                    return Some(event);
                }
                if state.ended {
                    return None;
                }
            }
            self.mailbox.arrived.notified().await;
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        let mut state = self.mailbox.state();
        state.abandoned = true;
        // What nobody will read need not wait for the loop to notice.
        state.events = VecDeque::new();
        state.unread_tokens = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{FinishReason, TokenEvent};

    fn text(choice: u32, text: &str) -> GenerationEvent {
        GenerationEvent::Text {
            choice,
            text: text.into(),
            tokens: vec![TokenEvent {
                token: 1,
                bytes: text.into(),
                logprob: None,
                top: Vec::new(),
            }],
        }
    }

    fn drain(reader: &mut Generation) -> Vec<GenerationEvent> {
        let mut events = Vec::new();
        let mut state = reader.mailbox.state();
        while let Some(event) = state.take() {
            events.push(event);
        }
        assert_eq!(state.unread_tokens, 0);
        events
    }

    #[test]
    fn unread_text_merges_per_choice_and_order_within_a_choice_stays() {
        let (sender, mut reader) = mailbox(3);
        sender.send(GenerationEvent::Progress { done: 1, total: 3 });
        sender.send(GenerationEvent::Progress { done: 2, total: 3 });
        for (choice, piece) in [(0, "a"), (1, "x"), (0, "b"), (1, "y"), (0, "c")] {
            sender.send(text(choice, piece));
        }
        assert_eq!(sender.unread_tokens(), 5);
        let finished = GenerationEvent::Finished {
            choice: 0,
            reason: FinishReason::Stop,
            output_tokens: 3,
        };
        sender.send(finished.clone());
        let events = drain(&mut reader);
        assert_eq!(events.len(), 4);
        assert_eq!(events[0], GenerationEvent::Progress { done: 2, total: 3 });
        assert!(
            matches!(&events[1], GenerationEvent::Text { choice: 0, text, tokens }
            if text == "abc" && tokens.len() == 3)
        );
        assert!(
            matches!(&events[2], GenerationEvent::Text { choice: 1, text, .. } if text == "xy")
        );
        assert_eq!(events[3], finished);
    }

    #[test]
    fn there_is_one_terminal_event_even_if_the_sender_is_lost() {
        let (sender, mut reader) = mailbox(1);
        drop(sender);
        let events = drain(&mut reader);
        assert!(matches!(events[..], [GenerationEvent::Failed(_)]));

        let (sender, mut reader) = mailbox(1);
        sender.send(GenerationEvent::Done {
            usage: Default::default(),
            timings: Default::default(),
        });
        sender.send(text(0, "late"));
        drop(sender);
        let events = drain(&mut reader);
        assert!(matches!(events[..], [GenerationEvent::Done { .. }]));
    }

    #[test]
    fn a_dropped_reader_is_noticed_and_holds_nothing() {
        let (sender, reader) = mailbox(1);
        sender.send(text(0, "a"));
        drop(reader);
        assert!(sender.is_abandoned());
        sender.send(text(0, "b"));
        assert_eq!(sender.unread_tokens(), 0);
    }
}
