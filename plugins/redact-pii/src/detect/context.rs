//! Context: which words stand near a candidate, in English, French and Arabic.
//!
//! Words become bits of a [`Bits`] mask through one static hash table over the [lexicon](super::lexicon), so
//! it costs nothing until a candidate asks, and nothing at start-up. Words are compared folded: ASCII
//! case, Latin accents, Arabic letter variants, proclitics (و ف ب ل ك ال) and possessive endings.

pub use super::lexicon::*;

const SLOTS: usize = 2048;

/// Longest word that is looked up, in bytes; Thai takes three for a letter and writes no spaces.
const WORD: usize = 64;

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

/// One word of the lexicon: its group plus one, where in the group's text, and its hash's upper half so
/// that a miss compares no text.
#[derive(Clone, Copy)]
struct Slot {
    group: u16,
    from: u16,
    len: u8,
    tag: u16,
}

const EMPTY: Slot = Slot {
    group: 0,
    from: 0,
    len: 0,
    tag: 0,
};

/// Open addressing.
static TABLE: [Slot; SLOTS] = {
    let mut table = [EMPTY; SLOTS];
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
                let mut slot = h % SLOTS;
                while table[slot].group != 0 {
                    slot = (slot + 1) % SLOTS;
                }
                table[slot] = Slot {
                    group: group as u16 + 1,
                    from: from as u16,
                    len: (end - from) as u8,
                    tag: (h >> 16) as u16,
                };
            }
            from = end + 1;
        }
        group += 1;
    }
    table
};

