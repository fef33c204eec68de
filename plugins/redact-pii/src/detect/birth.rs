//! Dates of birth: which of a text's dates its words about birth are said of.

use super::context::{self, BIRTH};
use super::entity::Entity;
use super::scan::Scanner;

/// How far back words are said of a date.
const WINDOW: usize = 120;

/// Elements that lay text out and name nothing.
const LAYOUT: &[&[u8]] = &[
    b"b", b"i", b"u", b"em", b"strong", b"span", b"td", b"th", b"tr", b"p", b"div", b"li", b"br",
    b"dd", b"a", b"font", b"small", b"string", b"value", b"time", b"date",
];

impl Scanner<'_> {
    /// Nominates a date of birth, if words say so of this very date.
    pub(super) fn birth(&mut self, span: (usize, usize)) {
        if !self.wants(Entity::DateOfBirth) || span.0 < self.dated.0 {
            return;
        }
        // A time behind it makes it a log's stamp, unless its own name says otherwise: no other words are read.
        if super::numeric::clock(self.s, span.1) {
            let before = &self.s[span.0.saturating_sub(48)..span.0];
            if label(before).is_some_and(names_birth) {
                self.put(span.0, span.1, Entity::DateOfBirth, 85, true);
            }
            return;
        }
        let c = self.context(span.0, span.1);
        let head = |scan: &Self| scan.column_head(span.0, span.1).map(context::words);
        let score = if (c.near | c.far) & BIRTH == 0 || self.stamps(span) {
            0
        } else if head(self).is_some_and(|words| words & BIRTH != 0) {
            85
        } else {
            self.born(span)
        };
        self.dated = (span.1, score > 0);
        if score > 0 {
            self.put(span.0, span.1, Entity::DateOfBirth, score, true);
        }
    }

    /// Whether a line begins with this date and a time: `[15/05/2025, 02:22:38] Youssef: ...` of an exported chat.
    fn stamps(&self, (start, end): (usize, usize)) -> bool {
        let line = start - usize::from(self.before(start) == b'[');
        let begins = matches!(self.before(line), 0 | b'\n');
        let time = self.s[end..].trim_ascii_start();
        let time = time.strip_prefix(b",").unwrap_or(time).trim_ascii_start();
        let hour = time.iter().take_while(|b| b.is_ascii_digit()).count();
        begins && (1..=2).contains(&hour) && time.get(hour) == Some(&b':')
    }

    /// How surely words before or behind make the date a birth. What was said before another date is about that
    /// one, and what stands behind a date may lead to the next: `12 May 2014, born on 3 June 1980`.
    fn born(&self, (start, end): (usize, usize)) -> u8 {
        let s = self.s;
        let c = context::before(s, start);
        let (last, was_birth) = self.dated;
        let since = last.max(start.saturating_sub(WINDOW));
        let since = (since..start)
            .find(|&i| s[i] & 0xC0 != 0x80)
            .unwrap_or(start);
        let between = &s[since..start];
        let sentence = context::last_sentence(between);
        let label = label(sentence);
        if (c.near | c.far) & BIRTH != 0 {
            // `DOB: 1/2/1990 and 3/4/1992`: a list goes on.
            let listed = last > 0 && since == last && was_birth && joins(between);
            if listed || names_birth(label.unwrap_or(sentence)) {
                return if c.near & BIRTH != 0 { 85 } else { 55 };
            }
        }
        if label.is_some() || context::after(s, end, context::speaks(c)) & BIRTH == 0 {
            return 0;
        }
        let behind = &s[end..s.len().min(end + 96)];
        let leads_on =
            context::ends_of_words(behind, BIRTH).is_some_and(|(i, _)| begins_date(&behind[i..]));
        if leads_on { 0 } else { 55 }
    }
}

/// Whether no more than a word for `and` stands between two dates.
fn joins(between: &[u8]) -> bool {
    let words = ["", ",", "and", "et", "&", "و", "،", ", and", "-"];
    words.iter().any(|w| w.as_bytes() == between.trim_ascii())
}

/// What names the date that follows, if something does: the words before a colon or an equals sign, or an element of
/// XML that is no layout.
fn label(before: &[u8]) -> Option<&[u8]> {
    let line = before.rsplit(|&b| b == b'\n').next()?;
    if let Some(tag) = line.strip_suffix(b">") {
        let name = &tag[tag.iter().rposition(|&b| b == b'<')? + 1..];
        let name = name.split(|b| b.is_ascii_whitespace()).next()?;
        let names = !name.starts_with(b"/") && !LAYOUT.iter().any(|w| w.eq_ignore_ascii_case(name));
        return names.then_some(name);
    }
    let quotes = |b: &u8| matches!(b, b' ' | b'"' | b'\'' | b'\t' | b'*' | b'`');
    let end = line.iter().rposition(|b| !quotes(b))?;
    if !matches!(line[end], b':' | b'=') {
        return None;
    }
    // `"placeOfBirth": "Tunis", "issued": "..."`: only what stands behind the last field.
    let ends_field = |i: &usize| {
        matches!(line[*i], b';' | b'{' | b'|' | b'&' | b'?')
            || line[*i] == b',' && *i > 0 && matches!(line[i - 1], b'"' | b'\'')
    };
    let from = (0..end).rev().find(ends_field).map_or(0, |i| i + 1);
    Some(&line[from..end])
}

/// Whether the text before a date says that it is a birth: a word for that, not the place of one, and no
/// year behind it, which is when it was then (`founded, born in 1998, it reports on 12 March 2024`).
fn names_birth(s: &[u8]) -> bool {
    let Some((_, end)) = context::ends_of_words(s, BIRTH) else {
        return false;
    };
    let year = s[end..]
        .split(|b| !b.is_ascii_alphanumeric())
        .any(|w| w.len() == 4 && w.iter().all(u8::is_ascii_digit) && matches!(w[0], b'1' | b'2'));
    // `مكان الميلاد`, `Place of birth`, but `Date et lieu de naissance`.
    let before = &s[..end];
    let word = before.iter().rposition(|&b| b == b' ').unwrap_or(0);
    let head = before[..word].trim_ascii_end().to_ascii_lowercase();
    let places = [
        "place of",
        "country of",
        "city of",
        "lieu de",
        "pays de",
        "ville de",
        "مكان",
        "محل",
        "بلد",
    ];
    let dates = ["date", "day", "تاريخ"];
    let place = places.iter().any(|p| head.ends_with(p.as_bytes()));
    let tail = &head[head.len().saturating_sub(28)..];
    let date = dates
        .iter()
        .any(|d| tail.windows(d.len()).any(|w| w == d.as_bytes()));
    !year && (!place || date)
}

/// Whether the next number is close and the first of a date's.
fn begins_date(s: &[u8]) -> bool {
    let Some(i) = s.iter().take(32).position(u8::is_ascii_digit) else {
        return false;
    };
    let n = s[i..].iter().take_while(|b| b.is_ascii_digit()).count();
    n <= 4
        && matches!(s.get(i + n), Some(b'/' | b'-' | b'.' | b' '))
        && s.get(i + n + 1)
            .is_some_and(|&b| b.is_ascii_alphanumeric() || b >= 0x80)
}
