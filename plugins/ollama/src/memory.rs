//! `context` of `/api/generate`: a conversation that the client carries, as a list of numbers.
//!
//! The API calls it an encoding of the conversation, to be sent back as it is. Ollama puts tokens there; here
//! it is the messages themselves, so that the next turn is rendered by the model's own template and finds the
//! prefix cache, and so that it works with every model. Three bytes of JSON text per number, after a
//! mark and the text's length.

use atoll_sdk::json::Field;
use atoll_sdk::types::{Error, Message, Role};

/// First number of a context: other hosts' contexts are tokens of some model, which mean nothing here.
const MARK: u32 = 0x00a7_011a;
/// Bytes in one number. Three stay below what every JSON reader can hold.
const BYTES: usize = 3;

/// The turns so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    turns: Vec<(Speaker, String)>,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Speaker {
    fn letter(self) -> &'static str {
        match self {
            Self::System => "s",
            Self::User => "u",
            Self::Assistant => "a",
        }
    }

    fn of(letter: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant]
            .into_iter()
            .find(|speaker| speaker.letter() == letter)
    }

    fn role(self) -> Role {
        match self {
            Self::System => Role::System,
            Self::User => Role::User,
            Self::Assistant => Role::Assistant,
        }
    }
}

impl Memory {
    /// Reads what a client sent back.
    ///
    /// # Errors
    /// Numbers that were not made here.
    pub fn read(field: &Field) -> Result<Self, Error> {
        let numbers: Vec<u32> = field.read("the context of an earlier answer")?;
        if numbers.is_empty() {
            return Ok(Self::default());
        }
        Self::decode(&numbers).ok_or_else(|| {
            Error::invalid(
                "context",
                "context was not made by this host; leave it out, or use /api/chat",
            )
        })
    }

    /// Adds a turn.
    pub fn push(&mut self, speaker: Speaker, text: impl Into<String>) {
        self.turns.push((speaker, text.into()));
    }

    /// The turns as messages.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.turns
            .iter()
            .map(|(speaker, text)| Message::text(speaker.role(), text))
            .collect()
    }

    /// The numbers for the client.
    #[must_use]
    pub fn encode(&self) -> Vec<u32> {
        let turns: Vec<(&str, &str)> = self
            .turns
            .iter()
            .map(|(speaker, text)| (speaker.letter(), text.as_str()))
            .collect();
        let text = serde_json::json!(turns).to_string();
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut numbers = vec![MARK, length];
        numbers.extend(text.as_bytes().chunks(BYTES).map(|chunk| {
            chunk
                .iter()
                .fold(0, |number, &byte| (number << 8) | u32::from(byte))
        }));
        numbers
    }

    fn decode(numbers: &[u32]) -> Option<Self> {
        let (&[MARK, length], rest) = numbers.split_first_chunk::<2>()? else {
            return None;
        };
        let length = usize::try_from(length).ok()?;
        if rest.len() != length.div_ceil(BYTES) {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        for &number in rest {
            let count = BYTES.min(length - bytes.len());
            let all = number.to_be_bytes();
            let (above, used) = all.split_at(all.len() - count);
            if above.iter().any(|&byte| byte != 0) {
                return None;
            }
            bytes.extend_from_slice(used);
        }
        let turns: Vec<(String, String)> = serde_json::from_slice(&bytes).ok()?;
        let turns = turns
            .into_iter()
            .map(|(letter, text)| Some((Speaker::of(&letter)?, text)))
            .collect::<Option<_>>()?;
        Some(Self { turns })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_out_comes_back(turns in prop::collection::vec((0u8..3, ".{0,20}"), 0..6)) {
            let mut memory = Memory::default();
            for (who, text) in turns {
                let speaker = [Speaker::System, Speaker::User, Speaker::Assistant][who as usize];
                memory.push(speaker, text);
            }
            prop_assert_eq!(Memory::decode(&memory.encode()), Some(memory));
        }

        /// The numbers come from a client: any list is read or refused, none breaks anything.
        #[test]
        fn other_numbers_are_refused(numbers in prop::collection::vec(any::<u32>(), 0..20), length in 0u32..64) {
            let mut marked = vec![MARK, length];
            marked.extend(&numbers);
            let _ = Memory::decode(&marked);
            prop_assert!(numbers.first() == Some(&MARK) || Memory::decode(&numbers).is_none());
        }
    }
}
