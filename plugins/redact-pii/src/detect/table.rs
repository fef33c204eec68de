//! Tables: what the head of a column says about the cells below it, in CSV, TSV, Markdown, HTML and what databases
//! print.
//!
//! The words before a number in the tenth row are those of the ninth. Its column's head is looked up instead,
//! whenever a number fills a whole cell.
//!
//! Invariant: nothing of a text is read before such a number asks, and then each byte once: [`Lines`] and [`Markup`]
//! go on where the last question stopped, so that the pass stays linear in the text whatever the text is.

use std::cell::Cell;

use super::context::{self, CALL, COUNTRIES, Context, FILE, ID, MINE, NUMBER, ORG, PHONE};
use super::scan::Scanner;

/// Longest line that is taken for a row.
const ROW: usize = 1024;

/// Longest cell that can be a head.
const HEAD: usize = 96;

/// How far above a number a head is looked for, if nothing was read there yet.
const BLOCK: usize = 8192;

/// What separates cells.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Where a byte stands among [`SEPARATORS`].
fn separator(b: u8) -> Option<usize> {
    SEPARATORS.iter().position(|&s| s == b)
}

/// What may stand between a value and the border of its cell.
const fn trims(b: u8) -> bool {
    matches!(
        b,
        b' ' | b'"' | b'\'' | b'`' | b'*' | b'+' | b'(' | b')' | b'<' | b'>' | b'\r'
    )
}

/// The cells of a row. A separator in quotes is none.
fn cells(row: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    row.split(move |&b| {
        quoted ^= b == b'"';
        b == separator && !quoted
    })
}

/// `|---|:--|` and `----+-----`: no row, and no end of the table either.
fn rules_off(row: &[u8]) -> bool {
    row.iter()
        .all(|b| matches!(b, b'-' | b'+' | b'|' | b':' | b'=' | b' ' | b'\t' | b'\r'))
        && row.contains(&b'-')
}

/// Whether a cell can name a column: short, and without a number.
fn names(cell: &[u8]) -> bool {
    cell.trim_ascii().len() <= HEAD && cell.iter().filter(|b| b.is_ascii_digit()).count() < 5
}

/// Rows that follow each other, with one separator.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Block {
    /// Cells in each row; 0 outside a table, [`ANY`] where its first row was not read.
    columns: usize,
    /// The first row, if it can name columns, else empty.
    head: (usize, usize),
}

const ANY: usize = usize::MAX;

/// The lines of a text, read up to some place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Lines {
    /// Where the line begins that was read last, and how far it was read.
    line: usize,
    seen: usize,
    /// For each separator: how many of them were in that part of the line.
    counts: [usize; 4],
    quoted: bool,
    /// For each separator: the table that the lines above belong to.
    blocks: [Block; 4],
    /// The line whose cells were counted as a whole, and how many there are.
    whole: Option<(usize, [usize; 4])>,
}

impl Lines {
    /// Reads on to `at`; false if that is in a line before.
    fn read(&mut self, s: &[u8], at: usize) -> bool {
        if at < self.line {
            return false;
        }
        if at < self.seen {
            self.begin(self.line);
        }
        if at - self.seen > BLOCK {
            let from = at - BLOCK;
            let next = s[from..at].iter().position(|&b| b == b'\n');
            self.begin(next.map_or(from, |n| from + n + 1));
            self.blocks = [Block {
                columns: ANY,
                head: (0, 0),
            }; 4];
        }
        for (i, &b) in s[self.seen..at].iter().enumerate() {
            if b == b'\n' {
                let end = self.seen + i;
                self.end(&s[self.line..end], end);
                self.line = end + 1;
                self.counts = [0; 4];
                self.quoted = false;
            } else if b == b'"' {
                self.quoted ^= true;
            } else if let Some(k) = separator(b).filter(|_| !self.quoted) {
                self.counts[k] += 1;
            }
        }
        self.seen = at;
        true
    }

