//! Constrained decoding: which tokens may come next, for JSON Schema, regular expressions and
//! context-free grammars.
//!
//! The parsing is `llguidance`'s (Earley with a derivative-based lexer over the token trie). This
//! module narrows it to what the engine needs: one [`GrammarCompiler`] per model, one [`Grammar`]
//! per distinct constraint, one [`GrammarState`] per sequence, limits on everything a client sends,
//! and typed errors that say which part of a schema cannot be honoured.
//!
//! A mask takes from tens of microseconds to milliseconds. The engine computes it on a worker while
//! the forward pass of the same step runs; see [`crate::executor::TokenMask`].

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};

use crate::executor::TokenId;

/// Longest schema, expression or grammar a client may send, in bytes.
pub(crate) const MAX_SOURCE_BYTES: usize = 256 * 1024;

/// Deepest nesting of a JSON Schema; deeper ones are refused before a recursive walk sees them.
const MAX_SCHEMA_DEPTH: usize = 64;

/// What the answer must look like.
#[derive(Debug, Clone, PartialEq)]
pub enum GrammarSpec {
    /// Any JSON object.
    JsonObject,
    /// JSON that validates against this schema.
    JsonSchema(serde_json::Value),
    /// Text that matches this regular expression as a whole.
    Regex(String),
    /// Text in the language of this grammar, in the Lark dialect of `llguidance`; special tokens are
    /// written `<name>`.
    Lark(String),
}

/// Why a constraint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The schema or grammar is malformed, contradictory, or uses a feature that cannot be enforced.
    #[error("this constraint cannot be enforced: {0}")]
    Unsupported(String),
    /// The source is over a limit.
    #[error("this constraint is too large: {0}")]
    TooLarge(String),
    /// The model's vocabulary cannot be used for masks.
    #[error("the vocabulary cannot be constrained: {0}")]
    Vocabulary(String),
    /// A state was driven into something its grammar does not allow, or ran out of parser fuel.
    #[error("constrained decoding failed: {0}")]
    Failed(String),
}

/// Compiles constraints for one model's vocabulary. Costs a trie over the vocabulary; make it once
/// per model.
pub struct GrammarCompiler {
    factory: ParserFactory,
}

impl std::fmt::Debug for GrammarCompiler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarCompiler").finish_non_exhaustive()
    }
}

/// One entry of a vocabulary as masks see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VocabularyEntry {
    /// An ordinary token with these bytes.
    Bytes(Vec<u8>),
    /// A control token such as `<|im_end|>`: never part of text, named in grammars as `<...>`.
    Special(String),
    /// An id the model has logits for but no token uses.
    Unused,
}

impl GrammarCompiler {
    /// Builds the trie for `vocabulary` (entry `i` is token `i`), where `eos` ends an answer.
    ///
    /// # Errors
    /// [`GrammarError::Vocabulary`] if it is empty, too large, or `eos` is not in it.
    pub fn new(vocabulary: &[VocabularyEntry], eos: &[TokenId]) -> Result<Self, GrammarError> {
        let size = u32::try_from(vocabulary.len())
            .ok()
            .filter(|size| (1..1 << 24).contains(size))
            .ok_or_else(|| GrammarError::Vocabulary(format!("{} entries", vocabulary.len())))?;
        let Some(&first_eos) = eos.first() else {
            return Err(GrammarError::Vocabulary("no end-of-turn token".to_owned()));
        };
        if let Some(bad) = eos.iter().find(|&&id| id >= size) {
            return Err(GrammarError::Vocabulary(format!(
                "end-of-turn token {bad} is outside the vocabulary"
            )));
        }
        let words: Vec<Vec<u8>> = vocabulary
            .iter()
            .map(|entry| match entry {
                VocabularyEntry::Bytes(bytes) => bytes.clone(),
                VocabularyEntry::Special(name) => {
                    let mut word = vec![TokTrie::SPECIAL_TOKEN_MARKER];
                    word.extend_from_slice(name.as_bytes());
                    word
                }
                VocabularyEntry::Unused => Vec::new(),
            })
            .collect();
        if let Some(long) = words
            .iter()
            .find(|word| word.len() > usize::from(u8::MAX) * 4)
        {
            return Err(GrammarError::Vocabulary(format!(
                "a token of {} bytes",
                long.len()
            )));
        }
        let trie = TokTrie::from(&TokRxInfo::new(size, first_eos), &words).with_eos_tokens(eos);
        let env: llguidance::toktrie::TokEnv = std::sync::Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new(
            &env,
            InferenceCapabilities::default(),
            &llguidance::earley::SlicedBiasComputer::general_slices(),
        )
        .map_err(|error| GrammarError::Vocabulary(brief(&error)))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory })
    }

    /// Compiles `spec`. CPU-bound, up to a second for the worst input the limits allow: call it off
    /// the async runtime.
    ///
    /// # Errors
    /// [`GrammarError::Unsupported`] with the reason, or [`GrammarError::TooLarge`].
    pub fn compile(&self, spec: &GrammarSpec) -> Result<Grammar, GrammarError> {
        let grammar = match spec {
            GrammarSpec::JsonObject => {
                let object = serde_json::json!({ "type": "object" });
                TopLevelGrammar::from_json_schema(compact(&object))
            }
            GrammarSpec::JsonSchema(schema) => {
                check_schema(schema)?;
                TopLevelGrammar::from_json_schema(compact(schema))
            }
            GrammarSpec::Regex(source) => {
                check_source(source)?;
                TopLevelGrammar::from_regex(source)
            }
            GrammarSpec::Lark(source) => {
                check_source(source)?;
                TopLevelGrammar::from_lark(source.clone())
            }
        };
        let mut matcher = Matcher::new(self.factory.create_parser(grammar));
        if let Some(reason) = matcher.get_error() {
            return Err(GrammarError::Unsupported(first_line(&reason)));
        }
        // The first mask finds contradictions that compiling does not.
        matcher
            .compute_mask_or_eos()
            .map_err(|error| GrammarError::Unsupported(brief(&error)))?;
        Ok(Grammar { matcher })
    }
}

