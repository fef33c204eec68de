//! Tables: what the head of a column says about the cells below it, in CSV, TSV, Markdown, HTML and what databases
//! print.
//!
//! The words before a number in the tenth row are those of the ninth. Its column's head is looked up instead,
//! whenever a number fills a whole cell. A head is found by going up from line to line as long as they have
//! columns; where the last look-up ended is remembered, so a text's lines are gone through once.

use std::cell::Cell;

use super::context::{self, CALL, COUNTRIES, Context, FILE, ID, MINE, NUMBER, ORG, PHONE};
use super::scan::Scanner;

/// Longest line that is taken for a row.
const ROW: usize = 1024;

/// Longest cell that can be a head.
const HEAD: usize = 96;

/// How far above the last look-up a head is looked for.
const BLOCK: usize = 8192;

/// A row that was looked at, and the head of its table.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    start: usize,
    separator: u8,
    /// The head's first and last byte plus one; empty where there is none.
    head: (usize, usize),
}

/// What was looked up last.
#[derive(Debug, Default)]
pub(super) struct Tables {
    row: Cell<Row>,
    /// A place, where its line begins, the separator, and how many of those stand between.
    place: Cell<(usize, usize, u8, usize)>,
    /// In HTML: where a row begins, and the first row of its table.
    html: Cell<(usize, usize)>,
}

const fn separates(b: u8) -> bool {
    matches!(b, b',' | b';' | b'\t' | b'|')
}

/// What may stand between a value and the border of its cell.
const fn trims(b: u8) -> bool {
    matches!(
        b,
        b' ' | b'"' | b'\'' | b'`' | b'*' | b'+' | b'(' | b')' | b'<' | b'>' | b'\r'
    )
}

/// The cells of a row. A separator in quotes is none, if the quotes pair up.
fn cells(row: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let pairs = row.iter().filter(|&&b| b == b'"').count().is_multiple_of(2);
    let mut quoted = false;
    row.split(move |&b| {
        quoted ^= b == b'"' && pairs;
        b == separator && !quoted
    })
}

/// `|---|:--|` and `----+-----`: no row, and no end of the table either.
fn rules_off(row: &[u8]) -> bool {
    row.iter()
        .all(|b| matches!(b, b'-' | b'+' | b'|' | b':' | b'=' | b' ' | b'\t' | b'\r'))
        && row.contains(&b'-')
}

/// Whether a row can name columns: short cells without numbers.
fn heads(row: &[u8], separator: u8) -> bool {
    cells(row, separator).all(|cell| {
        cell.trim_ascii().len() <= HEAD && cell.iter().filter(|b| b.is_ascii_digit()).count() < 5
    })
}

/// Whether a tag of this name opens here.
fn tagged(s: &[u8], tag: &[u8]) -> bool {
    s.get(..tag.len())
        .is_some_and(|t| t.eq_ignore_ascii_case(tag))
        && s.get(tag.len())
            .is_some_and(|&b| b == b'>' || b.is_ascii_whitespace())
}

/// Where the last tag of this name opens.
fn last_tag(s: &[u8], tag: &[u8]) -> Option<usize> {
    (0..s.len())
        .rev()
        .find(|&i| s[i] == b'<' && tagged(&s[i..], tag))
}

/// Where the cells of a row open.
fn cell_tags(s: &[u8]) -> impl Iterator<Item = usize> {
    (0..s.len()).filter(|&i| s[i] == b'<' && (tagged(&s[i..], b"<td") || tagged(&s[i..], b"<th")))
}