fn exact(folded: &[u8]) -> Bits {
    let h = hash(folded, folded.len());
    let tag = (h >> 16) as u16;
    let mut at = h % SLOTS;
    let mut bits = 0;
    while TABLE[at].group != 0 {
        let Slot {
            group,
            from,
            len,
            tag: known,
        } = TABLE[at];
        if known == tag {
            let (b, text) = GROUPS[usize::from(group) - 1];
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

/// The context of one candidate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context {
    /// Words right before (five), or the nearest line label.
    pub near: Bits,
    /// Words further before (ten), and right after (four).
    pub far: Bits,
}

/// Whether the byte at `i` belongs to a letter or digit: general, Latin and Arabic punctuation does not.
#[inline]
fn is_word(s: &[u8], i: usize) -> bool {
    let b = s[i];
    if b < 0x80 {
        return b.is_ascii_alphanumeric();
    }
    is_word_beyond_ascii(s, i)
}

fn is_word_beyond_ascii(s: &[u8], i: usize) -> bool {
    let mut lead = i;
    while lead > 0 && s[lead] & 0xC0 == 0x80 {
        lead -= 1;
    }
    let second = s.get(lead + 1).copied().unwrap_or(0);
    !matches!(
        (s[lead], second),
        (0xE2, _) | (0xC2, _) | (0xD8, 0x8C | 0x9B | 0x9F) | (0xD9, 0xAA..=0xAD) | (0xE3, 0x80)
    )
}

/// What is in a run of letters and digits besides small ASCII letters: [`DIGIT`], [`CAPITAL`], [`OTHER`].
type Letters = u8;
const DIGIT: Letters = 1;
const CAPITAL: Letters = 2;
const OTHER: Letters = 4;

const fn letters(b: u8) -> Letters {
    match b {
        b'a'..=b'z' => 0,
        b'0'..=b'9' => DIGIT,
        b'A'..=b'Z' => CAPITAL,
        _ => OTHER,
    }
}

/// What a word of these letters suggests: most words are plain and need one look.
#[inline]
fn suggests(w: &[u8], of: Letters) -> Bits {
    if of == 0 {
        if w.len() < WORD { exact(w) } else { 0 }
    } else {
        token(w)
    }
}

/// Where the run of letters and digits that ends before `stop` begins.
fn run_start(s: &[u8], stop: usize, floor: usize) -> usize {
    let mut i = stop;
    while i > floor && is_word(s, i - 1) {
        i -= 1;
    }
    i
}

/// `C.I.N` or `ب.ت.و`, whose last letter is `i..stop`, as one word: its bits and where it begins.
fn acronym(s: &[u8], mut i: usize, mut stop: usize, floor: usize) -> Option<(Bits, usize)> {
    let mut word_of = [0u8; 16];
    let (mut at, mut letters) = (word_of.len(), 0);
    loop {
        let letter = &s[i..stop];
        let single = letter.len() == 1 || (letter.len() == 2 && letter[0] >= 0x80);
        if !single || at < letter.len() {
            break;
        }
        at -= letter.len();
        word_of[at..at + letter.len()].copy_from_slice(letter);
        letters += 1;
        let dotted = i >= floor + 2 && s[i - 1] == b'.' && is_word(s, i - 2);
        if !dotted {
            break;
        }
        stop = i - 1;
        let before = run_start(s, stop, floor);
        let width = stop - before;
        if width != 1 && !(width == 2 && s[before] >= 0x80) {
            break;
        }
        i = before;
    }
    (letters >= 2).then(|| (word(&word_of[at..]), i))
}

const NEAR_WORDS: usize = 6;
const FAR_WORDS: usize = 12;
const WINDOW: usize = 120;

/// Reads the words before `start`. Another long number, or two line breaks, end the look back: what
/// stands before them belongs to something else.
#[must_use]
pub fn before(s: &[u8], start: usize) -> Context {
    let mut ctx = Context::default();
    let floor = start.saturating_sub(WINDOW);
    let (mut i, mut words, mut breaks, mut crossed) = (start, 0, 0, false);
    let mut grouped = 0;
    while i > floor && words < FAR_WORDS {
        let b = s[i - 1];
        if !is_word(s, i - 1) {
            breaks += usize::from(b == b'\n');
            crossed |= matches!(b, b';' | b'\n' | b'!' | b'?')
                || (b == b'.' && s.get(i) == Some(&b' ') && sentence_ends(s, i - 1));
            if breaks > 2 {
                break;
            }
            i -= 1;
            continue;
        }
        let stop = i;
        let mut of = 0;
        while i > floor && is_word(s, i - 1) {
            i -= 1;
            of |= letters(s[i]);
        }
        if i == floor && floor > 0 {
            break;
        }
        let w = &s[i..stop];
        let digits = if of & DIGIT == 0 {
            0
        } else {
            w.iter().filter(|b| b.is_ascii_digit()).count()
        };
        if digits >= 6 {
            crossed = true;
            words += 2;
            continue;
        }
        if digits > 0 && digits == w.len() {
            // `563 878 704`: a number in groups is another number too.
            grouped += digits;
            crossed |= grouped >= 8;
            continue;
        }
        grouped = 0;
        words += 1;
        let mut bits = suggests(w, of);
        if w.len() <= 2
            && let Some((together, from)) = acronym(s, i, stop, floor)
        {
            bits |= together;
            i = from;
        }
        if bits & CALL != 0 && prose(s, i, stop) {
            bits |= PHONE;
        }
        if words <= NEAR_WORDS && !crossed {
            ctx.near |= bits
        } else {
            ctx.far |= bits
        }
    }
    ctx
}

/// Whether words say something other than that a number is nobody's.
#[must_use]
pub fn speaks(ctx: Context) -> bool {
    (ctx.near | ctx.far) & !NEG != 0
}

/// Reads a few words after `end`, on the same line and in the same sentence; `told` if words before
/// [speak](speaks).
#[must_use]
pub fn after(s: &[u8], end: usize, told: bool) -> Bits {
    let mut far = 0;
    let ceiling = (end + 72).min(s.len());
    let (mut i, mut words) = (end, 0);
    while i < ceiling && words < 8 {
        if !is_word(s, i) {
            // What follows a comma belongs here only if nothing stood before.
            if matches!(s[i], b'\n' | b';')
                || (s[i] == b',' && (told || far != 0))
                || (s[i] == b'.' && s.get(i + 1).is_none_or(|b| *b == b' ' || *b == b'\n'))
            {
                break;
            }
            i += 1;
            continue;
        }
        let from = i;
        let mut of = 0;
        while i < ceiling && is_word(s, i) {
            of |= letters(s[i]);
            i += 1;
        }
        if of & DIGIT != 0 && s[from..i].iter().filter(|b| b.is_ascii_digit()).count() >= 5 {
            break;
        }
        words += 1;
        // What follows is weaker evidence, and never evidence against.
        let bits = suggests(&s[from..i], of);
        if bits & CALL != 0 && prose(s, from, i) {
            far |= PHONE;
        }
        far |= bits & !(NEG | VERSION);
    }
    far
}

/// Whether the word `a..b` is written as prose, not as a part of a name in source text: `FILL_RING`,
/// `text(`, `Call::Start`.
fn prose(s: &[u8], a: usize, b: usize) -> bool {
    let before = a.checked_sub(1).and_then(|i| s.get(i));
    before != Some(&b'_')
        && !matches!(s.get(b), Some(b'_' | b'('))
        && s.get(b..b + 2).is_none_or(|c| c != b"::")
}

/// Whether the full stop at `at` ends a sentence rather than an abbreviation (`no.`, `tél.`).
fn sentence_ends(s: &[u8], at: usize) -> bool {
    let mut a = at;
    while a > 0 && at - a < 24 && is_word(s, a - 1) {
        a -= 1;
    }
    at - a > 3 && word(&s[a..at]) == 0
}

/// Whether the byte at `i` belongs to a Latin character, with or without an accent.
fn latin(w: &[u8], i: usize) -> bool {
    let mut lead = i;
    while lead > 0 && w[lead] & 0xC0 == 0x80 {
        lead -= 1;
    }
    w[lead] < 0x80 || matches!(w[lead], 0xC3..=0xC9)
}

/// Whether a stretch has no place to cut: a plain Latin word, or letters of one other script.
fn single(w: &[u8]) -> bool {
    let Some((first, rest)) = w.split_first() else {
        return true;
    };
    first.is_ascii_alphabetic() && rest.iter().all(u8::is_ascii_lowercase)
        || w.iter().all(|b| *b >= 0x80 && !matches!(b, 0xC3..=0xC9))
}

/// One stretch of letters and digits: Latin glued to Arabic counts as two words, `userPhone` as its
/// parts, `phone2` without its digits.
fn token(w: &[u8]) -> Bits {
    let whole = word(w);
    if whole != 0 || single(w) {
        return whole;
    }
    let mut bits = 0;
    let mut from = 0;
    for i in 1..=w.len() {
        let cut = i == w.len() || {
            let (a, b) = (w[i - 1], w[i]);
            latin(w, i - 1) != latin(w, i)
                || (a.is_ascii_lowercase() && b.is_ascii_uppercase())
                || (a.is_ascii_digit() != b.is_ascii_digit())
        };
        if cut {
            if from > 0 || i < w.len() {
                bits |= word(&w[from..i]);
            }
            from = i;
        }
    }
    bits
}

/// Length of ` الأول` or ` الثاني` at the start of `s`, else 0: the second word of a Levantine month.
#[must_use]
pub fn folded_prefix(s: &[u8]) -> usize {
    [" الأول", " الاول", " الثاني"]
        .iter()
        .find(|w| s.starts_with(w.as_bytes()))
        .map_or(0, |w| w.len())
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

    #[test]
    fn accents_case_and_compounds() {
        assert_ne!(word("NÉE".as_bytes()) & BIRTH, 0);
        assert_ne!(token(b"userPhone") & PHONE, 0);
        assert_ne!(token("رقمphone".as_bytes()) & PHONE, 0);
        assert_eq!(token("vérifier".as_bytes()), 0, "an accent parts no word");
    }

    #[test]
    fn a_number_before_ends_the_near_context() {
        let s = b"CIN 09876543, tel 20123456";
        let c = before(s, 18);
        assert_ne!(c.near & PHONE, 0);
        assert_eq!(c.near & CIN, 0);
        assert_ne!(c.far & CIN, 0);
    }
}
