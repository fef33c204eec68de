//! Credentials known by what they are assigned to: `password = ...`, `API key: ...`, `my password is ...`.

use super::super::checks;
use super::super::context::AWS;
use super::super::entity::Entity;
use super::super::scan::Scanner;
use super::shape::{drawn, machine_made, mixed_letters, plausible_secret};
use super::vendors::Set;

/// Words that make the value assigned to them a credential.
const KEYWORDS: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"secret",
    b"token",
    b"api_key",
    b"api-key",
    b"apikey",
    b"access_key",
    b"access-key",
    b"accesskey",
    b"auth_key",
    b"authkey",
    b"private_key",
    b"privatekey",
    b"credential",
    b"creds",
    b"passcode",
    b"client_secret",
    b"encryption_key",
    b"signing_key",
    b"account_key",
    b"accountkey",
    b"bearer",
    b"authorization",
    b"x-amz-signature",
    b"x-goog-signature",
    b"sharedaccesskey",
    b"master_key",
    b"service_key",
    b"session_key",
    b"license_key",
    b"deploy_key",
    b"webhook_key",
    b"api key",
    b"access key",
    b"secret key",
    b"mot_de_passe",
    b"mot-de-passe",
    b"motdepasse",
    b"passwort",
    b"kennwort",
    b"contrasena",
];

/// Short words that count only as the end of a key: `db_pass`, and no `passport`.
const ENDINGS: &[&[u8]] = &[b"key", b"pass", b"pw", b"_pat", b"_sig"];

/// The same in French and Arabic prose, before a colon.
const PHRASES: &[&str] = &[
    "mot de passe",
    "mdp",
    "clé",
    "clé api",
    "clé secrète",
    "jeton",
    "كلمة المرور",
    "كلمة السر",
    "الرقم السري",
    "رمز الدخول",
    "كلمة مرور",
    "كلمة_المرور",
    "كلمة_السر",
    "مفتاح api",
    "المفتاح السري",
    "الرمز السري",
];

