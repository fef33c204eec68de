//! Credentials: by vendor prefix, by structure (JWT, PEM), or by what they are assigned to.
//!
//! Facts (prefixes, lengths) are those that vendors and public rule sets publish; nothing is verified
//! over a network. Everything found here is checked structure, except generic assignments, which ask
//! for entropy.

use super::checks;
use super::context::AWS;
use super::entity::Entity;
use super::net::placeholder;
use super::scan::Scanner;

/// A prefix and the run of characters that must follow it.
struct Rule {
    prefix: &'static [u8],
    /// Fewest and most characters after the prefix.
    len: (usize, usize),
    set: Set,
    entity: Entity,
}

#[derive(Clone, Copy)]
enum Set {
    /// `[A-Z2-7]`
    Base32,
    /// `[A-Za-z0-9]`
    Alnum,
    /// `[A-Za-z0-9_-]`
    Url,
    /// `[A-Za-z0-9_.-]`
    Dotted,
    /// `[A-Za-z0-9+/=]`
    Base64,
    Hex,
}

impl Set {
    const fn has(self, b: u8) -> bool {
        match self {
            Set::Base32 => matches!(b, b'A'..=b'Z' | b'2'..=b'7'),
            Set::Alnum => b.is_ascii_alphanumeric(),
            Set::Url => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
            Set::Dotted => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
            Set::Base64 => b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='),
            Set::Hex => b.is_ascii_hexdigit(),
        }
    }
}

const fn rule(prefix: &'static str, min: usize, max: usize, set: Set, entity: Entity) -> Rule {
    Rule {
        prefix: prefix.as_bytes(),
        len: (min, max),
        set,
        entity,
    }
}