    fn begin(&mut self, line: usize) {
        self.line = line;
        self.seen = line;
        self.counts = [0; 4];
        self.quoted = false;
    }

    /// Takes a whole line in that ends at `end`.
    fn end(&mut self, row: &[u8], end: usize) {
        if row.len() > ROW {
            self.blocks = [Block::default(); 4];
        } else if !rules_off(row) {
            for (k, block) in self.blocks.iter_mut().enumerate() {
                let n = self.counts[k] + 1;
                if n == 1 {
                    *block = Block::default();
                } else if block.columns == ANY {
                    block.columns = n;
                } else if !fits(k, n, block.columns) {
                    let can = cells(row, SEPARATORS[k]).all(names);
                    let head = if can { (end - row.len(), end) } else { (0, 0) };
                    *block = Block { columns: n, head };
                }
            }
        }
    }

    /// How many cells the line has that was read last.
    fn columns(&mut self, s: &[u8]) -> [usize; 4] {
        match self.whole {
            Some((line, columns)) if line == self.line => columns,
            _ => {
                let mut columns = [1; 4];
                let mut quoted = false;
                for &b in s[self.line..].iter().take(ROW).take_while(|&&b| b != b'\n') {
                    quoted ^= b == b'"';
                    if let Some(k) = separator(b).filter(|_| !quoted) {
                        columns[k] += 1;
                    }
                }
                self.whole = Some((self.line, columns));
                columns
            }
        }
    }
}

/// Whether a row of `n` cells is of a table with so many columns. In prose commas stand where they like; the rows of
/// one table have as many.
fn fits(k: usize, n: usize, columns: usize) -> bool {
    let strict = matches!(SEPARATORS[k], b',' | b';');
    n == columns || !strict && columns > 1 && n > 1
}

/// The rows and cells of HTML, read up to some place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Markup {
    seen: usize,
    /// Where the table's first row begins and ends.
    first: Option<(usize, usize)>,
    row: Option<usize>,
    /// Cells of the row so far, and where the last one opens.
    cells: usize,
    cell: usize,
}

impl Markup {
    /// Reads on to `at`; false if that is before the cell that was read last.
    fn read(&mut self, s: &[u8], at: usize) -> bool {
        if at < self.seen {
            return at > self.cell;
        }
        while let Some(n) = s[self.seen..at].iter().position(|&b| b == b'<') {
            let open = self.seen + n;
            self.seen = open + 1;
            let tag = &s[open..];
            if tagged(tag, b"<td") || tagged(tag, b"<th") {
                self.cells += 1;
                self.cell = open;
            } else if tagged(tag, b"<tr") {
                self.first = match (self.first, self.row) {
                    (Some((from, 0)), _) => Some((from, open)),
                    (None, _) => Some((open, 0)),
                    (first, _) => first,
                };
                self.row = Some(open);
                self.cells = 0;
            } else if tagged(tag, b"<table") {
                (self.first, self.row, self.cells) = (None, None, 0);
            }
        }
        self.seen = at;
        true
    }
}

/// Whether a tag of this name opens here.
fn tagged(s: &[u8], tag: &[u8]) -> bool {
    let is = |t: &[u8]| t.eq_ignore_ascii_case(tag);
    let ends = |&b: &u8| b == b'>' || b.is_ascii_whitespace();
    s.get(..tag.len()).is_some_and(is) && s.get(tag.len()).is_some_and(ends)
}

/// Whether only tags and space stand in `s`.
fn only_markup(s: &[u8]) -> bool {
    let mut inside = false;
    s.iter().all(|&b| {
        inside |= b == b'<';
        let fine = inside || b.is_ascii_whitespace();
        inside &= b != b'>';
        fine
    })
}

/// Where the text of the row's cell of this number stands.
fn nth_cell(row: &[u8], number: usize) -> Option<(usize, usize)> {
    let mut markup = Markup::default();
    let mut at = 0;
    while markup.cells <= number {
        at += row[at..].iter().position(|&b| b == b'<')? + 1;
        markup.read(row, at);
    }
    let from = at + row[at..].iter().position(|&b| b == b'>')? + 1;
    let length = row[from..].windows(2).position(|w| w == b"</")?;
    Some((from, from + length))
}

