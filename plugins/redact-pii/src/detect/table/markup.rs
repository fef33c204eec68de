//! Tables of HTML, read forward.

/// The rows and cells of HTML, read up to some place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Markup {
    seen: usize,
    /// Where the table's first row begins and ends.
    pub(super) first: Option<(usize, usize)>,
    pub(super) row: Option<usize>,
    /// Cells of the row so far, and where the last one opens.
    pub(super) cells: usize,
    pub(super) cell: usize,
}

impl Markup {
    /// Reads on to `at`; false if that is before the cell that was read last.
    pub(super) fn read(&mut self, s: &[u8], at: usize) -> bool {
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
pub(super) fn only_markup(s: &[u8]) -> bool {
    let mut inside = false;
    s.iter().all(|&b| {
        inside |= b == b'<';
        let fine = inside || b.is_ascii_whitespace();
        inside &= b != b'>';
        fine
    })
}

/// Where the text of the row's cell of this number stands.
pub(super) fn nth_cell(row: &[u8], number: usize) -> Option<(usize, usize)> {
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