/// A compiled constraint; cheap to start many sequences from.
#[derive(Clone)]
pub struct Grammar {
    matcher: Matcher,
}

impl std::fmt::Debug for Grammar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grammar").finish_non_exhaustive()
    }
}

impl Grammar {
    /// A state at the beginning of the answer.
    #[must_use]
    pub fn start(&self) -> GrammarState {
        // Deep, so that two sequences never wait for each other's lexer cache.
        GrammarState {
            matcher: self.matcher.deep_clone(),
        }
    }
}

/// Where one sequence is in its grammar.
pub struct GrammarState {
    matcher: Matcher,
}

impl std::fmt::Debug for GrammarState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarState")
            .field("finished", &self.matcher.is_stopped())
            .finish()
    }
}

impl GrammarState {
    /// The tokens that may come next, one bit per token as in
    /// [`TokenMask::from_words`](crate::executor::TokenMask::from_words). When the answer is complete,
    /// only the end-of-turn tokens.
    ///
    /// # Errors
    /// [`GrammarError::Failed`] when a limit of the parser is hit.
    pub fn mask(&mut self) -> Result<Vec<u32>, GrammarError> {
        self.matcher
            .compute_mask_or_eos()
            .map(|mask| mask.as_slice().to_vec())
            .map_err(|error| GrammarError::Failed(brief(&error)))
    }

    /// Moves past `token`.
    ///
    /// # Errors
    /// [`GrammarError::Failed`] if the grammar does not allow it here.
    pub fn accept(&mut self, token: TokenId) -> Result<(), GrammarError> {
        self.matcher
            .consume_token(token)
            .map_err(|error| GrammarError::Failed(brief(&error)))
    }

    /// Whether nothing but an end-of-turn token may follow.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.matcher.is_stopped()
    }

    /// Whether the answer could end here.
    pub fn may_end(&mut self) -> bool {
        self.matcher.is_stopped() || self.matcher.is_accepting().unwrap_or(false)
    }
}

fn check_source(source: &str) -> Result<(), GrammarError> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(GrammarError::TooLarge(format!(
            "{} bytes, at most {MAX_SOURCE_BYTES} are allowed",
            source.len()
        )));
    }
    Ok(())
}

/// Bounds size and depth without recursion.
fn check_schema(schema: &serde_json::Value) -> Result<(), GrammarError> {
    let mut bytes = 0usize;
    let mut pending = vec![(schema, 1usize)];
    while let Some((value, depth)) = pending.pop() {
        if depth > MAX_SCHEMA_DEPTH {
            return Err(GrammarError::TooLarge(format!(
                "nested deeper than {MAX_SCHEMA_DEPTH} levels"
            )));
        }
        bytes += match value {
            serde_json::Value::String(text) => text.len() + 2,
            serde_json::Value::Array(items) => {
                pending.extend(items.iter().map(|item| (item, depth + 1)));
                2 + items.len()
            }
            serde_json::Value::Object(fields) => {
                pending.extend(fields.values().map(|item| (item, depth + 1)));
                fields.keys().map(|key| key.len() + 4).sum::<usize>() + 2
            }
            _ => 8,
        };
        if bytes > MAX_SOURCE_BYTES {
            return Err(GrammarError::TooLarge(format!(
                "over {MAX_SOURCE_BYTES} bytes"
            )));
        }
    }
    Ok(())
}