/// What was read of a text's tables, and the column that was asked for last.
#[derive(Debug, Default)]
pub(super) struct Tables {
    lines: Cell<Lines>,
    markup: Cell<Markup>,
    last: Cell<Option<Asked>>,
}

/// A span, and the head of its column and the beginning of its row, if it has those.
type Asked = ((usize, usize), Option<((usize, usize), usize)>);

impl Scanner<'_> {
    /// What the head of the column and its own row say about `start..end`, if it fills a cell of a table.
    pub(super) fn column_context(&self, start: usize, end: usize) -> Option<Context> {
        let (head, row) = self.column(start, end)?;
        let mut near = context::words(&self.s[head.0..head.1]);
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
        let ((a, b), _) = self.column(start, end)?;
        self.s.get(a..b)
    }

    /// The head of the column whose cell `start..end` fills, and where its row begins.
    fn column(&self, start: usize, end: usize) -> Option<((usize, usize), usize)> {
        if let Some((span, found)) = self.tables.last.get()
            && span == (start, end)
        {
            return found;
        }
        let found = if self.before(start) == b'>' {
            self.html_column(start, end)
        } else {
            self.line_column(start, end)
        };
        self.tables.last.set(Some(((start, end), found)));
        found
    }

    fn line_column(&self, start: usize, end: usize) -> Option<((usize, usize), usize)> {
        let s = self.s;
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
        let k = match (separator(left), separator(right)) {
            (Some(k), other) if other == Some(k) || other.is_none() && ends => k,
            (None, Some(k)) if begins => k,
            _ => return None,
        };
        let mut lines = self.tables.lines.get();
        let known = lines.read(s, from) && from - lines.line <= ROW;
        let block = lines.blocks[k];
        let row =
            known && block.head.0 < block.head.1 && fits(k, lines.columns(s)[k], block.columns);
        self.tables.lines.set(lines);
        if !row {
            return None;
        }
        let (a, b) = block.head;
        let mut from = a;
        for (i, cell) in cells(&s[a..b], SEPARATORS[k]).enumerate() {
            if i == lines.counts[k] {
                return Some(((from, from + cell.len()), lines.line));
            }
            from += cell.len() + 1;
        }
        None
    }

    fn html_column(&self, start: usize, end: usize) -> Option<((usize, usize), usize)> {
        let s = self.s;
        if !matches!(self.at(end), b'<' | b' ' | b'\n') {
            return None;
        }
        let mut markup = self.tables.markup.get();
        let known = markup.read(s, start);
        self.tables.markup.set(markup);
        let (a, b) = markup.first?;
        let row = markup.row.filter(|&row| known && b > 0 && row > a)?;
        let inside = start - markup.cell <= HEAD && only_markup(&s[markup.cell..start]);
        let (from, to) = nth_cell(&s[a..b.min(a + ROW)], markup.cells.checked_sub(1)?)?;
        let head = (a + from, a + to);
        (inside && names(&s[head.0..head.1])).then_some((head, row))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, Entity};
    use super::{Lines, Markup};
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn reading_on_is_reading_anew(
            text in "([ab12,;|\t\"-]|\n|<td>|</td>|<th>|<tr>|<table>|<b>){0,80}",
            places in prop::collection::vec(0usize..400, 1..12),
        ) {
            let s = text.as_bytes();
            let (mut lines, mut markup) = (Lines::default(), Markup::default());
            let mut places: Vec<_> = places.into_iter().map(|p| p.min(s.len())).collect();
            places.sort_unstable();
            for at in places {
                lines.read(s, at);
                markup.read(s, at);
                let (mut fresh, mut anew) = (Lines::default(), Markup::default());
                fresh.read(s, at);
                anew.read(s, at);
                prop_assert_eq!(lines, fresh);
                prop_assert_eq!(markup, anew);
            }
        }
    }
}
