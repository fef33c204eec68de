//! `tojson` as Python's `json.dumps` writes it, which is what models were trained on: `", "` and
//! `": "` between items, no HTML escaping, floats as Python prints them.

use std::fmt::Write as _;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

/// Deepest nesting written; also ends values that contain themselves.
const MAX_DEPTH: usize = 128;

/// The options of `json.dumps` that templates use.
#[derive(Debug, Clone)]
pub(super) struct JsonStyle {
    pub ensure_ascii: bool,
    pub indent: Option<usize>,
    pub item_separator: String,
    pub key_separator: String,
    pub sort_keys: bool,
}

impl JsonStyle {
    /// Python's defaults, except that non-ASCII text stays as it is (as in transformers).
    pub fn new(indent: Option<usize>) -> Self {
        let item_separator = if indent.is_some() { "," } else { ", " }.to_owned();
        Self {
            ensure_ascii: false,
            indent,
            item_separator,
            key_separator: ": ".to_owned(),
            sort_keys: false,
        }
    }
}

/// Writes `value`; costs fuel as it goes, so that no value is too large to fail in time.
pub(super) fn write(
    state: &State<'_, '_>,
    value: &Value,
    style: &JsonStyle,
) -> Result<String, Error> {
    let mut writer = Writer {
        state,
        style,
        out: String::new(),
        charged: 0,
    };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    style: &'a JsonStyle,
    out: String,
    /// Bytes of `out` already paid for.
    charged: usize,
}

impl Writer<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "tojson: nested too deeply",
            ));
        }
        // A quarter of the engine's own price per byte of serialised output, in steps of 256 bytes.
        if self.out.len() >= self.charged + 256 {
            self.state
                .consume_fuel(((self.out.len() - self.charged) / 16) as u64)?;
            self.charged = self.out.len();
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or("")),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.checked();
                self.container('[', ']', depth, items, |writer, item| {
                    writer.value(&item, depth + 1)
                })?;
            }
            ValueKind::Map => {
                let mut keys = value.try_iter()?.checked().collect::<Result<Vec<_>, _>>()?;
                if self.style.sort_keys {
                    keys.sort_by_key(key_text);
                }
                self.container('{', '}', depth, keys.into_iter().map(Ok), |writer, key| {
                    writer.string(&key_text(&key));
                    writer.out.push_str(&writer.style.key_separator);
                    writer.value(&value.get_item(&key)?, depth + 1)
                })?;
            }
            other => {
                let reason = format!("tojson: {other} is not JSON serializable");
                return Err(Error::new(ErrorKind::InvalidOperation, reason));
            }
        }
        Ok(())
    }

    fn container(
        &mut self,
        open: char,
        close: char,
        depth: usize,
        items: impl Iterator<Item = Result<Value, Error>>,
        mut write_item: impl FnMut(&mut Self, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        let mut empty = true;
        for item in items {
            if !empty {
                self.out.push_str(&self.style.item_separator);
            }
            empty = false;
            self.line_break(depth + 1);
            write_item(self, item?)?;
        }
        if !empty {
            self.line_break(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line_break(&mut self, depth: usize) {
        if let Some(indent) = self.style.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn number(&mut self, value: &Value) {
        if value.is_integer() {
            self.out.push_str(&value.to_string());
        } else if let Ok(number) = f64::try_from(value.clone()) {
            self.out.push_str(&python_float(number));
        } else {
            self.out.push_str("null");
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for char in text.chars() {
            match char {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                char if char < ' ' || self.style.ensure_ascii && char > '~' => {
                    let mut units = [0; 2];
                    for unit in char.encode_utf16(&mut units) {
                        // Writing to a String cannot fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                char => self.out.push(char),
            }
        }
        self.out.push('"');
    }
}

/// A key as Python writes it: strings as they are, the rest in JSON's spelling.
fn key_text(key: &Value) -> String {
    match key.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Number => f64::try_from(key.clone())
            .ok()
            .filter(|_| !key.is_integer())
            .map_or_else(|| key.to_string(), python_float),
        _ => key.as_str().map_or_else(|| key.to_string(), str::to_owned),
    }
}

/// `repr(float)`: shortest digits that round-trip; an exponent below 1e-4 and from 1e16 on, with a
/// sign and two digits.
pub(super) fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        // Rust's Debug keeps the ".0" and gives shortest digits, without an exponent in this range.
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::python_float;

    /// Expected texts are CPython's.
    #[test]
    fn floats_as_python_prints_them() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (123.456, "123.456"),
        ] {
            assert_eq!(python_float(number), expected);
        }
    }
}
