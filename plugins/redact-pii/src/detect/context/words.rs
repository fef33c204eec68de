//! What one word suggests, through one static hash table over the [lexicon](super::super::lexicon), so
//! that nothing is built at start-up. Words are compared folded: ASCII case, Latin accents, Arabic letter
//! variants, proclitics (و ف ب ل ك ال) and possessive endings.

use super::super::lexicon::*;

const SLOTS: usize = 2048;

/// Longest word that is looked up, in bytes; Thai takes three for a letter and writes no spaces.
pub(super) const WORD: usize = 64;

const fn fold_const(b: u8) -> u8 {
    if b.is_ascii_uppercase() { b + 32 } else { b }
}

/// FNV-1a; the low bits choose a slot, the others tell entries of one chain apart.
#[inline]
const fn hash(bytes: &[u8], len: usize) -> usize {
    let mut h: u32 = 0x811c_9dc5;
    let mut i = 0;
    while i < len {
        h = (h ^ fold_const(bytes[i]) as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    (h ^ (h >> 15)) as usize
}

/// Folds Latin accents and Arabic variants of one word into `out`; the length, or `None` if too long.
const fn fold_word(word: &[u8], out: &mut [u8; WORD]) -> Option<usize> {
    let (mut i, mut n) = (0, 0);
    while i < word.len() {
        if n + 2 > out.len() {
            return None;
        }
        let next = if i + 1 < word.len() { word[i + 1] } else { 0 };
        match (word[i], next) {
            (0xC3, c) => {
                let c = c | 0x20;
                out[n] = match c {
                    0xA0..=0xA6 => b'a',
                    0xA7 => b'c',
                    0xA8..=0xAB => b'e',
                    0xAC..=0xAF => b'i',
                    0xB1 => b'n',
                    0xB2..=0xB6 | 0xB8 => b'o',
                    0xB9..=0xBC => b'u',
                    _ => b'?',
                };
                n += 1;
                i += 2;
            }
            // Alef with hamza or madda, alef maqsura, teh marbuta.
            (0xD8, 0xA2 | 0xA3 | 0xA5) => {
                out[n] = 0xD8;
                out[n + 1] = 0xA7;
                n += 2;
                i += 2;
            }
            (0xD9, 0x89) => {
                out[n] = 0xD9;
                out[n + 1] = 0x8A;
                n += 2;
                i += 2;
            }
            (0xD8, 0xA9) => {
                out[n] = 0xD9;
                out[n + 1] = 0x87;
                n += 2;
                i += 2;
            }
            (b, _) => {
                out[n] = fold_const(b);
                n += 1;
                i += 1;
            }
        }
    }
    Some(n)
}

/// One word of the lexicon: its group, and where in the group's text.
#[derive(Clone, Copy)]
struct Slot {
    group: u16,
    from: u16,
    len: u8,
}

/// Open addressing. A byte of the hash for each slot stands apart, 0 where the slot is free: a word of prose, which is
/// seldom in the lexicon, reads two kilobytes of a fresh instance's memory and no more.
struct Table {
    tags: [u8; SLOTS],
    slots: [Slot; SLOTS],
}

static TABLE: Table = {
    let free = Slot {
        group: 0,
        from: 0,
        len: 0,
    };
    let mut table = Table {
        tags: [0; SLOTS],
        slots: [free; SLOTS],
    };
    let mut group = 0;
    while group < GROUPS.len() {
        let text = GROUPS[group].1.as_bytes();
        let mut from = 0;
        while from < text.len() {
            let mut end = from;
            while end < text.len() && text[end] != b' ' {
                end += 1;
            }
            let (_, word) = text.split_at(from);
            let (word, _) = word.split_at(end - from);
            let mut buf = [0u8; WORD];
            if let Some(n) = fold_word(word, &mut buf) {
                let h = hash(&buf, n);
                let mut at = h % SLOTS;
                while table.tags[at] != 0 {
                    at = (at + 1) % SLOTS;
                }
                table.tags[at] = tag(h);
                table.slots[at] = Slot {
                    group: group as u16,
                    from: from as u16,
                    len: (end - from) as u8,
                };
            }
            from = end + 1;
        }
        group += 1;
    }
    table
};

/// What tells entries of one chain apart.
const fn tag(h: usize) -> u8 {
    match (h >> 24) as u8 {
        0 => 1,
        tag => tag,
    }
}

pub(super) fn exact(folded: &[u8]) -> Bits {
    let h = hash(folded, folded.len());
    let mut at = h % SLOTS;
    let mut bits = 0;
    while TABLE.tags[at] != 0 {
        if TABLE.tags[at] == tag(h) {
            let Slot { group, from, len } = TABLE.slots[at];
            let (b, text) = GROUPS[usize::from(group)];
            let from = usize::from(from);
            let word = text.as_bytes().get(from..from + usize::from(len));
            let mut buf = [0u8; WORD];
            let same = word
                .and_then(|word| fold_word(word, &mut buf))
                .is_some_and(|n| buf[..n].eq_ignore_ascii_case(folded));
            if same {
                bits |= b;
            }
        }
        at = (at + 1) % SLOTS;
    }
    bits
}

/// What one word suggests. Words of a mixed script, or too long, suggest nothing.
#[must_use]
pub fn word(raw: &[u8]) -> Bits {
    if raw.is_ascii() {
        // Folding is hashing's lower case already.
        return if raw.len() < WORD { exact(raw) } else { 0 };
    }
    let mut buf = [0u8; WORD];
    let Some(n) = fold_word(raw, &mut buf) else {
        return 0;
    };
    let w = &buf[..n];
    let found = exact(w);
    if found != 0 || !matches!(w.first(), Some(0xD8..=0xDB)) {
        return found;
    }
    arabic(w)
}

/// Tries the word without its proclitics, and each of those without a possessive ending.
fn arabic(w: &[u8]) -> Bits {
    let mut stems: [&[u8]; 4] = [w; 4];
    let mut n = 1;
    let mut rest = w;
    // One of و ف ب ل ك, then ال; لل stands for ل + ال.
    if let Some([0xD9, 0x88 | 0x81 | 0x84 | 0x83] | [0xD8, 0xA8]) = rest.first_chunk::<2>() {
        rest = &rest[2..];
        stems[n] = rest;
        n += 1;
    }
    for article in ["ال", "ل", "بال"] {
        if let Some(stem) = rest.strip_prefix(article.as_bytes())
            && n < 4
        {
            stems[n] = stem;
            n += 1;
        }
    }
    for stem in &stems[..n] {
        let found = exact(stem);
        if found != 0 {
            return found;
        }
        for ending in ["ي", "ه", "ها", "ك", "كم", "نا", "هم"] {
            let Some(base) = stem.strip_suffix(ending.as_bytes()) else {
                continue;
            };
            let mut found = exact(base);
            // بطاقتي is بطاقة with its ة opened to ت.
            if found == 0
                && let Some(open) = base.strip_suffix("ت".as_bytes())
            {
                let mut buf = [0u8; WORD + 8];
                if let Some(dst) = buf.get_mut(..open.len() + 2) {
                    dst[..open.len()].copy_from_slice(open);
                    dst[open.len()..].copy_from_slice("ه".as_bytes());
                    found = exact(dst);
                }
            }
            if found != 0 {
                return found;
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sparse_and_lossless() {
        let words: Vec<(&str, Bits)> = GROUPS
            .iter()
            .flat_map(|(bits, words)| words.split(' ').map(|word| (word, *bits)))
            .collect();
        assert!(words.len() * 2 < SLOTS, "{} words", words.len());
        for (w, bits) in words {
            assert_eq!(word(w.as_bytes()) & bits, bits, "{w}");
        }
    }

    #[test]
    fn plain_words_need_no_folding() {
        for (_, words) in GROUPS {
            for w in words.split(' ').filter(|w| w.is_ascii()) {
                let mut buf = [0u8; WORD];
                let n = fold_word(w.to_ascii_uppercase().as_bytes(), &mut buf).unwrap();
                assert_eq!(
                    word(w.to_ascii_uppercase().as_bytes()),
                    exact(&buf[..n]),
                    "{w}"
                );
            }
        }
    }

    #[test]
    fn arabic_words_with_clitics() {
        for w in [
            "الهوية",
            "هوية",
            "بطاقتي",
            "وبطاقة",
            "والهوية",
            "لبطاقتي",
            "للهوية",
            "هويتي",
        ] {
            assert_ne!(word(w.as_bytes()) & ID, 0, "{w}");
        }
        for w in ["جوالي", "هاتفه", "الهاتف", "بالجوال", "وهاتفها"] {
            assert_ne!(word(w.as_bytes()) & PHONE, 0, "{w}");
        }
    }
}
