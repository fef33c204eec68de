//! Tables: what the head of a column says about the cells below it, in CSV, TSV, Markdown, HTML, what databases
//! print and what they are told to insert; and what an element of XML says about its text.
//!
//! The words before a number in the tenth row are those of the ninth. Its column's head is looked up instead,
//! whenever a number fills a whole cell.
//!
//! Invariant: nothing of a text is read before such a number asks, and then each byte once: [`Lines`] and [`Markup`]
//! go on where the last question stopped, so that the pass stays linear in the text whatever the text is.

mod insert;
mod lines;
mod markup;

use std::cell::Cell;

use super::context::{
    self, Bits, CALL, COUNTRIES, Context, FILE, ID, MINE, NEG, NUMBER, ORG, PHONE,
};
use super::scan::Scanner;
use super::secret::neighbour;
use insert::Insert;
use lines::{HEAD, Lines, ROW, SEPARATORS, cells, fits, names, separator};
use markup::{Markup, nth_cell, only_markup};

/// What may stand between a value and the border of its cell.
const fn trims(b: u8) -> bool {
    matches!(
        b,
        b' ' | b'"' | b'\'' | b'`' | b'*' | b'+' | b'(' | b')' | b'<' | b'>' | b'\r'
    )
}

/// What was read of a text's tables, and the column that was asked for last.
#[derive(Debug, Default)]
pub(super) struct Tables {
    lines: Cell<Lines>,
    markup: Cell<Markup>,
    insert: Cell<Insert>,
    last: Cell<Option<Asked>>,
    /// The span whose context was asked for last, and that context: rules ask about one span many times.
    span: Cell<(usize, usize)>,
    told: Cell<Option<Context>>,
}

/// A span, and the head of its column and the beginning of its row, if it has those.
type Asked = ((usize, usize), Option<((usize, usize), usize)>);

/// What words say about one kind of number rather than any.
const fn kinds(words: Bits) -> Bits {
    words & !(NUMBER | MINE | ID | ORG | FILE)
}

