//! Pseudonyms: `PII_EMAIL_1_k7qd` stands for a value, the same one each time.
//!
//! Invariants:
//! - One value, one token: values are compared normalised within their label ([`normal_form`]), and a
//!   token restores the form in which the value was first seen. Secrets are compared as they are.
//! - Numbers follow first appearance, so a replayed history gives the same bytes again and a prefix
//!   cache keeps working.
//! - The tag at the end depends on the conversation's root and a key, never on later turns, and is chosen
//!   so that it occurs nowhere in the request: a token typed by somebody else can neither be mistaken for
//!   an issued one nor be resolved ([`choose_tag`]).
//! - A token is made of `[A-Za-z0-9_]` only: it survives JSON, Markdown, URLs, SQL and code unescaped.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::detect::{Class, Kind, Rules};

/// What every token begins with.
pub const SENTINEL: &str = "PII_";

/// The label of every built-in secret. No entity that is restored has it.
pub const SECRET: &str = "SECRET";

/// Characters in a tag.
pub const TAG_LEN: usize = 4;

/// How much of a long root decides about the tag, at either end, besides its length. A tag has to differ from what
/// the request holds, which is looked up, and from turn to turn not at all: hashing all of a long prompt would take
/// longer than reading it.
const END: usize = 128;

/// No vowels, so that tags spell nothing; no `l`, `o`, `0`, `1`, which get misread.
const ALPHABET: &[u8; 29] = b"bcdfghjkmnpqrstvwxyz23456789k";

/// Values that one request replaced, and their tokens.
#[derive(Debug, Default)]
pub struct Vault {
    tag: String,
    // Ordered maps: a hash map would ask the sandbox for random keys.
    by_label: BTreeMap<String, BTreeMap<String, usize>>,
    entries: Vec<Entry>,
}

/// One value and its token.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `PII_EMAIL_1_k7qd`.
    pub token: String,
    /// The value as it was first written.
    pub original: String,
    /// Whether the answer may show the value again.
    pub restorable: bool,
}

impl Drop for Vault {
    /// Overwrites the values, so that they do not outlive the request in freed memory.
    fn drop(&mut self) {
        for entry in &mut self.entries {
            wipe(&mut entry.original);
        }
        for (_, values) in std::mem::take(&mut self.by_label) {
            for (mut value, _) in values {
                wipe(&mut value);
            }
        }
    }
}

fn wipe(text: &mut String) {
    let n = text.len();
    text.clear();
    text.extend(std::iter::repeat_n('\0', n));
    std::hint::black_box(&*text);
}

impl Vault {
    /// An empty vault whose tokens end in `tag`.
    #[must_use]
    pub fn new(tag: String) -> Self {
        let mut vault = Vault::default();
        vault.tag = tag;
        vault
    }

    /// The token for a value, a new one if this vault has not seen it.
    pub fn token(&mut self, label: &str, normal: String, original: &str, restorable: bool) -> &str {
        let next = self.entries.len();
        let values = match self.by_label.get_mut(label) {
            Some(values) => values,
            None => self.by_label.entry(label.to_owned()).or_default(),
        };
        let index = *values.entry(normal).or_insert(next);
        if index == next {
            let token = format!("{SENTINEL}{label}_{}_{}", values.len(), self.tag);
            self.entries.push(Entry {
                token,
                original: original.to_owned(),
                restorable,
            });
        }
        &self.entries[index].token
    }

    /// Every token issued so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

/// The form in which two spellings of one value are equal: secrets as they are, digits alone for
/// numbers, upper case for mixed codes, lower case for addresses.
#[must_use]
pub fn normal_form(kind: Kind, folded: &str, original: &str, rules: &Rules) -> String {
    use crate::detect::Entity;
    let secret = match kind {
        Kind::Builtin(e) => e.class() == Class::Secret,
        Kind::Custom(i) => rules.secret(i),
    };
    if secret {
        return original.to_owned();
    }
    match kind {
        Kind::Builtin(Entity::Email) => folded.replace("%40", "@").to_lowercase(),
        Kind::Builtin(Entity::Phone) => phone(folded),
        Kind::Builtin(Entity::Ip | Entity::Mac | Entity::Uuid) => {
            folded.to_ascii_lowercase().replace('-', ":")
        }
        // Base58 distinguishes case.
        Kind::Builtin(Entity::Crypto) => folded.to_owned(),
        Kind::Custom(_) => folded.trim().to_lowercase(),
        Kind::Builtin(Entity::DateOfBirth) => folded
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase(),
        Kind::Builtin(_) if folded.is_ascii() => folded
            .bytes()
            .filter(|b| b.is_ascii_alphanumeric() || *b == b'<')
            .map(|b| char::from(b.to_ascii_uppercase()))
            .collect(),
        Kind::Builtin(_) => folded
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '<')
            .flat_map(char::to_uppercase)
            .collect(),
    }
}

