//! The bytes of every token.
//!
//! A tokenizer's own decoder turns a list of tokens into a string; streaming, stop strings and
//! grammars need the bytes of one token. The decoders that generating models use are all a mapping
//! per token, plus, for sentencepiece, one space that is dropped at the very start. [`Decoder::read`]
//! understands those and refuses the others.

use std::collections::HashMap;

use serde_json::Value;

use crate::executor::TokenId;

/// Largest token id. The largest published vocabulary has 262,208.
const MAX_TOKEN_ID: usize = 1 << 22;

/// How the strings in a vocabulary stand for bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Decoder {
    /// Replacements within a token, in order (`▁` to space).
    replacements: Vec<(String, String)>,
    /// `<0x0A>` stands for one byte.
    byte_fallback: bool,
    /// Each character stands for one byte, as in GPT-2.
    byte_level: bool,
    /// A text's first space was put there by the encoder.
    pub strips_leading_space: bool,
}

impl Decoder {
    /// Reads the `decoder` of a tokenizer.json.
    pub fn read(value: &Value) -> Result<Self, String> {
        let mut decoder = Self::default();
        let mut fused = false;
        decoder.add(value, &mut fused, 0)?;
        Ok(decoder)
    }

    fn add(&mut self, value: &Value, fused: &mut bool, depth: usize) -> Result<(), String> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        match text("type") {
            Some("ByteLevel") => self.byte_level = true,
            Some("ByteFallback") => self.byte_fallback = true,
            Some("Fuse") => *fused = true,
            Some("Replace") => {
                let pattern = value.pointer("/pattern/String").and_then(Value::as_str);
                let (Some(pattern), Some(content)) = (pattern, text("content")) else {
                    return Err(
                        "a Replace decoder without a plain pattern is not supported".to_owned()
                    );
                };
                self.replacements
                    .push((pattern.to_owned(), content.to_owned()));
            }
            Some("Metaspace") => {
                self.replacements.push((
                    text("replacement").unwrap_or("▁").to_owned(),
                    " ".to_owned(),
                ));
                let legacy_never = value.get("add_prefix_space") == Some(&Value::Bool(false));
                self.strips_leading_space = match text("prepend_scheme") {
                    Some(scheme) => scheme != "never",
                    None => !legacy_never,
                };
            }
            Some("Strip") => {
                let number = |name: &str| value.get(name).and_then(Value::as_u64);
                let one_space = text("content") == Some(" ")
                    && number("start") == Some(1)
                    && number("stop") == Some(0);
                if !*fused || !one_space {
                    return Err(
                        "a Strip decoder other than one leading space of the text is not supported"
                            .to_owned(),
                    );
                }
                self.strips_leading_space = true;
            }
            Some("Sequence") if depth == 0 => {
                for part in value
                    .get("decoders")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    self.add(part, fused, depth + 1)?;
                }
            }
            Some(other) => {
                return Err(format!(
                    "decoder {other} is not supported (byte-level and sentencepiece are)"
                ));
            }
            None => return Err("has no decoder, so its tokens have no defined text".to_owned()),
        }
        Ok(())
    }

    /// The bytes of a token of the model's own vocabulary.
    fn bytes(&self, token: &str) -> Vec<u8> {
        let mut text = token.to_owned();
        for (pattern, content) in &self.replacements {
            text = text.replace(pattern.as_str(), content);
        }
        if self.byte_fallback
            && let Some(byte) = fallback_byte(&text)
        {
            return vec![byte];
        }
        if self.byte_level
            && let Some(bytes) = text.chars().map(byte_of_char).collect::<Option<Vec<u8>>>()
        {
            return bytes;
        }
        text.into_bytes()
    }
}

/// `<0xE5>` as its byte.
fn fallback_byte(token: &str) -> Option<u8> {
    let hex = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let two_digits = hex.len() == 2 && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    two_digits
        .then(|| u8::from_str_radix(hex, 16).ok())
        .flatten()
}

/// GPT-2's table, backwards: printable Latin-1 stands for itself, the 68 other bytes for U+0100 on.
fn byte_of_char(char: char) -> Option<u8> {
    match char {
        '!'..='~' | '¡'..='¬' | '®'..='ÿ' => u8::try_from(u32::from(char)).ok(),
        '\u{100}'..='\u{143}' => {
            let index = u32::from(char) - 0x100;
            // The bytes without a printable character: 0 to 32, 127 to 160, 173.
            let byte = match index {
                0..=32 => index,
                33..=66 => index - 33 + 127,
                _ => 173,
            };
            u8::try_from(byte).ok()
        }
        _ => None,
    }
}

/// The bytes of every token, and which tokens are special. Ids without a token have no bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Vocabulary {
    bytes: Vec<u8>,
    /// Token `i` is `bytes[ends[i - 1]..ends[i]]`.
    ends: Vec<u32>,
    special: Vec<bool>,
}

impl Vocabulary {
    /// From the model's own tokens and the added ones `(id, content, special)`, whose content is
    /// literal text.
    pub fn new<'a>(
        own: &HashMap<String, u32>,
        added: impl Iterator<Item = (u32, &'a str, bool)> + Clone,
        decoder: &Decoder,
    ) -> Result<Self, String> {
        let ids = own
            .values()
            .copied()
            .chain(added.clone().map(|(id, ..)| id));
        let len = ids.max().map_or(0, |id| id as usize + 1);
        if len > MAX_TOKEN_ID {
            return Err(format!("token ids reach {len}, more than {MAX_TOKEN_ID}"));
        }
        let mut tokens = vec![Vec::new(); len];
        let mut special = vec![false; len];
        for (token, &id) in own {
            if let Some(slot) = tokens.get_mut(id as usize) {
                *slot = decoder.bytes(token);
            }
        }
        for (id, content, is_special) in added {
            if let (Some(slot), Some(flag)) =
                (tokens.get_mut(id as usize), special.get_mut(id as usize))
            {
                *slot = content.as_bytes().to_vec();
                *flag = is_special;
            }
        }
        let mut vocabulary = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(len),
            special,
        };
        for token in tokens {
            vocabulary.bytes.extend(token);
            let end = u32::try_from(vocabulary.bytes.len())
                .map_err(|_| "tokens have more than 4 GiB of text")?;
            vocabulary.ends.push(end);
        }
        Ok(vocabulary)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn bytes(&self, token: TokenId) -> &[u8] {
        let index = token as usize;
        let start = index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        let end = self.ends.get(index).copied().unwrap_or(start);
        self.bytes.get(start as usize..end as usize).unwrap_or(&[])
    }

    pub fn is_special(&self, token: TokenId) -> bool {
        self.special.get(token as usize).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_table_is_a_bijection() {
        let printable = (0..=255_u8)
            .map(char::from)
            .filter(|&c| byte_of_char(c) == Some(c as u8));
        let others = ('\u{100}'..='\u{143}').filter_map(byte_of_char);
        let mut bytes: Vec<u8> = printable.map(|c| c as u8).chain(others).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(byte_of_char('Ġ'), Some(b' '));
        assert_eq!(byte_of_char('Ċ'), Some(b'\n'));
        assert_eq!(byte_of_char('\u{144}'), None);
    }

    #[test]
    fn fallback_bytes_are_exact() {
        assert_eq!(fallback_byte("<0x0A>"), Some(10));
        assert_eq!(fallback_byte("<0xff>"), Some(255));
        for other in ["<0x+1>", "<0x1>", "<0x111>", "0x11", "<0xGG>", "<0x11> "] {
            assert_eq!(fallback_byte(other), None, "{other}");
        }
    }
}