fn brief(error: &impl std::fmt::Display) -> String {
    first_line(&error.to_string())
}

/// The parser's messages may go on with its state; the first line is for people.
fn first_line(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(300)
        .collect()
}

/// White space between the tokens of JSON: a space, or a line break and an indentation. JSON allows any
/// amount, and a small model that is not allowed what it wants to write next fills the answer with it.
const JSON_SPACE: &str = r"\x20|\n[\x20\t]{0,40}";

/// `schema` with white space bounded; whatever it said about the grammar's form itself is dropped.
pub(crate) fn compact(schema: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let mut schema = match schema {
        // The schema of anything.
        Value::Bool(true) => Value::Object(serde_json::Map::new()),
        other => other.clone(),
    };
    if let Value::Object(fields) = &mut schema {
        let form = serde_json::json!({ "whitespace_pattern": JSON_SPACE });
        fields.insert("x-guidance".to_owned(), form);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const EOS: TokenId = 256;
    const TOOL_CALL: TokenId = 257;
    const TOOL_CALL_END: TokenId = 258;

    /// Every byte is a token, then three special tokens and some multi-byte tokens.
    fn compiler() -> GrammarCompiler {
        let mut vocabulary: Vec<_> = (0..=255u8)
            .map(|b| VocabularyEntry::Bytes(vec![b]))
            .collect();
        for name in ["<|im_end|>", "<tool_call>", "</tool_call>"] {
            vocabulary.push(VocabularyEntry::Special(name.to_owned()));
        }
        for text in [
            "\":", "\", \"", "true", "the ", "{\"", "\"}", "\n", "12", "مر",
        ] {
            vocabulary.push(VocabularyEntry::Bytes(text.as_bytes().to_vec()));
        }
        vocabulary.push(VocabularyEntry::Unused);
        GrammarCompiler::new(&vocabulary, &[EOS]).unwrap()
    }

    fn allowed(words: &[u32]) -> Vec<TokenId> {
        (0..words.len() as u32 * 32)
            .filter(|&id| words[id as usize / 32] >> (id % 32) & 1 == 1)
            .collect()
    }

    fn bytes_of(token: TokenId) -> Vec<u8> {
        match token {
            0..=255 => vec![token as u8],
            EOS | TOOL_CALL | TOOL_CALL_END => Vec::new(),
            _ => [
                "\":", "\", \"", "true", "the ", "{\"", "\"}", "\n", "12", "مر",
            ][token as usize - 259]
                .as_bytes()
                .to_vec(),
        }
    }

    /// A model that draws uniformly from the mask, with a growing wish to end.
    fn walk(grammar: &Grammar, seed: u64, limit: usize) -> Option<String> {
        let mut state = grammar.start();
        let mut text = Vec::new();
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for step in 0..limit {
            let choices = allowed(&state.mask().unwrap());
            assert!(
                !choices.is_empty(),
                "an empty mask after {:?}",
                String::from_utf8_lossy(&text)
            );
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let closers: Vec<TokenId> = choices
                .iter()
                .copied()
                .filter(|&t| t == EOS || (t < 256 && b"\"}]".contains(&(t as u8))))
                .collect();
            let pool = if step > 20 && !closers.is_empty() {
                &closers
            } else {
                &choices
            };
            let token = pool[(random >> 11) as usize % pool.len()];
            if token == EOS {
                return Some(String::from_utf8(text).unwrap());
            }
            state.accept(token).unwrap();
            text.extend(bytes_of(token));
        }
        None
    }

    #[test]
    fn constrained_text_parses_and_validates() {
        let compiler = compiler();
        let schemas = [
            json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 12},
                "age": {"type": "integer", "minimum": 0, "maximum": 150}},
                "required": ["name", "age"], "additionalProperties": false}),
            json!({"type": "array", "items": {"enum": ["red", "green", 3, null]}, "minItems": 1, "maxItems": 4}),
            json!({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^[a-c]{2,4}$"}]}),
            json!({"$defs": {"node": {"type": "object", "properties": {"next": {"anyOf":
                [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["next"],
                "additionalProperties": false}}, "$ref": "#/$defs/node"}),
            json!({"type": "object", "properties": {"اسم": {"const": "مرحبا"}},
                "required": ["اسم"], "additionalProperties": false}),
        ];
        for schema in schemas {
            let grammar = compiler
                .compile(&GrammarSpec::JsonSchema(schema.clone()))
                .unwrap();
            let validator = jsonschema::validator_for(&schema).unwrap();
            let mut finished = 0;
            for seed in 1..40 {
                let Some(text) = walk(&grammar, seed, 400) else {
                    continue;
                };
                let value: Value =
                    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                assert!(
                    validator.is_valid(&value),
                    "{value} does not match {schema}"
                );
                finished += 1;
            }
            assert!(finished > 10, "only {finished} walks of {schema} ended");
        }
    }

    #[test]
    fn a_regex_and_a_grammar_with_special_tokens() {
        let compiler = compiler();
        let phone = compiler
            .compile(&GrammarSpec::Regex(r"\+216 [0-9]{2} [0-9]{3}".into()))
            .unwrap();
        let text = walk(&phone, 7, 100).unwrap();
        assert!(text.starts_with("+216 ") && text.len() == 11, "{text}");

        let call = compiler
            .compile(&GrammarSpec::Lark(
                "start: <tool_call> \"\\n\" body \"\\n\" </tool_call>\nbody: %json {\"const\": 12}\n".into(),
            ))
            .unwrap();
        let mut state = call.start();
        assert_eq!(allowed(&state.mask().unwrap()), [TOOL_CALL]);
        state.accept(TOOL_CALL).unwrap();
        for byte in "\n12\n".bytes() {
            state.accept(byte.into()).unwrap();
        }
        assert_eq!(allowed(&state.mask().unwrap()), [TOOL_CALL_END]);
        state.accept(TOOL_CALL_END).unwrap();
        assert!(state.is_finished());
        assert_eq!(allowed(&state.mask().unwrap()), [EOS]);
    }

    #[test]
    fn states_of_one_grammar_are_independent() {
        let grammar = compiler()
            .compile(&GrammarSpec::Regex("ab|cd".into()))
            .unwrap();
        let (mut one, mut two) = (grammar.start(), grammar.start());
        one.accept(u32::from(b'a')).unwrap();
        assert_eq!(allowed(&one.mask().unwrap()), [u32::from(b'b')]);
        assert_eq!(
            allowed(&two.mask().unwrap()),
            [u32::from(b'a'), u32::from(b'c')]
        );
        assert!(one.accept(u32::from(b'c')).is_err());
        two.accept(u32::from(b'c')).unwrap();
    }

    #[test]
    fn what_cannot_be_enforced_is_refused_with_the_reason() {
        let compiler = compiler();
        for schema in [
            json!({"type": "nonsense"}),
            json!({"type": "string", "pattern": "("}),
            json!({"not": {"type": "string"}}),
            json!({"$ref": "https://example.com/schema.json"}),
            json!({"type": "integer", "minimum": 5, "maximum": 4}),
        ] {
            let error = compiler
                .compile(&GrammarSpec::JsonSchema(schema.clone()))
                .unwrap_err();
            assert!(
                matches!(&error, GrammarError::Unsupported(why) if !why.is_empty()),
                "{schema}: {error:?}"
            );
        }
        let mut deep = json!({"type": "string"});
        for _ in 0..100 {
            deep = json!({"type": "array", "items": deep});
        }
        assert!(matches!(
            compiler.compile(&GrammarSpec::JsonSchema(deep)),
            Err(GrammarError::TooLarge(_))
        ));
        assert!(matches!(
            compiler.compile(&GrammarSpec::Lark("x".repeat(MAX_SOURCE_BYTES + 1))),
            Err(GrammarError::TooLarge(_))
        ));
        assert!(
            compiler
                .compile(&GrammarSpec::Lark("start: <no_such_token>".into()))
                .is_err()
        );
    }

    #[test]
    fn vocabularies_that_cannot_work_are_refused() {
        assert!(GrammarCompiler::new(&[], &[0]).is_err());
        let one = [VocabularyEntry::Bytes(b"a".to_vec())];
        assert!(GrammarCompiler::new(&one, &[]).is_err());
        assert!(GrammarCompiler::new(&one, &[1]).is_err());
    }
}