/// `00216 20-123-456`, `+216 (20) 123 456` and `+21620123456` are one number; a national form stays its own.
fn phone(folded: &str) -> String {
    let international = folded.trim_start_matches(['(', ' ']).starts_with('+');
    let without_trunk = folded.replace("(0)", "");
    let digits: String = if international {
        &without_trunk
    } else {
        folded
    }
    .chars()
    .filter(char::is_ascii_digit)
    .collect();
    match digits.strip_prefix("00") {
        _ if international => format!("+{digits}"),
        Some(rest) => format!("+{rest}"),
        None => digits,
    }
}

/// A tag for this conversation that no text of the request contains.
///
/// `root` is what stays the same over the turns (a conversation id, else the first message); `taken`
/// says whether a tag occurs in the request. Every attempt is a function of key, root and the attempt's
/// number, so the same request always gets the same tag. With 29^4 tags, a request that contained them
/// all would be megabytes of nothing else; `None` then, and the request is refused.
#[must_use]
pub fn choose_tag(key: &[u8], root: &[u8], taken: impl Fn(&str) -> bool) -> Option<String> {
    (0u32..64)
        .map(|attempt| tag(key, root, attempt))
        .find(|t| !taken(t))
}

fn tag(key: &[u8], root: &[u8], attempt: u32) -> String {
    // A key of any length is valid for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(&attempt.to_le_bytes());
    match (root.first_chunk::<END>(), root.last_chunk::<END>()) {
        (Some(head), Some(tail)) if root.len() > 2 * END => {
            mac.update(head);
            mac.update(tail);
            mac.update(&(root.len() as u64).to_le_bytes());
        }
        _ => mac.update(root),
    }
    let out = mac.finalize().into_bytes();
    let mut n = out.iter().take(8).fold(0u64, |n, &b| n << 8 | u64::from(b));
    let mut tag = String::with_capacity(TAG_LEN);
    for i in 0..TAG_LEN {
        // A digit in second place keeps the tag from being a word.
        let set: &[u8] = if i == 1 { b"23456789" } else { &ALPHABET[..28] };
        tag.push(char::from(set[(n % set.len() as u64) as usize]));
        n /= set.len() as u64;
    }
    tag
}

/// Whether `text` holds `tag` in any case at all, in a text that also holds the sentinel's letters.
///
/// With `secrets_stay`, tokens of secrets do not count: they are never resolved, so the answer showed them
/// as they are, and the client sends them back with the next turn. Were they to count, each turn after
/// such an answer would get another tag, and no prefix cache would know it again.
#[must_use]
pub fn mentions(text: &str, tag: &str, secrets_stay: bool) -> bool {
    if !has_sentinel(text) {
        return false;
    }
    let mut from = 0;
    while let Some(at) = find_ignore_case(&text.as_bytes()[from..], tag.as_bytes()) {
        let at = from + at;
        if !(secrets_stay && ends_in_secret(&text.as_bytes()[..at])) {
            return true;
        }
        from = at + tag.len();
    }
    false
}

/// Whether the text ends in `PII_SECRET_`, a number and `_`: the rest of such a token is its tag.
fn ends_in_secret(text: &[u8]) -> bool {
    let Some(head) = text.strip_suffix(b"_") else {
        return false;
    };
    let digits = head.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    digits > 0 && head[..head.len() - digits].ends_with(format!("{SENTINEL}{SECRET}_").as_bytes())
}

/// Whether the sentinel's letters stand in `text`, in any case. Three bytes that begin anywhere include
/// one whose offset is 2 modulo 3: looking at a third of the text is enough.
#[must_use]
pub fn has_sentinel(text: &str) -> bool {
    let s = text.as_bytes();
    let is = |i: usize, letter: u8| s.get(i).is_some_and(|b| b | 0x20 == letter);
    (2..s.len()).step_by(3).any(|i| match s[i] | 0x20 {
        b'i' => is(i - 1, b'i') && is(i - 2, b'p') || is(i - 1, b'p') && is(i + 1, b'i'),
        b'p' => is(i + 1, b'i') && is(i + 2, b'i'),
        _ => false,
    })
}

