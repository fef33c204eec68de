//! Tables of lines and separators, read forward.

/// Longest line that is taken for a row.
pub(super) const ROW: usize = 1024;

/// Longest cell that can be a head.
pub(super) const HEAD: usize = 96;

/// How far above a number a head is looked for, if nothing was read there yet.
const BLOCK: usize = 8192;

/// What separates cells.
pub(super) const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Where a byte stands among [`SEPARATORS`].
pub(super) fn separator(b: u8) -> Option<usize> {
    SEPARATORS.iter().position(|&s| s == b)
}

/// The cells of a row. A separator in quotes is none.
pub(super) fn cells(row: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
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
pub(super) fn names(cell: &[u8]) -> bool {
    cell.trim_ascii().len() <= HEAD && cell.iter().filter(|b| b.is_ascii_digit()).count() < 5
}

/// Rows that follow each other, with one separator.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Block {
    /// Cells in each row; 0 outside a table, [`ANY`] where its first row was not read.
    pub(super) columns: usize,
    /// The first row, if it can name columns, else empty.
    pub(super) head: (usize, usize),
}

const ANY: usize = usize::MAX;

/// The lines of a text, read up to some place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Lines {
    /// Where the line begins that was read last, and how far it was read.
    pub(super) line: usize,
    seen: usize,
    /// For each separator: how many of them were in that part of the line.
    pub(super) counts: [usize; 4],
    quoted: bool,
    /// For each separator: the table that the lines above belong to.
    pub(super) blocks: [Block; 4],
    /// The line whose cells were counted as a whole, and how many there are.
    whole: Option<(usize, [usize; 4])>,
}

impl Lines {
    /// Reads on to `at`; false if that is in a line before.
    pub(super) fn read(&mut self, s: &[u8], at: usize) -> bool {
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
    pub(super) fn columns(&mut self, s: &[u8]) -> [usize; 4] {
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
pub(super) fn fits(k: usize, n: usize, columns: usize) -> bool {
    let strict = matches!(SEPARATORS[k], b',' | b';');
    n == columns || !strict && columns > 1 && n > 1
}
