//! E-mail addresses (RFC 5322, without comments), in any script, and with `%40` inside URLs.

use super::entity::Entity;
use super::scan::Scanner;

const fn local(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'.' | b'_' | b'+' | b'-' | b'\'' | b'~' | b'!' | b'#' | b'$' | b'&'
        )
}

/// Whether the `%` at `i` escapes a character of a URL; in an address it may stand for itself.
fn escape(s: &[u8], i: usize) -> bool {
    s.get(i + 1..i + 3)
        .is_none_or(|hex| hex.iter().all(u8::is_ascii_hexdigit))
}

/// Whether the byte at `i` belongs to an Arabic letter: Latin and Arabic never share a label.
fn arabic(s: &[u8], i: usize) -> bool {
    let mut j = i;
    while j > 0 && s[j] & 0xC0 == 0x80 {
        j -= 1;
    }
    matches!(s[j], 0xD8..=0xDB) || s[j] == 0xEF
}

/// Endings that are files, not domains: `icon@2x.png`.
const FILES: &[&[u8]] = &[
    b"png",
    b"jpg",
    b"jpeg",
    b"gif",
    b"svg",
    b"webp",
    b"js",
    b"ts",
    b"jsx",
    b"tsx",
    b"css",
    b"scss",
    b"json",
    b"html",
    b"htm",
    b"xml",
    b"txt",
    b"pdf",
    b"exe",
    b"dll",
    b"yml",
    b"yaml",
    b"toml",
    b"lock",
    b"tgz",
    b"gz",
    b"whl",
    b"jar",
    b"class",
    b"java",
    b"cpp",
    b"service",
    b"target",
    b"local",
    b"localhost",
    b"internal",
    b"bin",
    b"csv",
    b"log",
    b"map",
    b"mjs",
    b"tar",
    b"php",
];

impl Scanner<'_> {
    /// An e-mail address around the `@` at `at`.
    pub(super) fn email(&mut self, at: usize) -> usize {
        self.address(at, at + 1)
    }

    /// `%40`, an `@` inside a URL.
    pub(super) fn encoded_at(&mut self, at: usize) -> usize {
        if self.s.get(at..at + 3) == Some(b"%40") {
            self.address(at, at + 3)
        } else {
            at + 1
        }
    }

    fn address(&mut self, at: usize, host: usize) -> usize {
        let s = self.s;
        // Domain: labels with dots; ASCII and other letters do not mix within a label's script.
        let mut end = host;
        let (mut dot, mut dots) = (host, 0);
        while end < s.len() && end - host < 254 {
            let b = s[end];
            if b == b'.' {
                if end == dot
                    || !s
                        .get(end + 1)
                        .is_some_and(|&n| n.is_ascii_alphanumeric() || n >= 0x80)
                {
                    break;
                }
                // A full stop glued to the next sentence's Arabic word.
                if arabic(s, end + 1) && !arabic(s, end - 1) && dots > 0 {
                    break;
                }
                dots += 1;
                dot = end + 1;
            } else if b >= 0x80 {
                if end > dot && arabic(s, end) != arabic(s, end - 1)
                    || b >= 0xC0 && unicode_punctuation(&s[end..])
                {
                    break;
                }
            } else if !(b.is_ascii_alphanumeric() || b == b'-') || (end > dot && arabic(s, end - 1))
            {
                break;
            }
            end += 1;
        }
        while end > host && matches!(s[end - 1], b'-' | b'.') {
            end -= 1;
        }
        if dots == 0 || end <= dot {
            return host;
        }
        let tld = &s[dot..end];
        let letters = tld.iter().all(u8::is_ascii_alphabetic) && (2..=24).contains(&tld.len());
        let puny = tld.len() > 4 && tld[..4].eq_ignore_ascii_case(b"xn--");
        let foreign = tld[0] >= 0x80 && tld.len() >= 4;
        if !(letters || puny || foreign) || FILES.iter().any(|f| f.eq_ignore_ascii_case(tld)) {
            return host;
        }
        // `"john doe"@example.com` (RFC 5322, 3.4.1).
        if self.before(at) == b'"' && self.wants(Entity::Email) {
            let inner = &s[at.saturating_sub(66)..at - 1];
            let quoted = inner.iter().rev().take_while(|&&b| b != b'"' && b != b'\n');
            let n = quoted.count();
            let open = at - 1 - n;
            if (1..=64).contains(&n)
                && n < inner.len()
                && self.before(open) == b'"'
                && self.opens(open - 1)
            {
                self.put(open - 1, end, Entity::Email, 90, true);
                return end;
            }
        }
        // Local part, backwards. Where the script changes the address begins.
        let mut a = at;
        let floor = at.saturating_sub(96);
        let mut script = None;
        while a > floor {
            let b = s[a - 1];
            if b < 0x80 && !(local(b) || b == b'%' && !escape(s, a - 1))
                || (b >= 0x80 && unicode_tail_punctuation(s, a))
            {
                break;
            }
            if b.is_ascii_alphanumeric() || b >= 0x80 {
                let this = arabic(s, a - 1);
                if *script.get_or_insert(this) != this {
                    break;
                }
            }
            a -= 1;
        }
        while a < at && !s.is_char_boundary_at(a) {
            a += 1;
        }
        while a < at && s[a] < 0x80 && !s[a].is_ascii_alphanumeric() && s[a] != b'_' {
            a += 1;
        }
        if a == at || matches!(s[at - 1], b'.') || s[a..at].windows(2).any(|w| w == b"..") {
            return host;
        }
        if at - a > 64 || (&s[a..at] == b"git" && self.at(end) == b':') {
            return host;
        }
        if !self.wants(Entity::Email) {
            return end;
        }
        self.put(a, end, Entity::Email, 95, true);
        end
    }
}

/// Whether the character that starts here is general or Arabic punctuation.
fn unicode_punctuation(s: &[u8]) -> bool {
    matches!(
        s,
        // Punctuation, arrows, signs and pictures, and what chooses a picture's look.
        [0xE2, 0x80..=0xAF, ..]
            | [0xEF, 0xB8, 0x80..=0x8F, ..]
            | [0xD8, 0x8C | 0x9B | 0x9F, ..]
            | [0xC2, 0xAB | 0xBB, ..]
            | [0xE3, 0x80, ..]
            | [0xEF, 0xBC, ..]
            | [0xF0, ..]
    )
}

/// Whether the character that ends before `a` is punctuation or an emoji.
fn unicode_tail_punctuation(s: &[u8], a: usize) -> bool {
    let mut b = a - 1;
    while b > 0 && s[b] & 0xC0 == 0x80 {
        b -= 1;
    }
    unicode_punctuation(&s[b..])
}

trait CharBoundary {
    fn is_char_boundary_at(&self, i: usize) -> bool;
}

impl CharBoundary for [u8] {
    fn is_char_boundary_at(&self, i: usize) -> bool {
        self.get(i).is_none_or(|b| b & 0xC0 != 0x80)
    }
}