/// ASCII case-insensitive search.
fn find_ignore_case(t: &[u8], n: &[u8]) -> Option<usize> {
    let &first = n.first()?;
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    let last = t.len().checked_sub(n.len())?;
    (0..=last)
        .find(|&i| (t[i] == lower || t[i] == upper) && t[i..i + n.len()].eq_ignore_ascii_case(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Entity;

    fn normal(e: Entity, text: &str) -> String {
        normal_form(Kind::Builtin(e), text, text, &Rules::default())
    }

    proptest::proptest! {
        #[test]
        fn the_sentinel_is_seen_wherever_it_stands(text in "[pPiI_x]{0,9}") {
            let naive = text.to_lowercase().contains("pii");
            proptest::prop_assert_eq!(has_sentinel(&text), naive);
        }
    }

    #[test]
    fn same_value_same_token_numbered_by_appearance() {
        let mut v = Vault::new("k7qd".into());
        assert_eq!(
            v.token("EMAIL", "a@b.c".into(), "A@b.c", true),
            "PII_EMAIL_1_k7qd"
        );
        assert_eq!(
            v.token("EMAIL", "x@b.c".into(), "x@b.c", true),
            "PII_EMAIL_2_k7qd"
        );
        assert_eq!(
            v.token("CARD", "4111".into(), "4111", true),
            "PII_CARD_1_k7qd"
        );
        assert_eq!(
            v.token("EMAIL", "a@b.c".into(), "a@b.c", true),
            "PII_EMAIL_1_k7qd"
        );
        assert_eq!(v.entries()[0].original, "A@b.c");
    }

    #[test]
    fn spellings_of_one_value() {
        for (e, a, b) in [
            (
                Entity::CreditCard,
                "4111 1111 1111 1111",
                "4111-1111-1111-1111",
            ),
            (Entity::Iban, "tn59 1000", "TN591000"),
            (Entity::Email, "A@Example.com", "a%40example.com"),
            (Entity::Phone, "0021620123456", "+216 20 123 456"),
            (Entity::Phone, "+33 (0)6 12 34 56 78", "+33612345678"),
            (Entity::Mac, "AA-BB-CC-00-11-22", "aa:bb:cc:00:11:22"),
        ] {
            assert_eq!(normal(e, a), normal(e, b));
        }
        assert_ne!(
            normal(Entity::GenericSecret, "Abc"),
            normal(Entity::GenericSecret, "abc")
        );
    }

    #[test]
    fn both_ends_and_the_length_of_a_root_decide() {
        let tag = |root: &[u8]| choose_tag(b"k", root, |_| false).unwrap();
        let long = [b'x'; 4 * END];
        assert_eq!(tag(&long), tag(&long));
        for other in [
            [b"y", &long[1..]].concat(),
            [&long[1..], b"y"].concat(),
            long[1..].to_vec(),
            long[..2 * END].to_vec(),
        ] {
            assert_ne!(tag(&long), tag(&other));
        }
    }

    #[test]
    fn a_tag_avoids_what_the_request_holds() {
        let first = choose_tag(b"k", b"root", |_| false).unwrap();
        assert_eq!(choose_tag(b"k", b"root", |_| false).unwrap(), first);
        let text = format!("they wrote pii_email_1_{} yesterday", first.to_uppercase());
        let second = choose_tag(b"k", b"root", |t| mentions(&text, t, false)).unwrap();
        assert_ne!(first, second);
        let secret = format!("the key PII_SECRET_12_{first} stays");
        assert!(mentions(&secret, &first, false) && !mentions(&secret, &first, true));
        for other in [
            "PII_SECRET_12_x",
            "pii_secret_1_",
            "PII_ID_1_",
            "PII_SECRET__",
            "PII ",
        ] {
            let text = format!("{secret} {other}{first}");
            assert!(mentions(&text, &first, true), "{text}");
        }
        assert_eq!(choose_tag(b"k", b"root", |_| true), None);
        assert!(
            first.len() == TAG_LEN
                && first
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
    }
}
