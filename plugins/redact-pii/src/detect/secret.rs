//! Credentials: by vendor prefix, by structure (JWT, PEM), or by what they are assigned to.
//!
//! Facts (prefixes, lengths) are those that vendors and public rule sets publish; nothing is verified
//! over a network. Everything found here is checked structure, except generic assignments, which ask
//! for entropy.

mod assigned;
mod cell;
mod command;
mod shape;
mod vendors;

pub(super) use cell::neighbour;

use super::checks;
use super::entity::Entity;
use super::scan::Scanner;
use vendors::{FIRST, RULES, Set};

impl Scanner<'_> {
    /// A credential with a known beginning at `a`; returns its end.
    pub(super) fn secret(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let rest = &s[a..];
        let first = *rest.first()?;
        if first >= 128 || self.before(a) == b'_' {
            return None;
        }
        if first == b'e'
            && rest.starts_with(b"eyJ")
            && let Some(end) = self.jwt(a)
        {
            return Some(end);
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
                .enumerate()
                .take_while(|&(k, &b)| r.set.has(b) && self.part(a + r.prefix.len() + k))
                .count();
            // A full stop ends the sentence; one dash may be the last character of base64url.
            let dashes = body[..n].ends_with(b"--");
            while n > 0 && n <= r.len.1 && (body[n - 1] == b'.' || dashes && body[n - 1] == b'-') {
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

    /// Whether the character at `i` can be of a credential: an en or em dash, a `-` of the view, is around one.
    fn part(&self, i: usize) -> bool {
        self.s[i] != b'-' || self.view.literal(i)
    }

    /// Three base64url parts of which the first is a JSON header that names its algorithm.
    fn jwt(&mut self, a: usize) -> Option<usize> {
        let s = self.s;
        let run = |from: usize| {
            let mut e = from;
            while e < s.len() && e - from < 16_384 && Set::Url.has(s[e]) && self.part(e) {
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
        if self.at(at) == b'.'
            && let Some(end) = self.discord(at)
        {
            return end;
        }
        if a == at || self.before(a).is_ascii_alphanumeric() && !self.view.gap_at(a) {
            return at + 1;
        }
        // `ca-83-b1-...`, whose first pair has no digit to stop at.
        self.secret(a)
            .or_else(|| self.mac_dashed(a, at))
            .unwrap_or(at + 1)
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
}

impl Scanner<'_> {
    /// A Telegram bot's `123456789:AA...` around the `:` at `at`.
    pub(super) fn bot_token(&mut self, at: usize) -> Option<usize> {
        let s = self.s;
        let digits = s[..at]
            .iter()
            .rev()
            .take(11)
            .take_while(|b| b.is_ascii_digit())
            .count();
        let body = s[at + 1..]
            .iter()
            .take(37)
            .take_while(|&&b| Set::Url.has(b))
            .count();
        let start = at - digits;
        // In a URL the word `bot` stands before it.
        let opens = self.opens(start) || s[..start].ends_with(b"bot");
        let machine_made = (8..=10).contains(&digits)
            && (33..=36).contains(&body)
            && opens
            && checks::entropy(&s[at + 1..at + 1 + body]) >= 3.5;
        machine_made.then(|| {
            self.put(start, at + 1 + body, Entity::ApiKey, 92, true);
            at + 1 + body
        })
    }

    /// The part of a webhook's URL that lets anybody post: all behind the name of the service.
    pub(super) fn webhook(&mut self, from: usize, end: usize) -> Option<usize> {
        const SERVICES: &[(&str, Entity)] = &[
            ("hooks.slack.com/services/", Entity::SlackToken),
            ("hooks.slack.com/workflows/", Entity::SlackToken),
            ("discord.com/api/webhooks/", Entity::ApiKey),
            ("discordapp.com/api/webhooks/", Entity::ApiKey),
        ];
        let url = &self.s[from..end];
        let (service, entity) = SERVICES
            .iter()
            .find(|(s, _)| url.starts_with(s.as_bytes()))?;
        let path = from + service.len();
        let token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_');
        let stop = path + self.s[path..end].iter().take_while(|b| token(b)).count();
        if stop - path < 20 {
            return None;
        }
        self.put(path, stop, *entity, 95, true);
        Some(stop)
    }

    /// A Discord bot's three base64url parts around its first full stop.
    fn discord(&mut self, at: usize) -> Option<usize> {
        let s = self.s;
        let run = |from: usize| {
            s[from..]
                .iter()
                .take(48)
                .take_while(|&&b| Set::Url.has(b))
                .count()
        };
        let head = s[..at]
            .iter()
            .rev()
            .take(32)
            .take_while(|&&b| Set::Url.has(b))
            .count();
        let start = at - head;
        if !(23..=28).contains(&head) || !matches!(s[start], b'M' | b'N' | b'O') || run(at + 1) != 6
        {
            return None;
        }
        let second = at + 7;
        let tail = if self.at(second) == b'.' {
            run(second + 1)
        } else {
            0
        };
        (27..=40).contains(&tail).then(|| {
            self.put(start, second + 1 + tail, Entity::ApiKey, 92, true);
            second + 1 + tail
        })
    }
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
