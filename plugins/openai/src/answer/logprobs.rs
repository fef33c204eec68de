//! Log probabilities, in the shape of Chat Completions and in the older one of Completions.
//!
//! A token may hold part of a code point: `token` is then lossy and `bytes` is exact.

use std::collections::BTreeMap;

use atoll_sdk::types::{Alternative, Token};
use serde::Serialize;

/// JSON has no infinity, and clients want a number: what the original service sends for a token
/// that is as good as impossible.
const IMPOSSIBLE: f32 = -9999.0;

/// Log probabilities of one choice, or of one chunk of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ChatLogprobs {
    pub(super) content: Option<Vec<TokenLogprob>>,
    pub(super) refusal: Option<Vec<TokenLogprob>>,
}

/// One token that was drawn.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TokenLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Clone, Debug, Serialize)]
struct TopLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

/// Tokens in Chat Completions' shape.
pub(super) fn chat(tokens: Vec<Token>) -> Vec<TokenLogprob> {
    tokens
        .into_iter()
        .map(|token| TokenLogprob {
            token: text(&token.bytes),
            logprob: finite(token.logprob),
            bytes: token.bytes,
            top_logprobs: token.alternatives.into_iter().map(top).collect(),
        })
        .collect()
}

fn top(alternative: Alternative) -> TopLogprob {
    TopLogprob {
        token: text(&alternative.bytes),
        logprob: finite(alternative.logprob),
        bytes: alternative.bytes,
    }
}

/// Log probabilities of one choice of Completions: four lists of one length.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct CompletionLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<BTreeMap<String, f32>>,
    text_offset: Vec<u64>,
}

impl CompletionLogprobs {
    /// Tokens that start `offset` characters into the choice's text.
    pub(super) fn new(tokens: Vec<Token>, mut offset: u64) -> Self {
        let mut lists = Self::default();
        for token in tokens {
            let name = text(&token.bytes);
            let mut top = BTreeMap::new();
            // Two tokens may read the same once half code points are replaced: the likelier one,
            // which comes first, stays.
            for alternative in &token.alternatives {
                top.entry(text(&alternative.bytes))
                    .or_insert(finite(alternative.logprob));
            }
            top.entry(name.clone()).or_insert(finite(token.logprob));
            lists.tokens.push(name);
            lists.token_logprobs.push(finite(token.logprob));
            lists.top_logprobs.push(top);
            lists.text_offset.push(offset);
            offset += characters(&token.bytes);
        }
        lists
    }

    /// Appends what came later.
    pub(super) fn extend(&mut self, later: Self) {
        self.tokens.extend(later.tokens);
        self.token_logprobs.extend(later.token_logprobs);
        self.top_logprobs.extend(later.top_logprobs);
        self.text_offset.extend(later.text_offset);
    }
}

/// How far a delta moves the place in the text: by its tokens where they are known, which may run
/// ahead of the text they make, else by the text.
pub(super) fn advance(text: &str, tokens: &[Token]) -> u64 {
    if tokens.is_empty() {
        characters(text.as_bytes())
    } else {
        tokens.iter().map(|token| characters(&token.bytes)).sum()
    }
}

/// Code points that begin in these bytes.
fn characters(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .map(|byte| u64::from(byte & 0xC0 != 0x80))
        .sum()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() {
        logprob
    } else {
        IMPOSSIBLE
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(bytes: &[u8], logprob: f32, alternatives: &[(&[u8], f32)]) -> Token {
        Token {
            id: 1,
            bytes: bytes.to_vec(),
            logprob,
            alternatives: alternatives
                .iter()
                .map(|(bytes, logprob)| Alternative {
                    id: 2,
                    bytes: bytes.to_vec(),
                    logprob: *logprob,
                })
                .collect(),
        }
    }

    #[test]
    fn impossible_tokens_have_a_number() {
        let list = chat(vec![token(b"a", f32::NEG_INFINITY, &[(b"b", f32::NAN)])]);
        assert_eq!(
            serde_json::to_value(list).unwrap(),
            json!([{
                "token": "a", "logprob": -9999.0, "bytes": [97],
                "top_logprobs": [{"token": "b", "logprob": -9999.0, "bytes": [98]}],
            }])
        );
    }

    #[test]
    fn offsets_count_characters_even_when_a_token_splits_one() {
        let tokens = vec![
            token(b"a", -0.5, &[(b"a", -0.5), (b"z", -1.0)]),
            token(b"\xc3", -0.25, &[]),
            token(b"\xa9!", -0.125, &[]),
            token(b"b", 0.0, &[]),
        ];
        let lists = CompletionLogprobs::new(tokens.clone(), 10);
        let value = serde_json::to_value(&lists).unwrap();
        assert_eq!(value["text_offset"], json!([10, 11, 12, 13]));
        assert_eq!(value["tokens"], json!(["a", "\u{fffd}", "\u{fffd}!", "b"]));
        assert_eq!(value["top_logprobs"][0], json!({"a": -0.5, "z": -1.0}));
        assert_eq!(value["top_logprobs"][3], json!({"b": 0.0}));
        assert_eq!(advance("a\u{e9}!b", &tokens), 4);
        assert_eq!(advance("a\u{e9}", &[]), 2);
    }
}
