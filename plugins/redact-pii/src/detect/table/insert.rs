//! Rows of SQL's `INSERT INTO t (a, b) VALUES (1, 2), (3, 4)`, read forward.

use super::lines::{ROW, cells, names};

/// The rows read up to some place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Insert {
    seen: usize,
    /// The names of the columns, while rows follow; empty outside a statement.
    pub(super) heads: (usize, usize),
    /// Where the row begins that is open.
    row: Option<usize>,
    /// Cells of that row so far.
    pub(super) cells: usize,
    quoted: bool,
}

impl Insert {
    /// Reads on to `at`; where the row begins that it is in, if that is so.
    pub(super) fn read(&mut self, s: &[u8], at: usize) -> Option<usize> {
        if at < self.seen {
            return None;
        }
        while self.seen < at {
            if self.heads.0 == self.heads.1 {
                let rest = &s[self.seen..at];
                let Some(n) = rest.iter().position(|b| matches!(b, b'V' | b'v')) else {
                    self.seen = at;
                    break;
                };
                self.seen += n + 1;
                let word = s.get(self.seen - 1..self.seen + 5).unwrap_or_default();
                if word.eq_ignore_ascii_case(b"values") {
                    self.heads = columns(s, self.seen - 1);
                    (self.row, self.cells, self.quoted) = (None, 0, false);
                    self.seen = (self.seen + 5).min(at);
                }
                continue;
            }
            let b = s[self.seen];
            self.seen += 1;
            match b {
                b'\'' => self.quoted ^= true,
                _ if self.quoted => {}
                b'(' => (self.row, self.cells) = (Some(self.seen), 0),
                b',' => self.cells += 1,
                b')' => self.row = None,
                b';' => (self.heads, self.row) = ((0, 0), None),
                _ => {}
            }
        }
        self.row
    }
}

/// The list in brackets before `end`, if it can be one of names.
fn columns(s: &[u8], end: usize) -> (usize, usize) {
    let floor = end.saturating_sub(ROW);
    let text = s[floor..end].trim_ascii_end();
    let list = text.strip_suffix(b")").and_then(|list| {
        let open = list.iter().rposition(|&b| b == b'(')?;
        let (from, to) = (floor + open + 1, floor + list.len());
        cells(&s[from..to], b',').all(names).then_some((from, to))
    });
    list.unwrap_or((0, 0))
}