impl Scanner<'_> {
    /// `keyword = value` or `keyword: value` around the operator at `at`.
    pub(in super::super) fn assignment(&mut self, at: usize) -> usize {
        let s = self.s;
        let next = at + 1;
        if !self.wants(Entity::GenericSecret)
            && !self.wants(Entity::AwsSecretKey)
            && !self.wants(Entity::UrlCredentials)
        {
            return next;
        }
        // `==`, `!=`, `=>`, `::` compare, map or qualify.
        if matches!(self.at(next), b'=' | b':' | b'~')
            || matches!(self.before(at), b'=' | b'!' | b'<' | b'>' | b':')
        {
            return next;
        }
        let mut k = at;
        while k > 0
            && at - k < 3
            && matches!(
                s[k - 1],
                b' ' | b'"' | b'\'' | b'`' | b'*' | b':' | b']' | b'\\'
            )
        {
            k -= 1;
        }
        let mut stop = k;
        while k > 0
            && stop - k < 48
            && (s[k - 1].is_ascii_alphanumeric()
                || matches!(s[k - 1], b'_' | b'-' | b'.')
                || s[k - 1] >= 0x80)
        {
            k -= 1;
        }
        if k == stop {
            return next;
        }
        // `- name: DB_PASSWORD` and `value: ...` below, `<add key="ApiKey" value="..."/>`.
        if s[k..stop].eq_ignore_ascii_case(b"value")
            && let Some((from, to)) = sibling(s, k)
        {
            (k, stop) = (from, to);
        }
        // Two more words of prose: `API key:`, `mot de passe :`.
        let phrase_from = words_back(s, k, 2);
        let key = &s[k..stop];
        if self.quick && !may_name(&s[phrase_from..stop]) {
            return next;
        }
        let keyword = KEYWORDS.iter().any(|w| contains_ci(key, w)) || {
            let phrase = &s[phrase_from..stop];
            KEYWORDS
                .iter()
                .filter(|w| w.contains(&b' '))
                .any(|w| contains_ci(phrase, w))
                || PHRASES.iter().any(|w| ends_ci(phrase, w.as_bytes()))
        };
        let named = ENDINGS[1..].iter().any(|w| ends_ci(key, w))
            && ![&b"compass"[..], b"reisepass", b"bypass"]
                .iter()
                .any(|w| ends_ci(key, w))
            || key.eq_ignore_ascii_case(b"sig");
        let keyword = keyword || named;
        if !keyword && !ends_ci(key, ENDINGS[0]) {
            return next;
        }
        let mut v = next;
        // Stars before a value emphasise it, behind a quotation mark they are its own.
        while v < s.len()
            && v - next < 4
            && (matches!(
                s[v],
                b' ' | b'"' | b'\'' | b'`' | b'\t' | b'=' | b'>' | b'\\'
            ) || s[v] == b'*' && !matches!(s[v - 1], b'"' | b'\''))
        {
            v += 1;
        }
        // `b'...'` and `@"..."` of source text.
        if matches!(
            s.get(v..v + 2),
            Some([b'b' | b'B' | b'r' | b'R' | b'u' | b'f' | b'@', b'"' | b'\''])
        ) {
            v += 2;
        }
        for scheme in [&b"Bearer "[..], b"bearer ", b"Basic ", b"basic ", b"Token "] {
            if s[v..].starts_with(scheme) {
                v += scheme.len();
            }
        }
        let quote = self.before(v);
        let quoted = matches!(quote, b'"' | b'\'' | b'`');
        let query = self.s[at] == b'=' && matches!(self.before(k), b'?' | b'&' | b'#');
        let mut e = v;
        while e < s.len() && e - v < 400 && s[e].is_ascii_graphic() {
            match s[e] {
                b'"' | b'\'' | b'`' | b'<' | b'>' => break,
                b'&' if query => break,
                b',' | b';' | b')' | b'}' | b']' if !quoted => break,
                b if quoted && b == quote => break,
                b'\\' if !quoted && matches!(self.at(e + 1), b'"' | b'\'') => break,
                _ => e += 1,
            }
        }
        // `{\"token\":\"abc\"}`: JSON in a string of JSON.
        while e > v && quoted && s[e - 1] == b'\\' && self.at(e) == quote {
            e -= 1;
        }
        // `**token: abc**` is emphasised.
        while e > v + 2 && !quoted && s[..e].ends_with(b"**") {
            e -= 2;
        }
        while e > v && !quoted && matches!(s[e - 1], b'.' | b',' | b'?' | b':') {
            e -= 1;
        }
        let value = &s[v..e];
        let letters = query && keyword && mixed_letters(value);
        if !letters && !plausible_secret(value, keyword, query || quoted) {
            return next;
        }
        let aws = value.len() == 40
            && value.iter().all(|&b| Set::Base64.has(b))
            // Forty hexadecimal digits are something else.
            && value.iter().any(u8::is_ascii_uppercase)
            && value.iter().any(u8::is_ascii_lowercase)
            && checks::entropy(value) >= 3.8;
        if aws
            && (contains_ci(key, b"aws")
                || contains_ci(key, b"secret")
                || self.context(v, e).near & AWS != 0)
        {
            self.put(v, e, Entity::AwsSecretKey, 92, true);
        } else if self.secret(v) == Some(e) {
            // A vendor's own prefix says more.
        } else if query {
            self.put(v, e, Entity::UrlCredentials, 90, true);
        } else {
            self.put(v, e, Entity::GenericSecret, 80, true);
        }
        // The value may begin something with a rule of its own; overlap decides.
        next
    }

    /// Forty characters of base64 at `a` beside words about AWS: its secret keys have no prefix.
    pub(in super::super) fn aws_secret(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        // The word may have begun behind a `+` or `/` of the value.
        let back = s[self.floor..a].iter().rev().take(40);
        let a = a - back.take_while(|&&b| part(b)).count();
        let n = s[a..].iter().take(41).take_while(|&&b| part(b)).count();
        let value = s.get(a..a + n)?;
        let mixed = n == 40
            && !part(self.before(a))
            && value.iter().any(u8::is_ascii_lowercase)
            && value.iter().any(u8::is_ascii_uppercase)
            && value.iter().any(u8::is_ascii_digit)
            && checks::entropy(value) >= 4.2;
        if !mixed {
            return None;
        }
        let c = self.context(a, a + n);
        if (c.near | c.far) & AWS == 0 {
            return None;
        }
        self.put(a, a + n, Entity::AwsSecretKey, 90, true);
        Some(a + n)
    }

    /// `my password is Winter2024!`: the value at `a`, told in prose.
    pub(in super::super) fn told(&mut self, a: usize) -> Option<usize> {
        const VERBS: &[&str] = &["is", "was", "est", "هي", "هو", "كان"];
        const PASSWORDS: &[&str] = &[
            "password",
            "passwd",
            "credentials",
            "mot de passe",
            "كلمة المرور",
            "كلمة السر",
            "كلمة مرور",
            "الرقم السري",
            "mdp",
        ];
        const NAMES: &[&[u8]] = &[
            b"_key",
            b"_secret",
            b"_token",
            b"password",
            b"passwd",
            b"passphrase",
            b"passcode",
            b"credentials",
            b"api key",
            b"secret key",
        ];
        if !self.wants(Entity::GenericSecret) || self.before(a) != b' ' {
            return None;
        }
        let s = self.s;
        let mut e = a;
        while e < s.len() && e - a < 300 && s[e].is_ascii_graphic() && !matches!(s[e], b'"' | b'`')
        {
            e += 1;
        }
        // Nothing shorter is a secret, and most words are.
        if e - a < 8 {
            return None;
        }
        let verb_from = words_back(s, a, 1);
        let verb = s[verb_from..a].trim_ascii();
        let is = VERBS
            .iter()
            .any(|v| verb.eq_ignore_ascii_case(v.as_bytes()));
        let made = machine_made(&s[a..e]);
        // `login bob password 5ad9fd8f...`: of letters and digits alone only with the name right before.
        let drawn = !made && drawn(&s[a..e]);
        if !is && !made && !drawn {
            return None;
        }
        let stop = if is { verb_from } else { a };
        let said = s[stop.saturating_sub(48)..stop].trim_ascii_end();
        // `password for the server is`: words between are fine if nobody would write the value as prose.
        let phrases = PHRASES.iter().map(|w| w.as_bytes());
        let names = NAMES.iter().copied().chain(phrases);
        let keyword = (is || drawn) && names.into_iter().any(|w| ends_ci(said, w))
            || made && PASSWORDS.iter().any(|w| contains_ci(said, w.as_bytes()));
        if !keyword {
            return None;
        }
        // A Telegram token has a rule of its own.
        if let Some(colon) = s[a..e].iter().position(|&b| b == b':')
            && let Some(end) = self.bot_token(a + colon)
        {
            return Some(end);
        }
        if s[..e].ends_with(b"**") {
            e -= 2;
        }
        while e > a && matches!(s[e - 1], b'.' | b',' | b'?' | b':' | b';' | b')') {
            e -= 1;
        }
        if !plausible_secret(&s[a..e], true, false) {
            return None;
        }
        self.put(a, e, Entity::GenericSecret, 80, true);
        Some(e)
    }
}