impl Scanner<'_> {
    /// What the head of the column and its own row say about `start..end`, if it fills a cell of a table.
    pub(super) fn column_context(&self, start: usize, end: usize) -> Option<Context> {
        if self.tables.span.get() != (start, end) {
            self.tables.told.set(self.named_by(start, end));
            self.tables.span.set((start, end));
        }
        self.tables.told.get()
    }

    fn named_by(&self, start: usize, end: usize) -> Option<Context> {
        let (head, row) = self
            .column(start, end)
            .or_else(|| self.element(start, end))
            .or_else(|| self.field(start))
            .or_else(|| self.assigned_to(start))?;
        let mut near = context::words(&self.s[head.0..head.1]);
        if near & CALL != 0 {
            near |= PHONE;
        }
        let mut own = context::before_since(self.s, start, row);
        // `id` and `number` name everything, `value` nothing: then the cells beside it may.
        if kinds(near) != 0 {
            let countries = (own.near | own.far) & COUNTRIES;
            own = Context {
                near,
                far: countries,
                same: countries,
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
            self.inserted(start, end)
                .or_else(|| self.line_column(start, end))
        };
        self.tables.last.set(Some(((start, end), found)));
        found
    }

    /// The name of the element whose text `start..end` is, `<civil_number>25329386</civil_number>`, if it names one
    /// kind of number, and where the element begins.
    fn element(&self, start: usize, end: usize) -> Option<((usize, usize), usize)> {
        if self.before(start) != b'>' || self.at(end) != b'<' || self.at(end + 1) != b'/' {
            return None;
        }
        let floor = start.saturating_sub(HEAD);
        let open = floor + self.s[floor..start].iter().rposition(|&b| b == b'<')?;
        let name = (open + 1, start - 1);
        let says = kinds(context::words(&self.s[name.0..name.1])) != 0;
        (says && self.at(open + 1) != b'/').then_some((name, open))
    }

    /// What names the field of a form whose value is at `start`: `<input name="cin" value="...">`, or the label before
    /// it.
    fn field(&self, start: usize) -> Option<((usize, usize), usize)> {
        let s = self.s;
        let attributes = s[..start].strip_suffix(b"\"")?.strip_suffix(b" value=")?;
        let floor = attributes.len().saturating_sub(HEAD);
        let open = floor + attributes[floor..].iter().rposition(|&b| b == b'<')?;
        let says = |(a, b): (usize, usize)| kinds(context::words(&s[a..b])) & !(CALL | NEG) != 0;
        let own = (open + 1, attributes.len());
        let label = neighbour(s, open);
        [own, label]
            .into_iter()
            .find(|&name| says(name))
            .map(|name| (name, open))
    }

    /// The name that the value at `start` is assigned to, `national_id: "..."` or `cin=...`, if it names one kind
    /// of number. In prose a word and a colon is no more than a word, so there the name has parts.
    fn assigned_to(&self, start: usize) -> Option<((usize, usize), usize)> {
        let s = self.s;
        let quote = |i: usize| usize::from(matches!(self.before(i), b'"' | b'\''));
        let space = |i: usize| usize::from(self.before(i) == b' ');
        let mut to = start - quote(start);
        to -= space(to);
        let operator = self.before(to);
        if !matches!(operator, b'=' | b':') {
            return None;
        }
        to -= 1;
        to -= quote(to);
        let name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
        let length = s[..to].iter().rev().take(HEAD).take_while(name).count();
        let from = to - length;
        let parts = s[from..to].contains(&b'_')
            || s[from..to]
                .windows(2)
                .any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase())
            || operator == b'=';
        let says = parts && kinds(context::words(&s[from..to])) & !NEG != 0;
        says.then_some(((from, to), from))
    }

    /// The column that `start..end` is a value for: `INSERT INTO t (id, cin) VALUES (7, '09876543')`.
    fn inserted(&self, start: usize, end: usize) -> Option<((usize, usize), usize)> {
        let quoted = |b: u8| matches!(b, b'\'' | b'"');
        let from = start - usize::from(quoted(self.before(start)));
        let to = end + usize::from(quoted(self.at(end)));
        if !matches!(self.before(from), b'(' | b',' | b' ') || !matches!(self.at(to), b')' | b',') {
            return None;
        }
        let mut insert = self.tables.insert.get();
        let row = insert.read(self.s, from);
        self.tables.insert.set(insert);
        let (a, b) = insert.heads;
        let mut at = a;
        for (i, head) in cells(&self.s[a..b], b',').enumerate() {
            if i == insert.cells {
                return Some(((at, at + head.len()), row?));
            }
            at += head.len() + 1;
        }
        None
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
    use super::{Insert, Lines, Markup};
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
    fn rows_that_are_inserted() {
        let mut text = "INSERT INTO p (ref, cin, phone) VALUES".to_owned();
        for row in 0..100 {
            text += &format!(
                " ({row}, '{:08}', '+216 98 123 4{row:02}'),",
                10_000_000 + row
            );
        }
        let found = kinds(&(text + " (7, NULL, NULL);\nSELECT 10000001, 10000002;"));
        let of = |e: Entity| found.iter().filter(|(name, _)| name == e.name()).count();
        assert_eq!((of(Entity::TnCin), of(Entity::Phone)), (100, 100));
        assert_eq!(found.len(), 200);
    }

    #[test]
    fn an_element_names_its_text() {
        let text = "<codice_fiscale>?</codice_fiscale><civil_number>25329386</civil_number>";
        assert_eq!(kinds(text).len(), 1);
    }

    #[test]
    fn separators_in_quotes_are_none() {
        let text = "name,cin\n\"Ben Salah, Ali\",09876543\n\"Trabelsi, Ines\",09876544\n";
        assert_eq!(kinds(text).len(), 2);
    }

    proptest! {
        #[test]
        fn reading_on_is_reading_anew(
            text in "([ab12,;|\t\"'()-]|\n|<td>|</td>|<th>|<tr>|<table>|<b>|values){0,80}",
            places in prop::collection::vec(0usize..400, 1..12),
        ) {
            let s = text.as_bytes();
            let (mut lines, mut markup) = (Lines::default(), Markup::default());
            let mut insert = Insert::default();
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
                let mut again = Insert::default();
                insert.read(s, at);
                again.read(s, at);
                prop_assert_eq!(insert, again);
            }
        }
    }
}
