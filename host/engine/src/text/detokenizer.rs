//! [`IncrementalDetokenizer`]: a stream of tokens to a stream of text.
//!
//! Guarantees, each tested against decoding everything at once:
//! - the pieces, concatenated, are the whole text, byte for byte;
//! - a piece never ends in half a UTF-8 character; bytes wait until the character is complete;
//! - U+FFFD appears only once no later byte could make the bytes valid (or at the end);
//! - at most three bytes are ever held back.

use super::tokenizer::Tokenizer;
use crate::executor::TokenId;

/// Turns tokens into text as they come. One per answer.
#[derive(Debug, Clone)]
pub struct IncrementalDetokenizer {
    tokenizer: Tokenizer,
    keep_special: bool,
    /// Drop the encoder's space if the text begins with it.
    strip: bool,
    /// The beginning of a character: never valid, never certainly invalid.
    pending: Vec<u8>,
}

impl IncrementalDetokenizer {
    /// For an answer that is a text of its own: the space that a sentencepiece tokenizer puts before
    /// the first word is dropped, special tokens are not shown.
    #[must_use]
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let strip = tokenizer.strips_leading_space();
        Self {
            tokenizer: tokenizer.clone(),
            keep_special: false,
            strip,
            pending: Vec::new(),
        }
    }

    /// For an answer that continues a text: its first space belongs to it.
    #[must_use]
    pub fn continuing(tokenizer: &Tokenizer) -> Self {
        Self {
            strip: false,
            ..Self::new(tokenizer)
        }
    }

    /// Shows special tokens as their text.
    #[must_use]
    pub fn keep_special(mut self, keep: bool) -> Self {
        self.keep_special = keep;
        self
    }

    /// Adds a token and returns the text that is now complete, possibly none.
    pub fn push(&mut self, token: TokenId) -> String {
        if !self.keep_special && self.tokenizer.is_special(token) {
            return String::new();
        }
        let mut bytes = self.tokenizer.token_bytes(token);
        if self.strip && !bytes.is_empty() {
            self.strip = false;
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.pending.extend_from_slice(bytes);
        self.take_complete()
    }

    /// Ends the stream: what is left can no longer become valid.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// How many bytes wait for the rest of their character.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    fn take_complete(&mut self) -> String {
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            let (valid, bad) = match std::str::from_utf8(rest) {
                Ok(valid) => (valid, None),
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    (
                        std::str::from_utf8(valid).unwrap_or(""),
                        Some((after, error.error_len())),
                    )
                }
            };
            text.push_str(valid);
            match bad {
                None => {
                    self.pending.clear();
                    return text;
                }
                // Not wrong yet, only incomplete.
                Some((after, None)) => {
                    self.pending = after.to_vec();
                    return text;
                }
                Some((after, Some(len))) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = after.get(len..).unwrap_or(&[]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures;
    use super::*;

    fn stream(mut detokenizer: IncrementalDetokenizer, tokens: &[TokenId]) -> String {
        let mut text: String = tokens
            .iter()
            .map(|&token| detokenizer.push(token))
            .collect();
        assert!(detokenizer.pending_bytes() < 4);
        text += &detokenizer.finish();
        text
    }

    /// One emoji over several tokens: nothing, nothing, the emoji.
    #[test]
    fn a_character_comes_whole() {
        let tokenizer = fixtures::byte_level();
        let tokens = tokenizer.encode("a😀", false).unwrap();
        assert!(tokens.len() > 2);
        let mut detokenizer = IncrementalDetokenizer::new(&tokenizer);
        let pieces: Vec<String> = tokens
            .iter()
            .map(|&token| detokenizer.push(token))
            .collect();
        assert_eq!(pieces.first().unwrap(), "a");
        assert!(pieces[1..pieces.len() - 1].iter().all(String::is_empty));
        assert_eq!(pieces.last().unwrap(), "😀");
    }

    #[test]
    fn special_tokens_are_hidden_or_shown() {
        let tokenizer = fixtures::byte_level();
        let tokens = tokenizer.encode("<think>hello<|im_end|>", false).unwrap();
        assert_eq!(
            stream(IncrementalDetokenizer::new(&tokenizer), &tokens),
            "<think>hello"
        );
        let shown = IncrementalDetokenizer::new(&tokenizer).keep_special(true);
        assert_eq!(stream(shown, &tokens), "<think>hello<|im_end|>");
    }

    #[test]
    fn the_first_space_is_dropped_only_where_the_encoder_put_it() {
        let tokenizer = fixtures::sentencepiece();
        let tokens = tokenizer.encode("hello hello", false).unwrap();
        assert_eq!(
            stream(IncrementalDetokenizer::new(&tokenizer), &tokens),
            "hello hello"
        );
        assert_eq!(
            stream(IncrementalDetokenizer::continuing(&tokenizer), &tokens),
            " hello hello"
        );
        let byte_level = fixtures::byte_level();
        let tokens = byte_level.encode(" hello", false).unwrap();
        assert_eq!(
            stream(IncrementalDetokenizer::new(&byte_level), &tokens),
            " hello"
        );
    }

    #[test]
    fn half_a_character_at_the_end_is_replaced_once() {
        let tokenizer = fixtures::byte_level();
        let mut tokens = tokenizer.encode("😀", false).unwrap();
        tokens.pop();
        assert_eq!(
            stream(IncrementalDetokenizer::new(&tokenizer), &tokens),
            "\u{FFFD}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// Random tokens are mostly broken UTF-8: still equal to decoding all at once.
        #[test]
        fn pieces_make_the_whole(tokens in prop::collection::vec(0_u32..400, 0..40), keep in any::<bool>()) {
            for tokenizer in [fixtures::byte_level(), fixtures::sentencepiece()] {
                let streamed = stream(IncrementalDetokenizer::new(&tokenizer).keep_special(keep), &tokens);
                prop_assert_eq!(streamed, tokenizer.decode(&tokens, keep));
            }
        }

        #[test]
        fn text_of_many_scripts_streams_exactly(text in fixtures::any_text()) {
            for tokenizer in [fixtures::byte_level(), fixtures::sentencepiece()] {
                let tokens = tokenizer.encode(&text, false).unwrap();
                let streamed = stream(IncrementalDetokenizer::new(&tokenizer), &tokens);
                prop_assert_eq!(streamed, tokenizer.decode(&tokens, false));
            }
        }
    }
}
