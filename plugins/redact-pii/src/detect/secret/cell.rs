//! Credentials in tables: `| access_token | ... |`, `<td>password</td><td>...</td>`, a column of CSV that its first
//! line names.
//!
//! A cell has no operator, so only a value that looks made by a machine counts, and only below or beside a name.

use super::super::entity::Entity;
use super::super::scan::Scanner;
use super::assigned::names_a_secret;
use super::shape::{drawn, machine_made, plausible_secret};

/// How far back a cell's neighbour is looked for, tags included.
const NEIGHBOUR: usize = 80;

impl Scanner<'_> {
    /// The value at `a`, if it is a cell that another one calls a secret; returns its end.
    pub(in super::super) fn cell(&mut self, a: usize) -> Option<usize> {
        if !self.wants(Entity::GenericSecret) {
            return None;
        }
        let s = self.s;
        let edge = match self.before(a) {
            b' ' => a - 1,
            b'"' | b'\'' | b'`' => a - 1,
            _ => a,
        };
        let separator = self.before(edge);
        if !matches!(separator, b',' | b';' | b'\t' | b'|' | b'>') {
            return None;
        }
        let mut e = a;
        while e < s.len() && e - a < 200 && s[e].is_ascii_graphic() && !ends_cell(s[e]) {
            e += 1;
        }
        let value = &s[a..e];
        if !plausible_secret(value, true, false) {
            return None;
        }
        let column = |scan: &Self| scan.column_head(a, e).is_some_and(names_a_secret);
        let named = match separator {
            // `<password>...</password>`: whatever stands there is one.
            b'>' if names_a_secret(tag(s, edge)) && self.at(e) == b'<' => true,
            _ if !machine_made(value) && !drawn(value) => false,
            b'>' | b'|' => {
                let (a, b) = neighbour(s, edge);
                names_a_secret(&s[a..b]) || column(self)
            }
            _ => column(self),
        };
        named.then(|| {
            self.put(a, e, Entity::GenericSecret, 80, true);
            e
        })
    }
}

/// The name of the tag that ends before `edge`.
fn tag(s: &[u8], edge: usize) -> &[u8] {
    let floor = edge.saturating_sub(NEIGHBOUR);
    let inner = s[floor..edge].strip_suffix(b">").unwrap_or_default();
    let from = inner
        .iter()
        .rposition(|&b| b == b'<')
        .map_or(inner.len(), |i| i + 1);
    let name = &inner[from..];
    let end = name.iter().position(u8::is_ascii_whitespace);
    &name[..end.unwrap_or(name.len())]
}

const fn ends_cell(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b',' | b';' | b'|')
}

/// Where the text of the cell stands before the one that begins at `edge`, without tags and bars.
pub(in super::super) fn neighbour(s: &[u8], edge: usize) -> (usize, usize) {
    let floor = edge.saturating_sub(NEIGHBOUR);
    let mut end = edge;
    loop {
        let skipped = match s[floor..end] {
            [.., b'|' | b' ' | b'\t' | b'*' | b'`'] => 1,
            [.., b'>'] => {
                let open = s[floor..end].iter().rev().take(24);
                match open.enumerate().find(|(_, b)| **b == b'<') {
                    Some((n, _)) => n + 1,
                    None => return (end, end),
                }
            }
            _ => break,
        };
        end -= skipped;
    }
    let from = s[floor..end]
        .iter()
        .rposition(|b| matches!(b, b'|' | b'>' | b'\n'))
        .map_or(floor, |at| floor + at + 1);
    (from, end)
}
