//! Groups of digits: `4111 1111 1111 1111`, `06.12.34.56.78`, `536-90-4399`.
//!
//! A group is up to [`MAX_CHUNKS`] runs of digits with short separators between. Rules look at stretches
//! of whole runs, so that a card followed by its expiry date is still a card.

use super::checks;

/// Most runs in one group; a longer list of numbers continues in a new group.
pub const MAX_CHUNKS: usize = 20;
const MAX_DIGITS: usize = 80;

/// One group, parsed.
#[derive(Debug)]
pub struct Group {
    /// `(start, end)` of each run.
    pub chunks: [(usize, usize); MAX_CHUNKS],
    /// Number of runs.
    pub n: usize,
    /// What separates run `i` from run `i + 1`: the byte, or `*` for several.
    pub seps: [u8; MAX_CHUNKS],
    digits: [u8; MAX_DIGITS],
    /// Offset of each run in `digits`.
    from: [u8; MAX_CHUNKS + 1],
}

/// Whole runs `first..=last` of a group, as one number.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'g> {
    /// The digits without separators.
    pub d: &'g [u8],
    /// Length of each run.
    pub lens: [u8; MAX_CHUNKS],
    /// Runs.
    pub runs: usize,
    /// The separator, if it is the same everywhere; 0 when there is one run, `*` when they differ.
    pub sep: u8,
    /// The last run stands apart: behind another separator than the first.
    pub apart: bool,
    /// First and last byte in the view.
    pub span: (usize, usize),
}

impl Stretch<'_> {
    /// Whether the runs have these lengths.
    #[must_use]
    pub fn shape(&self, lens: &[u8]) -> bool {
        self.lens.get(..self.runs) == Some(lens)
    }

    /// One run without separators.
    #[must_use]
    pub fn solid(&self) -> bool {
        self.runs == 1
    }

    /// All runs but the last are of one length, the last is not longer.
    #[must_use]
    pub fn even(&self) -> bool {
        let lens = &self.lens[..self.runs];
        let first = lens[0];
        lens.iter()
            .enumerate()
            .all(|(i, &l)| l == first || (i + 1 == lens.len() && l < first))
    }
}

const fn separates(b: u8) -> bool {
    matches!(b, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'_' | b'\\')
}

/// Whether the run `a..end` numbers an item of a list that begins at `next`: `1) 31107173277235`,
/// `2. 98 765 432`, but not the first of `06. 12. 34. 56. 78`.
fn numbers_item(s: &[u8], a: usize, end: usize, next: usize) -> bool {
    let opens = a == 0 || s[a - 1].is_ascii_whitespace();
    if end - a > 2 || !opens {
        return false;
    }
    match s[end..next] {
        [b')', ..] => true,
        [b'.', b' '] => {
            let run = s[next..].iter().take_while(|b| b.is_ascii_digit());
            let stop = next + run.count();
            s.get(stop..stop + 2) != Some(b". ")
        }
        _ => false,
    }
}

impl Group {
    /// Reads the group that begins with the digit at `a`.
    #[must_use]
    pub fn parse(s: &[u8], a: usize, closes: impl Fn(usize) -> bool) -> Group {
        let mut g = Group {
            chunks: [(0, 0); MAX_CHUNKS],
            n: 0,
            seps: [0; MAX_CHUNKS],
            digits: [0; MAX_DIGITS],
            from: [0; MAX_CHUNKS + 1],
        };
        let mut at = a;
        // At most MAX_DIGITS, and forty for the first run.
        let mut total = 0;
        loop {
            let mut end = at;
            while s.get(end).is_some_and(u8::is_ascii_digit) && end - at < 40 {
                end += 1;
            }
            // A run that goes on in letters is no number, and neither is an endless one.
            if g.n > 0 && (!closes(end) || total + (end - at) > MAX_DIGITS) {
                break;
            }
            g.chunks[g.n] = (at, end);
            g.digits[total..total + (end - at)].copy_from_slice(&s[at..end]);
            g.from[g.n] = total as u8;
            total += end - at;
            g.n += 1;
            g.from[g.n] = total as u8;
            if g.n == MAX_CHUNKS || !closes(end) {
                break;
            }
            let mut next = end;
            while next - end < 3 && s.get(next).is_some_and(|&b| separates(b)) {
                next += 1;
            }
            if next == end || !s.get(next).is_some_and(u8::is_ascii_digit) {
                break;
            }
            if g.n == 1 && numbers_item(s, a, end, next) {
                break;
            }
            g.seps[g.n - 1] = if next - end == 1 { s[end] } else { b'*' };
            at = next;
        }
        g
    }

    /// The end of the last run.
    #[must_use]
    pub fn end(&self) -> usize {
        self.chunks[self.n - 1].1
    }

    /// How many digits runs `first..=last` have.
    #[must_use]
    pub fn digits_in(&self, first: usize, last: usize) -> usize {
        usize::from(self.from[last + 1] - self.from[first])
    }

    /// Runs `first..=last`, at most 30 digits.
    #[must_use]
    pub fn stretch(&self, first: usize, last: usize) -> Option<Stretch<'_>> {
        let d = self
            .digits
            .get(usize::from(self.from[first])..usize::from(self.from[last + 1]))?;
        if d.len() > 30 {
            return None;
        }
        let mut lens = [0; MAX_CHUNKS];
        for (l, c) in lens.iter_mut().zip(&self.chunks[first..=last]) {
            *l = u8::try_from(c.1 - c.0).unwrap_or(u8::MAX);
        }
        let seps = &self.seps[first..last];
        let sep = match seps.first() {
            None => 0,
            Some(&b) if seps.iter().all(|&x| x == b) => b,
            Some(_) => b'*',
        };
        Some(Stretch {
            d,
            lens,
            runs: last + 1 - first,
            sep,
            apart: seps.first() != seps.last(),
            span: (self.chunks[first].0, self.chunks[last].1),
        })
    }

    /// The number that run `i` spells.
    #[must_use]
    pub fn number(&self, i: usize) -> u64 {
        checks::number(&self.digits[usize::from(self.from[i])..usize::from(self.from[i + 1])])
    }

    /// The length of run `i`.
    #[must_use]
    pub fn len(&self, i: usize) -> usize {
        usize::from(self.from[i + 1] - self.from[i])
    }
}