impl Scanner<'_> {
    /// What the head of the column and its own row say about `start..end`, if it fills a cell of a table.
    pub(super) fn column_context(&self, start: usize, end: usize) -> Option<Context> {
        let (head, row) = self.column(start, end)?;
        let mut near = context::words(head);
        if near & CALL != 0 {
            near |= PHONE;
        }
        let mut own = context::before_since(self.s, start, row);
        // `id` and `number` name everything, `value` nothing: then the cells beside it may.
        if near & !(NUMBER | MINE | ID | ORG | FILE) != 0 {
            own = Context {
                near,
                far: (own.near | own.far) & COUNTRIES,
                first: 0,
            };
        }
        Some(own)
    }

    /// The head of the column whose cell `start..end` fills.
    pub(super) fn column_head(&self, start: usize, end: usize) -> Option<&[u8]> {
        self.column(start, end).map(|(head, _)| head)
    }

    /// The head of the column whose cell `start..end` fills, and where its row begins.
    fn column(&self, start: usize, end: usize) -> Option<(&[u8], usize)> {
        let s = self.s;
        if self.before(start) == b'>' && matches!(self.at(end), b'<' | b' ' | b'\n') {
            return self.html_column(start);
        }
        let (mut from, mut to) = (start, end);
        while start - from < 4 && trims(self.before(from)) {
            from -= 1;
        }
        while to - end < 4 && trims(self.at(to)) {
            to += 1;
        }
        let (left, right) = (self.before(from), self.at(to));
        let begins = from == 0 || left == b'\n';
        let ends = to == s.len() || right == b'\n';
        let separator = match (separates(left), separates(right)) {
            (true, true) if left == right => left,
            (true, false) if ends => left,
            (false, true) if begins => right,
            _ => return None,
        };
        let (line, number) = self.place(from, separator)?;
        let (a, b) = self.head(line, separator)?;
        let head = cells(&s[a..b], separator).nth(number)?;
        Some((head, line))
    }

    /// The same in HTML, for a cell whose text begins at `from`.
    fn html_column(&self, from: usize) -> Option<(&[u8], usize)> {
        let s = self.s;
        let floor = from.saturating_sub(ROW);
        let mut at = from;
        // Out of `<b>` and its like to the cell's own tag.
        let cell = (0..4).find_map(|_| {
            let space = s[floor..at]
                .iter()
                .rev()
                .take_while(|b| b.is_ascii_whitespace());
            at -= space.count();
            if self.before(at) != b'>' {
                at = floor;
            }
            at = floor + s[floor..at].iter().rposition(|&b| b == b'<')?;
            tagged(&s[at..], b"<td").then_some(at)
        })?;
        let row = floor + last_tag(&s[floor..cell], b"<tr")?;
        let number = cell_tags(&s[row..cell]).count();
        let (last, head) = self.tables.html.get();
        let first = if last == row
            || last < row && last >= floor && last_tag(&s[last..row], b"<table").is_none()
        {
            head
        } else {
            let above = row.saturating_sub(BLOCK);
            let table = above + last_tag(&s[above..row], b"<table")?;
            table + (0..row - table).find(|&i| tagged(&s[table + i..], b"<tr"))?
        };
        self.tables.html.set((row, first));
        let names = &s[first..row];
        let at = cell_tags(names).nth(number)?;
        let text = &names[at..];
        let text = &text[text.iter().position(|&b| b == b'>')? + 1..];
        let text = &text[..text.windows(2).position(|w| w == b"</")?];
        heads(text, 0).then_some((text, row))
    }

    /// Where the line of `at` begins, and how many separators stand before it there.
    fn place(&self, at: usize, separator: u8) -> Option<(usize, usize)> {
        let s = self.s;
        let (seen, line, sep, count) = self.tables.place.get();
        let (line, count) = if sep == separator && seen <= at && !s[seen..at].contains(&b'\n') {
            // Further in the line that was asked about last.
            let more = s[seen..at].iter().filter(|&&b| b == separator).count();
            (line, count + more)
        } else {
            let floor = at.saturating_sub(ROW);
            let line = match s[floor..at].iter().rposition(|&b| b == b'\n') {
                Some(i) => floor + i + 1,
                None if floor == 0 => 0,
                None => return None,
            };
            let before = s[line..at].iter().filter(|&&b| b == separator).count();
            (line, before)
        };
        if at - line > ROW {
            return None;
        }
        self.tables.place.set((at, line, separator, count));
        // Quotes may hide separators: count again.
        if s[line..at].contains(&b'"') {
            return Some((line, cells(&s[line..at], separator).count() - 1));
        }
        Some((line, count))
    }

    /// The head of the table that the row at `line` belongs to.
    fn head(&self, line: usize, separator: u8) -> Option<(usize, usize)> {
        let s = self.s;
        let last = self.tables.row.get();
        let found = if last.separator == separator && last.start == line {
            last.head
        } else {
            self.find_head(line, separator, last)
        };
        self.tables.row.set(Row {
            start: line,
            separator,
            head: found,
        });
        // The head has none above it.
        (found.0 < found.1 && found.0 != line && found.1 <= s.len()).then_some(found)
    }

    /// Goes up from the row at `line` to the head, or to the row that was looked up `last`.
    fn find_head(&self, line: usize, separator: u8, last: Row) -> (usize, usize) {
        let s = self.s;
        let floor = line.saturating_sub(BLOCK);
        let rest = s[line..].iter().take(ROW).position(|&b| b == b'\n');
        let end = line + rest.unwrap_or(ROW.min(s.len() - line));
        let columns = cells(&s[line..end], separator).count();
        // In prose commas stand where they like; the rows of one table have as many.
        let strict = matches!(separator, b',' | b';');
        let fits = |n: usize| if strict { n == columns } else { n > 1 };
        let mut top = (line, end);
        while top.0 > floor {
            let stop = top.0 - 1;
            let from = s[floor..stop]
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(floor, |i| floor + i + 1);
            if from == last.start && last.separator == separator && last.head.0 < last.head.1 {
                return last.head;
            }
            let cut = from == floor && floor > 0 && s[floor - 1] != b'\n';
            let row = &s[from..stop];
            if cut || row.len() > ROW {
                break;
            }
            if !rules_off(row) {
                if !fits(cells(row, separator).count()) {
                    break;
                }
                top = (from, stop);
            } else if from == 0 {
                break;
            } else {
                // Passed over, but the next line up is looked at.
                let above = s[floor..from - 1]
                    .iter()
                    .rposition(|&b| b == b'\n')
                    .map_or(floor, |i| floor + i + 1);
                let row = &s[above..from - 1];
                if row.len() > ROW || !fits(cells(row, separator).count()) {
                    break;
                }
                top = (above, from - 1);
            }
        }
        if heads(&s[top.0..top.1], separator) {
            top
        } else {
            (0, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, Entity};

    fn kinds(text: &str) -> Vec<(String, String)> {
        let detector = Detector::default();
        let found = detector.find(text).into_iter();
        found
            .map(|f| {
                let name = detector.name(f.kind).to_owned();
                (name, text[f.start..f.end].to_owned())
            })
            .collect()
    }

    #[test]
    fn a_column_s_head_speaks_in_every_row() {
        for (separator, rule) in [(",", ""), (";", ""), ("\t", ""), ("|", "----|----|----\n")] {
            let mut text = format!("id{separator}phone{separator}cin\n{rule}");
            for row in 0..200 {
                text += &format!(
                    "{row}{separator}+216 98 123 4{:02}{separator}{:08}\n",
                    row % 100,
                    10_000_000 + row
                );
            }
            let found = kinds(&text);
            let of = |e: Entity| found.iter().filter(|(name, _)| name == e.name()).count();
            assert_eq!(
                (of(Entity::TnCin), of(Entity::Phone)),
                (200, 200),
                "{separator:?}"
            );
            assert_eq!(found.len(), 400, "{separator:?}");
        }
    }

    #[test]
    fn commas_of_prose_make_no_table() {
        let far = "and then he walked for a very long time through the old town by the sea";
        // As many commas in each line: a table. One more: two sentences.
        assert_eq!(kinds(&format!("dear all, cin\n{far}, 12345678\n")).len(), 1);
        assert_eq!(
            kinds(&format!("dear all, cin\n{far}, 12345678, and\n")).len(),
            0
        );
    }

    #[test]
    fn rows_of_html() {
        let mut text =
            "<table>\n<tr><th>Name</th><th scope=\"col\">CIN</th><th>Ref</th></tr>\n".to_owned();
        for row in 0..100 {
            text += &format!(
                "<tr><td>A</td>\n <td><b>{:08}</b></td><td>{:08}</td></tr>\n",
                10_000_000 + row,
                11_000_000 + row
            );
        }
        let found = kinds(&(text + "</table>"));
        assert_eq!(found.len(), 100);
        assert!(
            found
                .iter()
                .all(|(name, value)| name == "TN_CIN" && value.starts_with("100"))
        );
    }

    #[test]
    fn separators_in_quotes_are_none() {
        let text = "name,cin\n\"Ben Salah, Ali\",09876543\n\"Trabelsi, Ines\",09876544\n";
        assert_eq!(kinds(text).len(), 2);
    }
}
