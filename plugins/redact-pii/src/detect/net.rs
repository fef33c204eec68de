//! Addresses on networks: IP, MAC, UUID, and the secret parts of URLs.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::context::{MACADDR, NEG, VERSION};
use super::entity::Entity;
use super::group::Group;
use super::scan::Scanner;

impl Scanner<'_> {
    /// Dotted quads; true when the group was one.
    pub(super) fn ipv4(&mut self, g: &Group) -> bool {
        let mut found = false;
        for i in 0..g.n.saturating_sub(3) {
            let dotted = g.seps[i..i + 3].iter().all(|&b| b == b'.');
            if !dotted || (i..i + 4).any(|k| g.len(k) > 3 || g.number(k) > 255) {
                continue;
            }
            let tail = if i + 4 < g.n { g.seps[i + 3] } else { 0 };
            let head = if i > 0 { g.seps[i - 1] } else { 0 };
            // Five parts are an object identifier or a version.
            if tail == b'.'
                || head == b'.'
                || (0..4).any(|k| g.len(i + k) > 1 && self.s[g.chunks[i + k].0] == b'0')
            {
                continue;
            }
            let (start, mut end) = (g.chunks[i].0, g.chunks[i + 3].1);
            if i == 0
                && matches!(self.before(start), b'.' | b'-')
                && self.before(start - 1).is_ascii_alphanumeric()
            {
                continue;
            }
            let quad = Ipv4Addr::from([0, 1, 2, 3].map(|k| g.number(i + k) as u8));
            // Masks and this host identify nobody.
            if quad.is_unspecified() || quad == Ipv4Addr::LOCALHOST || quad.octets()[0] == 255 {
                found = true;
                continue;
            }
            if tail == b'/' && g.number(i + 4) <= 32 && g.len(i + 4) <= 2 {
                end = g.chunks[i + 4].1;
            }
            // `version 3.0.9.154`, `"version": "10.0.22.31"`.
            let named = quad.octets()[0] < 64 && {
                let before = &self.s[..start];
                let joins = |b: &u8| matches!(b, b' ' | b':' | b'=' | b'"' | b'\'');
                let n = before.iter().rev().take(4).take_while(|b| joins(b)).count();
                self.word_before(start - n) & VERSION != 0
            };
            let small = quad.octets().iter().all(|&o| o < 30);
            let version = small && self.context(start, end).near & (VERSION | NEG) != 0;
            found = true;
            if !version && !named && quad.octets()[0] != 0 {
                self.put(start, end, Entity::Ip, 92, true);
            }
        }
        found
    }

    /// `://`, an IPv6 or MAC address, or `keyword: secret`.
    pub(super) fn colon(&mut self, at: usize) -> usize {
        let s = self.s;
        if s.get(at + 1..at + 3) == Some(b"//") {
            return self.url(at);
        }
        if let Some(end) = self.bot_token(at).or_else(|| self.curl_user(at)) {
            return end;
        }
        let hexish = |b: u8| b.is_ascii_hexdigit() || b == b':';
        if hexish(self.at(at + 1))
            && (self.at(at + 1) == b':' || self.before(at).is_ascii_hexdigit())
            && let Some(end) = self.colons(at)
        {
            return end;
        }
        self.assignment(at)
    }

    fn colons(&mut self, at: usize) -> Option<usize> {
        let s = self.s;
        let part = |b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.';
        let mut a = at;
        while a > 0 && at - a < 40 && part(s[a - 1]) {
            a -= 1;
        }
        let mut b = at;
        while b < s.len() && b - at < 46 && part(s[b]) {
            b += 1;
        }
        while b > at && (s[b - 1] == b'.' || (s[b - 1] == b':' && b >= 2 && s[b - 2] != b':')) {
            b -= 1;
        }
        while a < at && (s[a] == b'.' || (s[a] == b':' && s[a + 1] != b':')) {
            a += 1;
        }
        // A label in front, some letters of which are hexadecimal: `MAC:a1:...`.
        if !self.opens(a)
            && let Some(cut) = s[a..at].iter().position(|&c| c == b':')
        {
            a += cut + 1;
        }
        if !self.opens(a) || !self.closes(b) {
            return None;
        }
        let w = &s[a..b];
        let text = std::str::from_utf8(w).ok()?;
        if w.len() == 17
            && w.iter().enumerate().all(|(i, &c)| {
                if i % 3 == 2 {
                    c == b':'
                } else {
                    c.is_ascii_hexdigit()
                }
            })
        {
            self.mac(a, b);
            return Some(b);
        }
        let colons = w.iter().filter(|&&c| c == b':').count();
        if colons < 2 {
            return None;
        }
        if let Ok(ip) = text.parse::<Ipv6Addr>() {
            let groups = w.split(|&c| c == b':').filter(|g| !g.is_empty()).count();
            if ip.is_loopback() || ip.is_unspecified() {
                return Some(b);
            }
            if groups >= 2 && (w.iter().any(u8::is_ascii_digit) || groups >= 4) {
                let mut end = b;
                if self.at(end) == b'%' {
                    let zone = self.word_end(end + 1);
                    end = if zone > end + 1 { zone } else { end };
                }
                if self.at(end) == b'/' {
                    let len = self.word_end(end + 1);
                    if (1..=3).contains(&(len - end - 1))
                        && s[end + 1..len].iter().all(u8::is_ascii_digit)
                    {
                        end = len;
                    }
                }
                self.put(a, end, Entity::Ip, 92, true);
                return Some(end);
            }
        }
        None
    }

    fn mac(&mut self, a: usize, b: usize) {
        let zero = self.s[a..b]
            .iter()
            .all(|&c| matches!(c, b'0' | b':' | b'-'))
            || self.s[a..b]
                .iter()
                .all(|&c| matches!(c, b'f' | b'F' | b':' | b'-'));
        if !zero {
            self.put(a, b, Entity::Mac, 90, true);
        }
    }

    /// `aa-bb-cc-dd-ee-ff` and `aabb.ccdd.eeff`, from the word at `a`.
    pub(super) fn mac_dashed(&mut self, a: usize, b: usize) -> Option<usize> {
        let s = self.s;
        if b - a == 2 && self.at(b) == b'-' {
            let w = s.get(a..a + 17)?;
            let shape = w.iter().enumerate().all(|(i, &c)| {
                if i % 3 == 2 {
                    c == b'-'
                } else {
                    c.is_ascii_hexdigit()
                }
            });
            if shape && self.closes(a + 17) && self.at(a + 17) != b'-' && self.before(a) != b'-' {
                let letters = w.iter().any(u8::is_ascii_alphabetic);
                if letters {
                    self.mac(a, a + 17);
                } else {
                    self.weigh((a, a + 17), Entity::Mac, 30, false, MACADDR, 0);
                }
                return Some(a + 17);
            }
        }
        if b - a == 4 && self.at(b) == b'.' {
            let w = s.get(a..a + 14)?;
            let shape = w.iter().enumerate().all(|(i, &c)| {
                if i % 5 == 4 {
                    c == b'.'
                } else {
                    c.is_ascii_hexdigit()
                }
            });
            let letters = w.iter().any(u8::is_ascii_alphabetic);
            let digits = w.iter().any(u8::is_ascii_digit);
            if shape && self.closes(a + 14) && letters && digits {
                self.put(a, a + 14, Entity::Mac, 80, true);
                return Some(a + 14);
            }
            if shape && digits && self.closes(a + 14) && self.opens(a) {
                self.weigh((a, a + 14), Entity::Mac, 15, false, MACADDR, 0);
            }
        }
        None
    }

    /// A UUID that begins with the eight-digit word `a..b`; returns its end.
    pub(super) fn uuid(&mut self, a: usize, b: usize) -> Option<usize> {
        if b - a != 8 || self.at(b) != b'-' {
            return None;
        }
        let w = self.s.get(a..a + 36)?;
        let shape = w.iter().enumerate().all(|(i, &c)| {
            if matches!(i, 8 | 13 | 18 | 23) {
                c == b'-'
            } else {
                c.is_ascii_hexdigit()
            }
        });
        if !shape || !self.closes(a + 36) {
            return None;
        }
        self.put(a, a + 36, Entity::Uuid, 90, true);
        Some(a + 36)
    }

    /// A URL whose `:` is at `at`: only its secrets are found, the host stays readable.
    fn url(&mut self, at: usize) -> usize {
        let s = self.s;
        let from = at + 3;
        let mut end = from;
        let mut slash = None;
        let mut sign = None;
        while end < s.len()
            && end - from < 4096
            && !matches!(
                s[end],
                b' ' | b'\n' | b'\t' | b'\r' | b'"' | b'\'' | b'<' | b'>' | b'`'
            )
        {
            if slash.is_none() {
                match s[end] {
                    b'/' | b'?' | b'#' => slash = Some(end),
                    b'@' => sign = Some(end),
                    _ => {}
                }
            } else if s[end] == b'@'
                && sign.is_none()
                && s[from..end].contains(&b':')
                && !s[from..end].contains(&b'?')
            {
                // A password with a slash in it, as people paste them.
                let host = &s[end + 1..(end + 64).min(s.len())];
                if slash.is_some_and(|p| s[from..p].contains(&b':') && !s[from..p].contains(&b'.'))
                    && host.contains(&b'.')
                {
                    sign = Some(end);
                }
            }
            end += 1;
        }
        if let Some(sign) = sign {
            let info = &s[from..sign];
            match info.iter().position(|&b| b == b':') {
                Some(c) if from + c + 1 < sign => {
                    let secret = &s[from + c + 1..sign];
                    // A vendor's own token says more than where it stands.
                    if !placeholder(secret) && self.secret(from + c + 1) != Some(sign) {
                        self.put(from + c + 1, sign, Entity::UrlCredentials, 95, true);
                    }
                }
                None if info.len() >= 20
                    && self.secret(from).is_none()
                    && info.iter().any(u8::is_ascii_digit) =>
                {
                    self.put(from, sign, Entity::UrlCredentials, 80, true);
                }
                _ => {}
            }
            return sign + 1;
        }
        if let Some(end) = self.webhook(from, end) {
            return end;
        }
        from
    }
}

/// Text that stands for a value instead of being one.
pub(super) fn placeholder(v: &[u8]) -> bool {
    v.is_empty()
        || v.starts_with(b"$")
        || v.starts_with(b"{")
        || v.starts_with(b"<")
        || v.strip_prefix(b"%").is_some_and(|v| {
            let name = v.strip_suffix(b"%").unwrap_or(v);
            name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_')
        })
        || v.starts_with(b"%(")
        || v.iter()
            .all(|&b| matches!(b, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'#'))
        || v.windows(2).any(|w| w == b"${" || w == b"{{")
        // As vendors' manuals write their keys.
        || v.ends_with(b"EXAMPLE")
        || v.ends_with(b"EXAMPLEKEY")
}
