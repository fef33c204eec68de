//! `keep_alive`: seconds as a number, or a duration as Go writes it (`1h30m`, `90s`, `-1m`). Anything
//! negative means for ever.

use atoll_sdk::types::KeepAlive;

/// A number of seconds.
pub(crate) fn from_seconds(seconds: f64) -> Option<KeepAlive> {
    if !seconds.is_finite() {
        None
    } else if seconds < 0.0 {
        Some(KeepAlive::Forever)
    } else {
        // A float cast saturates, which is for ever enough.
        Some(KeepAlive::ForMs((seconds * 1000.0) as u64))
    }
}

/// A duration, or a bare number of seconds.
pub(crate) fn from_text(text: &str) -> Option<KeepAlive> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut milliseconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        // Longest first: `ms` before `m`.
        let units = [
            ("ms", 1.0),
            ("h", 3_600_000.0),
            ("m", 60_000.0),
            ("s", 1000.0),
        ];
        let (unit, factor) = units
            .into_iter()
            .find(|(unit, _)| after.starts_with(unit))?;
        milliseconds += number * factor;
        rest = after.strip_prefix(unit)?;
    }
    if negative {
        Some(KeepAlive::Forever)
    } else {
        from_seconds(milliseconds / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, expected) in [
            ("5m", Some(KeepAlive::ForMs(300_000))),
            ("1h30m", Some(KeepAlive::ForMs(5_400_000))),
            ("1.5s", Some(KeepAlive::ForMs(1500))),
            ("250ms", Some(KeepAlive::ForMs(250))),
            ("0", Some(KeepAlive::ForMs(0))),
            ("90", Some(KeepAlive::ForMs(90_000))),
            ("-1", Some(KeepAlive::Forever)),
            ("-1m", Some(KeepAlive::Forever)),
            ("", None),
            ("-", None),
            ("5x", None),
            ("m", None),
            ("1.2.3s", None),
            ("NaN", None),
        ] {
            assert_eq!(from_text(text), expected, "{text}");
        }
    }
}