/// Sorted by first byte, so that a word is compared with the few rules it can match.
static RULES: &[Rule] = &[
    rule("AKIA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("ASIA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("ABIA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("ACCA", 16, 16, Set::Base32, Entity::AwsAccessKey),
    rule("A3T", 17, 17, Set::Alnum, Entity::AwsAccessKey),
    rule("AIza", 35, 35, Set::Url, Entity::GoogleApiKey),
    rule("AGE-SECRET-KEY-1", 58, 58, Set::Alnum, Entity::PrivateKey),
    rule("ABSK", 100, 160, Set::Base64, Entity::ApiKey),
    rule("A3-", 30, 50, Set::Url, Entity::ApiKey),
    rule("EAACEdEose0cBA", 20, 300, Set::Alnum, Entity::ApiKey),
    rule("GOCSPX-", 28, 28, Set::Url, Entity::GoogleApiKey),
    rule("NRAK-", 27, 27, Set::Alnum, Entity::ApiKey),
    rule("PMAK-", 59, 59, Set::Url, Entity::ApiKey),
    rule("SG.", 60, 70, Set::Dotted, Entity::SendgridKey),
    rule("SK", 32, 32, Set::Hex, Entity::ApiKey),
    rule("dapi", 32, 34, Set::Url, Entity::ApiKey),
    rule("dckr_pat_", 20, 40, Set::Url, Entity::ApiKey),
    rule("doo_v1_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("dop_v1_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("dor_v1_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("dp.pt.", 40, 44, Set::Alnum, Entity::ApiKey),
    rule("dp.st.", 40, 80, Set::Dotted, Entity::ApiKey),
    rule("figd_", 40, 44, Set::Url, Entity::ApiKey),
    rule("ghp_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("gho_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("ghu_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("ghs_", 36, 36, Set::Alnum, Entity::GithubToken),
    rule("ghr_", 36, 76, Set::Alnum, Entity::GithubToken),
    rule("github_pat_", 82, 82, Set::Url, Entity::GithubToken),
    rule("glpat-", 20, 60, Set::Dotted, Entity::GitlabToken),
    rule("glptt-", 40, 40, Set::Url, Entity::GitlabToken),
    rule("gldt-", 20, 20, Set::Url, Entity::GitlabToken),
    rule("glrt-", 20, 50, Set::Dotted, Entity::GitlabToken),
    rule("glcbt-", 20, 40, Set::Url, Entity::GitlabToken),
    rule("glc_", 32, 400, Set::Base64, Entity::ApiKey),
    rule("glsa_", 41, 41, Set::Url, Entity::ApiKey),
    rule("gsk_", 52, 52, Set::Alnum, Entity::ApiKey),
    rule("hf_", 30, 40, Set::Alnum, Entity::HuggingfaceToken),
    rule("hvb.", 130, 300, Set::Url, Entity::ApiKey),
    rule("hvs.", 24, 120, Set::Url, Entity::ApiKey),
    rule("lin_api_", 40, 40, Set::Alnum, Entity::ApiKey),
    rule("npm_", 36, 36, Set::Alnum, Entity::NpmToken),
    rule("nvapi-", 60, 70, Set::Url, Entity::ApiKey),
    rule("ntn_", 43, 50, Set::Alnum, Entity::ApiKey),
    rule("ops_eyJ", 150, 2000, Set::Base64, Entity::ApiKey),
    rule("pk_live_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("pplx-", 48, 48, Set::Alnum, Entity::ApiKey),
    rule("pul-", 40, 40, Set::Hex, Entity::ApiKey),
    rule(
        "pypi-AgEIcHlwaS5vcmc",
        50,
        1000,
        Set::Url,
        Entity::PypiToken,
    ),
    rule("r8_", 37, 37, Set::Url, Entity::ApiKey),
    rule("rk_live_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("rk_prod_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("rk_test_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("rubygems_", 48, 48, Set::Hex, Entity::ApiKey),
    rule("secret_", 43, 43, Set::Alnum, Entity::ApiKey),
    rule("shpat_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("shpca_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("shppa_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("shpss_", 32, 32, Set::Hex, Entity::ApiKey),
    rule("sk-ant-", 60, 140, Set::Url, Entity::AnthropicKey),
    rule("sk-or-v1-", 64, 64, Set::Hex, Entity::ApiKey),
    rule("sk-proj-", 20, 200, Set::Url, Entity::OpenaiKey),
    rule("sk-svcacct-", 20, 200, Set::Url, Entity::OpenaiKey),
    rule("sk-admin-", 20, 200, Set::Url, Entity::OpenaiKey),
    rule("sk-", 32, 64, Set::Alnum, Entity::OpenaiKey),
    rule("sk_live_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("sk_prod_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("sk_test_", 10, 120, Set::Alnum, Entity::StripeKey),
    rule("sntrys_", 60, 300, Set::Base64, Entity::ApiKey),
    rule("sntryu_", 64, 64, Set::Hex, Entity::ApiKey),
    rule("tskey-", 20, 70, Set::Url, Entity::ApiKey),
    rule("whsec_", 32, 64, Set::Base64, Entity::StripeKey),
    rule("xai-", 80, 80, Set::Alnum, Entity::ApiKey),
    rule("xapp-", 20, 160, Set::Url, Entity::SlackToken),
    rule("xoxa-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxb-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxe-", 20, 250, Set::Url, Entity::SlackToken),
    rule("xoxe.xox", 20, 250, Set::Dotted, Entity::SlackToken),
    rule("xoxp-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxr-", 20, 120, Set::Url, Entity::SlackToken),
    rule("xoxs-", 20, 120, Set::Url, Entity::SlackToken),
    rule("ya29.", 30, 500, Set::Url, Entity::GoogleApiKey),
];

/// First rule of each first byte; `RULES.len()` where there is none.
static FIRST: [u8; 128] = {
    let mut t = [RULES.len() as u8; 128];
    let mut i = RULES.len();
    while i > 0 {
        i -= 1;
        t[RULES[i].prefix[0] as usize] = i as u8;
    }
    t
};

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
    b"sharedaccesskey",
    b"sig",
    b"master_key",
    b"service_key",
    b"session_key",
    b"license_key",
    b"deploy_key",
    b"webhook_key",
    b"api key",
    b"access key",
    b"secret key",
];

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
    "مفتاح api",
    "المفتاح السري",
    "الرمز السري",
];

impl Scanner<'_> {
    /// A credential with a known beginning at `a`; returns its end.
    pub(super) fn secret(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let rest = &s[a..];
        let first = *rest.first()?;
        if first >= 128 || self.before(a) == b'_' {
            return None;
        }
        if first == b'e' && rest.starts_with(b"eyJ") {
            return self.jwt(a);
        }
        let mut i = usize::from(FIRST[usize::from(first)]);
        while let Some(r) = RULES.get(i).filter(|r| r.prefix[0] == first) {
            i += 1;
            if !rest.starts_with(r.prefix) {
                continue;
            }
            let body = &rest[r.prefix.len()..];
            let mut n = body
                .iter()
                .take(r.len.1 + 1)
                .take_while(|&&b| r.set.has(b))
                .count();
            while n > 0 && matches!(body[n - 1], b'.' | b'-') && n <= r.len.1 {
                n -= 1;
            }
            if n < r.len.0 || n > r.len.1 || body.get(n).is_some_and(u8::is_ascii_alphanumeric) {
                continue;
            }
            let value = &body[..n];
            // Documentation writes AKIA...EXAMPLE and xxxx: nobody's key.
            if value.ends_with(b"EXAMPLE") || checks::entropy(value) < 2.2 {
                continue;
            }
            if r.prefix == b"sk-" && !value.iter().any(u8::is_ascii_digit) {
                continue;
            }
            let end = a + r.prefix.len() + n;
            self.put(a, end, r.entity, 97, true);
            return Some(end);
        }
        None
    }

    /// Three base64url parts of which the first is a JSON header that names its algorithm.
    fn jwt(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let run = |from: usize| {
            let mut e = from;
            while e < s.len() && e - from < 16_384 && Set::Url.has(s[e]) {
                e += 1;
            }
            e
        };
        let h = run(a);
        if self.at(h) != b'.' {
            return None;
        }
        let p = run(h + 1);
        if p - h < 5 || self.at(p) != b'.' {
            return None;
        }
        let e = run(p + 1);
        if !header_names_alg(&s[a..h]) {
            return None;
        }
        // An unsigned token ends at its second dot.
        let end = if e > p + 1 { e } else { p + 1 };
        self.put(a, end, Entity::Jwt, 97, true);
        Some(end)
    }

    /// A `-`: a PEM block, or a lower-case prefix such as `sk-`.
    pub(super) fn dash(&mut self, at: usize) -> usize {
        let s = self.s;
        if s[at..].starts_with(b"-----BEGIN ") {
            return self.pem(at);
        }
        self.punctuated_secret(at)
    }

    /// A lower-case word in front of `-`, `_` or `.` that begins a known credential.
    pub(super) fn punctuated_secret(&mut self, at: usize) -> usize {
        let mut a = at;
        while a > self.floor && at - a < 12 && self.s[a - 1].is_ascii_alphanumeric() {
            a -= 1;
        }
        if a == at || self.before(a).is_ascii_alphanumeric() && !self.view.gap_at(a) {
            return at + 1;
        }
        self.secret(a).unwrap_or(at + 1)
    }

    /// From `-----BEGIN ... PRIVATE KEY-----` to its end line, or as far as base64 goes.
    fn pem(&mut self, at: usize) -> usize {
        let s = self.s;
        let rest = &s[at..];
        let line = rest
            .iter()
            .take(80)
            .position(|&b| b == b'\n')
            .unwrap_or(rest.len().min(80));
        let title = &rest[..line];
        let private = find(title, b"PRIVATE KEY");
        let Some(_) = private else { return at + 5 };
        let from = at + 11;
        let end = match find(&s[from..], b"-----END ") {
            Some(e) => {
                let tail = from + e + 9;
                let close = find(&s[tail..s.len().min(tail + 64)], b"-----");
                close.map_or(tail, |c| tail + c + 5)
            }
            None => {
                let mut e = at + line;
                while e < s.len()
                    && (Set::Base64.has(s[e])
                        || matches!(s[e], b'\n' | b'\r' | b' ' | b'\\' | b'-'))
                {
                    e += 1;
                }
                e
            }
        };
        self.put(at, end, Entity::PrivateKey, 99, true);
        end
    }

    /// `keyword = value` or `keyword: value` around the operator at `at`.
    pub(super) fn assignment(&mut self, at: usize) -> usize {
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
                && self.before(at) != b':'
        {
            return next;
        }
        let mut k = at;
        while k > 0
            && at - k < 3
            && matches!(s[k - 1], b' ' | b'"' | b'\'' | b'`' | b'*' | b':' | b']')
        {
            k -= 1;
        }
        let stop = k;
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
        // Two more words of prose: `API key:`, `mot de passe :`.
        let phrase_from = words_back(s, k, 2);
        let key = &s[k..stop];
        let keyword = KEYWORDS.iter().any(|w| contains_ci(key, w)) || {
            let phrase = &s[phrase_from..stop];
            KEYWORDS
                .iter()
                .filter(|w| w.contains(&b' '))
                .any(|w| contains_ci(phrase, w))
                || PHRASES.iter().any(|w| ends_ci(phrase, w.as_bytes()))
        };
        if !keyword && !ends_ci(key, b"key") {
            return next;
        }
        let mut v = next;
        while v < s.len()
            && v - next < 4
            && matches!(
                s[v],
                b' ' | b'"' | b'\'' | b'`' | b'\t' | b'=' | b'>' | b'*'
            )
        {
            v += 1;
        }
        for scheme in [&b"Bearer "[..], b"bearer ", b"Basic ", b"basic ", b"Token "] {
            if s[v..].starts_with(scheme) {
                v += scheme.len();
            }
        }
        let quote = self.before(v);
        let quoted = matches!(quote, b'"' | b'\'' | b'`');
        let query = self.s[at] == b'=' && matches!(self.before(k), b'?' | b'&');
        let mut e = v;
        while e < s.len() && e - v < 400 && s[e].is_ascii_graphic() {
            match s[e] {
                b'"' | b'\'' | b'`' | b'<' | b'>' => break,
                b'&' if query => break,
                b',' | b';' | b')' | b'}' | b']' if !quoted => break,
                b if quoted && b == quote => break,
                _ => e += 1,
            }
        }
        while e > v && !quoted && matches!(s[e - 1], b'.' | b',' | b'!' | b'?' | b':') {
            e -= 1;
        }
        let value = &s[v..e];
        let letters = query && keyword && mixed_letters(value);
        if !letters && !plausible_secret(value, keyword, query || quoted) {
            return next;
        }
        let aws = value.len() == 40
            && value.iter().all(|&b| Set::Base64.has(b))
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
}

/// A value of a URL's secret parameter without any digit: both cases, and not a word.
fn mixed_letters(v: &[u8]) -> bool {
    v.len() >= 12
        && !placeholder(v)
        && v.iter().filter(|b| b.is_ascii_uppercase()).count() >= 3
        && v.iter().any(u8::is_ascii_lowercase)
        && checks::entropy(v) >= 2.8
}

/// Whether a value looks made by a machine or chosen as a password, rather than written as prose.
fn plausible_secret(v: &[u8], keyword: bool, marked: bool) -> bool {
    if !(8..=300).contains(&v.len())
        || placeholder(v)
        || v.windows(2).any(|w| w == b"()" || w == b"](" || w == b"//")
    {
        return false;
    }
    // Names of other variables, and the pseudonyms of an earlier turn.
    if v.windows(4)
        .any(|w| w.eq_ignore_ascii_case(b"env.") || w.eq_ignore_ascii_case(b"env[") || w == b"PII_")
        || v.contains(&b'(') && !marked
    {
        return false;
    }
    let digit = v.iter().any(u8::is_ascii_digit);
    let lower = v.iter().any(u8::is_ascii_lowercase);
    let upper = v.iter().any(u8::is_ascii_uppercase);
    let symbol = v
        .iter()
        .any(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'.' | b'-' | b'_' | b'/'));
    let kinds = u8::from(digit) + u8::from(lower) + u8::from(upper) + u8::from(symbol);
    let bits = checks::entropy(v);
    // Only digits: a number that happens to be called a key.
    if !lower && !upper && !symbol {
        return false;
    }
    let strong = if v.len() < 14 {
        bits >= 2.6 && digit && kinds >= 2
    } else {
        bits >= 3.0 && (digit || (kinds >= 2 && bits >= 3.6))
    };
    strong && (keyword || (marked && bits >= 3.5 && v.len() >= 20))
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(i) = hay.get(from..)?.iter().position(|&b| b == first) {
        if hay[from + i..].starts_with(needle) {
            return Some(from + i);
        }
        from += i + 1;
    }
    None
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

/// Decodes enough base64url to see `"alg"` in a JSON header.
fn header_names_alg(part: &[u8]) -> bool {
    let mut out = Vec::with_capacity(part.len().min(1024));
    let (mut acc, mut bits) = (0u32, 0);
    for &b in part.iter().take(1024) {
        let v = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return false,
        };
        acc = (acc << 6 | u32::from(v)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((acc >> bits & 0xff) as u8);
        }
    }
    out.starts_with(b"{") && find(&out, b"\"alg\"").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_grouped_by_first_byte() {
        assert!(RULES.windows(2).all(|w| w[0].prefix[0] <= w[1].prefix[0]));
        assert!(RULES.len() < 128);
    }
}
