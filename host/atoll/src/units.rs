//! Sizes and times as people write and read them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes: `512MiB`, `4GiB`, `2GB`, `1000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "BytesText")]
pub struct Bytes(pub u64);

/// How a size may stand in a file: as text with a unit, or as a plain number.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum BytesText {
    Number(u64),
    Text(String),
}

impl TryFrom<BytesText> for Bytes {
    type Error = String;

    fn try_from(text: BytesText) -> Result<Self, String> {
        match text {
            BytesText::Number(bytes) => Ok(Self(bytes)),
            BytesText::Text(text) => text.parse(),
        }
    }
}

const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = || format!("{text:?} is not a size; write one such as 512MiB or 4GiB");
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let unit = match unit.as_str() {
            "m" => "mib",
            "g" => "gib",
            other => other,
        };
        let number: u64 = number.parse().map_err(|_| hint())?;
        let (_, scale) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(hint)?;
        number.checked_mul(*scale).map(Self).ok_or_else(hint)
    }
}

impl fmt::Display for Bytes {
    /// Three digits at most, in binary units.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            let whole = self.0 >> shift;
            if whole >= 1 {
                let tenths = ((self.0 >> (shift - 10)) & 1023) * 10 / 1024;
                return if whole >= 100 {
                    write!(f, "{whole} {unit}")
                } else {
                    write!(f, "{whole}.{tenths} {unit}")
                };
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A span of time in seconds: `30m`, `12h`, `90d`, `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub u64);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = || format!("{text:?} is not a span of time; write one such as 12h or 90d");
        let trimmed = text.trim();
        let last = trimmed.char_indices().next_back().map_or(0, |(at, _)| at);
        let (number, unit) = trimmed.split_at(last);
        let scale = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(hint()),
        };
        let number: u64 = number.trim().parse().map_err(|_| hint())?;
        number.checked_mul(scale).map(Self).ok_or_else(hint)
    }
}

impl fmt::Display for Span {
    /// One unit, rounded down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (seconds, unit) in [(86_400, "d"), (3600, "h"), (60, "m")] {
            if self.0 >= seconds {
                return write!(f, "{}{unit}", self.0 / seconds);
            }
        }
        write!(f, "{}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("4GiB", 4 << 30),
            ("4 gib", 4 << 30),
            ("2g", 2 << 30),
            ("512m", 512 << 20),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "GiB", "-1", "1.5GiB", "4 parsecs", "99999999999GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_of_time() {
        for (text, seconds, shown) in [
            ("30s", 30, "30s"),
            ("90m", 5400, "1h"),
            ("12h", 43_200, "12h"),
            ("90d", 7_776_000, "90d"),
            ("2 w", 1_209_600, "14d"),
        ] {
            assert_eq!(text.parse(), Ok(Span(seconds)), "{text}");
            assert_eq!(Span(seconds).to_string(), shown);
        }
        for text in ["", "d", "7", "-1d", "1é", "99999999999999999999w"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn and_written_as_people_read_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (15 << 20, "15.0 MiB"),
            (400 << 30, "400 GiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