/// Whether a cell of a table, as a whole, names a credential: `api_key`, `Mot de passe`, `كلمة المرور`.
pub(super) fn names_a_secret(cell: &[u8]) -> bool {
    let name = cell.trim_ascii();
    let name = name.strip_prefix(b"\"").unwrap_or(name);
    let name = name.strip_suffix(b"\"").unwrap_or(name);
    if name.len() > 40 || !may_name(name) {
        return false;
    }
    let end = |word: &&[u8]| ends_ci(name, word) || ends_ci(name, &[word, &b"s"[..]].concat());
    KEYWORDS.iter().any(end) || PHRASES.iter().any(|w| ends_ci(name, w.as_bytes()))
}

/// The name beside a `value` that begins at `at`: that of `name: X` or `key="X"` right before it.
fn sibling(s: &[u8], at: usize) -> Option<(usize, usize)> {
    let floor = at.saturating_sub(80);
    let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let gap = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b',' | b'-');
    let sign = |b: &u8| gap(b) || matches!(b, b':' | b'=');
    let to = floor + s[floor..at].iter().rposition(|b| !gap(b))? + 1;
    let from = floor + s[floor..to].iter().rposition(|b| !part(b))? + 1;
    let label = floor + s[floor..from].iter().rposition(|b| !sign(b))? + 1;
    let label = s[floor..label].trim_ascii_end();
    let named = [&b"name"[..], b"key"].iter().any(|w| ends_ci(label, w));
    (named && from < to).then_some((from, to))
}

/// Whether a keyword, ending or phrase can be in `words` at all: three letters of each, or any letter
/// beyond ASCII. Nine of ten colons stand behind something else.
fn may_name(words: &[u8]) -> bool {
    const PARTS: &[&[u8; 3]] = &[
        b"pas", b"pwd", b"sec", b"tok", b"key", b"cre", b"bea", b"aut", b"sig", b"ken", b"ras",
        b"mdp", b"jet", b"pat", b"mot",
    ];
    let [.., p, w] = words else { return false };
    if p.eq_ignore_ascii_case(&b'p') && w.eq_ignore_ascii_case(&b'w') {
        return true;
    }
    !words.is_ascii()
        || words.windows(3).any(|w| {
            let w = [w[0] | 0x20, w[1] | 0x20, w[2] | 0x20];
            PARTS.iter().any(|p| **p == w)
        })
}

fn words_back(s: &[u8], from: usize, n: usize) -> usize {
    let mut a = from;
    for _ in 0..n {
        let mut b = a;
        while b > 0 && s[b - 1] == b' ' && a - b < 2 {
            b -= 1;
        }
        let stop = b;
        while b > 0 && stop - b < 24 && (s[b - 1].is_ascii_alphanumeric() || s[b - 1] >= 0x80) {
            b -= 1;
        }
        if b == stop || stop == a {
            break;
        }
        a = b;
    }
    a
}

fn contains_ci(hay: &[u8], needle: &[u8]) -> bool {
    hay.len() >= needle.len()
        && hay
            .windows(needle.len())
            .any(|w| w.eq_ignore_ascii_case(needle))
}

fn ends_ci(hay: &[u8], needle: &[u8]) -> bool {
    hay.len() >= needle.len() && hay[hay.len() - needle.len()..].eq_ignore_ascii_case(needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyword_is_overlooked() {
        let names = KEYWORDS.iter().chain(ENDINGS).copied();
        for name in names.chain(PHRASES.iter().map(|p| p.as_bytes())) {
            assert!(may_name(&[b"my", name].concat()), "{name:?}");
            assert!(may_name(&name.to_ascii_uppercase()), "{name:?}");
        }
        assert!(!may_name(b"level") && !may_name(b"ts") && !may_name(b""));
    }
}
