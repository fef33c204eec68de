//! Reading JSON requests field by field, with errors that name the field.
//!
//! [`Fields`] is an object whose fields are taken out one at a time; what nobody took is
//! [`Fields::rest`], so that nothing a client sent is lost silently. Values stay JSON text until
//! they are read: key order and number spelling of schemas survive, and a deeply nested value
//! costs no stack.
//!
//! A field that is `null` counts as absent, as the APIs in use have it.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::types::Error;

/// Appends a value as JSON.
///
/// # Errors
/// The value does not serialize (a map whose keys are not strings).
pub fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    serde_json::to_writer(out, value).map_err(|error| Error::internal(format!("JSON: {error}")))
}

/// A value as JSON bytes.
///
/// # Errors
/// The value does not serialize.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    write(&mut out, value)?;
    Ok(out)
}

/// A JSON value and where in the request it stands.
#[derive(Clone, Debug)]
pub struct Field {
    path: String,
    raw: Box<RawValue>,
}

/// What a JSON value is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number
    Number,
    /// A string
    String,
    /// A list
    Array,
    /// An object
    Object,
}

impl Field {
    /// A value that stands at `path`.
    #[must_use]
    pub fn new(path: impl Into<String>, raw: Box<RawValue>) -> Self {
        Self {
            path: path.into(),
            raw,
        }
    }

    /// Where it stands, such as `messages[0].role`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.raw.get().trim_start().as_bytes().first() {
            Some(b'n') | None => Kind::Null,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'"') => Kind::String,
            Some(b'[') => Kind::Array,
            Some(b'{') => Kind::Object,
            Some(_) => Kind::Number,
        }
    }

    /// Its JSON text, exactly as the client wrote it.
    #[must_use]
    pub fn json(&self) -> &str {
        self.raw.get()
    }

    /// Reads it as a type of yours.
    ///
    /// # Errors
    /// It is something else.
    pub fn read<T: DeserializeOwned>(&self, expected: &str) -> Result<T, Error> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong(expected))
    }

    /// The error that this value is not what it should be: `wrong("a string")`.
    #[must_use]
    pub fn wrong(&self, expected: &str) -> Error {
        let path = &self.path;
        Error::invalid(
            path,
            format!("Invalid value for '{path}': expected {expected}."),
        )
    }

    /// Reads a string.
    ///
    /// # Errors
    /// It is something else, or holds half a surrogate pair.
    pub fn string(&self) -> Result<String, Error> {
        self.read("a string")
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// It is something else.
    pub fn bool(&self) -> Result<bool, Error> {
        self.read("a boolean")
    }

    /// Reads an integer of at least 0.
    ///
    /// # Errors
    /// It is something else or too large.
    pub fn u32(&self) -> Result<u32, Error> {
        let number: u64 = self.read("an integer of at least 0")?;
        u32::try_from(number)
            .map_err(|_| self.wrong(&format!("an integer of at most {}", u32::MAX)))
    }

    /// Reads a finite number.
    ///
    /// # Errors
    /// It is something else.
    pub fn f64(&self) -> Result<f64, Error> {
        self.read::<f64>("a number").and_then(|number| {
            if number.is_finite() {
                Ok(number)
            } else {
                Err(self.wrong("a number"))
            }
        })
    }

    /// Reads a finite number in a range.
    ///
    /// # Errors
    /// It is something else or outside.
    pub fn f64_in(&self, range: RangeInclusive<f64>) -> Result<f64, Error> {
        let number = self.f64()?;
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(self.wrong(&format!(
                "a number from {} to {}",
                range.start(),
                range.end()
            )))
        }
    }

    /// Reads a list; each element knows its own path.
    ///
    /// # Errors
    /// It is something else.
    pub fn array(&self) -> Result<Vec<Field>, Error> {
        let items: Vec<Box<RawValue>> = self.read("an array")?;
        Ok(items
            .into_iter()
            .enumerate()
            .map(|(index, raw)| Field::new(format!("{}[{index}]", self.path), raw))
            .collect())
    }

    /// Reads an object.
    ///
    /// # Errors
    /// It is something else.
    pub fn object(&self) -> Result<Fields, Error> {
        let entries: Entries = self.read("an object")?;
        Ok(Fields {
            path: self.path.clone(),
            entries: entries.0,
        })
    }
}

/// An object whose fields are taken out one at a time.
#[derive(Clone, Debug)]
pub struct Fields {
    path: String,
    entries: Vec<(String, Box<RawValue>)>,
}

impl Fields {
    /// Reads a request body, which must be one JSON object.
    ///
    /// # Errors
    /// It is not; the message says where it breaks but not what it holds.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let entries: Entries = serde_json::from_slice(body).map_err(|error| {
            Error::new(
                crate::types::ErrorKind::InvalidArgument,
                format!(
                    "The request body is not a JSON object (line {}, column {}).",
                    error.line(),
                    error.column()
                ),
            )
        })?;
        Ok(Self {
            path: String::new(),
            entries: entries.0,
        })
    }

    /// Where the object stands; empty for the body itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where a field of it stands.
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Takes a field out. `null` is taken out too and counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Field> {
        let index = self.entries.iter().position(|(key, _)| key == name)?;
        let (_, raw) = self.entries.remove(index);
        let field = Field::new(self.path_of(name), raw);
        (field.kind() != Kind::Null).then_some(field)
    }

    /// Takes out a field that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn require(&mut self, name: &str) -> Result<Field, Error> {
        self.take(name)
            .ok_or_else(|| Error::missing(self.path_of(name)))
    }

    /// Takes out a string.
    ///
    /// # Errors
    /// It is something else.
    pub fn string(&mut self, name: &str) -> Result<Option<String>, Error> {
        self.take(name).map(|field| field.string()).transpose()
    }

    /// Takes out `true` or `false`.
    ///
    /// # Errors
    /// It is something else.
    pub fn bool(&mut self, name: &str) -> Result<Option<bool>, Error> {
        self.take(name).map(|field| field.bool()).transpose()
    }

    /// Takes out an integer of at least 0.
    ///
    /// # Errors
    /// It is something else or too large.
    pub fn u32(&mut self, name: &str) -> Result<Option<u32>, Error> {
        self.take(name).map(|field| field.u32()).transpose()
    }

    /// Takes out a number in a range.
    ///
    /// # Errors
    /// It is something else or outside.
    pub fn f64_in(&mut self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Error> {
        self.take(name).map(|field| field.f64_in(range)).transpose()
    }

    /// Takes out a list.
    ///
    /// # Errors
    /// It is something else.
    pub fn array(&mut self, name: &str) -> Result<Option<Vec<Field>>, Error> {
        self.take(name).map(|field| field.array()).transpose()
    }

    /// Takes out an object.
    ///
    /// # Errors
    /// It is something else.
    pub fn object(&mut self, name: &str) -> Result<Option<Fields>, Error> {
        self.take(name).map(|field| field.object()).transpose()
    }

    /// Takes out an object as JSON text, unread but for being one.
    ///
    /// # Errors
    /// It is something else.
    pub fn object_json(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(field) if field.kind() == Kind::Object => Ok(Some(field.json().to_owned())),
            Some(field) => Err(field.wrong("an object")),
        }
    }

    /// Whether a field is there and not `null`, without taking it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|(key, raw)| key == name && raw.get() != "null")
    }

    /// Puts a field in, under a name that `rest` should report it by.
    pub fn put(&mut self, name: impl Into<String>, field: Field) {
        self.entries.push((name.into(), field.raw));
    }

    /// What nobody took, as a JSON object; none if that is nothing. Fields that are `null` say
    /// nothing and are left out.
    ///
    /// # Errors
    /// Never for fields that came from JSON.
    pub fn rest(self) -> Result<Option<String>, Error> {
        let mut out = Vec::from(*b"{");
        for (name, raw) in self.entries.iter().filter(|(_, raw)| raw.get() != "null") {
            if out.len() > 1 {
                out.push(b',');
            }
            write(&mut out, name)?;
            out.push(b':');
            out.extend_from_slice(raw.get().as_bytes());
        }
        if out.len() == 1 {
            return Ok(None);
        }
        out.push(b'}');
        String::from_utf8(out)
            .map(Some)
            .map_err(|_| Error::internal("JSON text is not UTF-8"))
    }
}

/// The fields of an object in order; of a repeated name the last counts, as in most parsers.
struct Entries(Vec<(String, Box<RawValue>)>);

/// More distinct fields than any request has; beyond it, repeats cost too much to look for.
const MOST_FIELDS: usize = 4096;

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, Box<RawValue>>()? {
                    if let Some(entry) = entries.iter_mut().find(|(key, _)| *key == name) {
                        entry.1 = raw;
                    } else if entries.len() < MOST_FIELDS {
                        entries.push((name, raw));
                    } else {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ErrorKind;

    fn fields(json: &str) -> Fields {
        Fields::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn errors_name_the_path_to_the_field() {
        let messages = fields(r#"{"messages":[{"role":"user"},{"role":7}]}"#)
            .array("messages")
            .unwrap()
            .unwrap();
        let error = messages[1].object().unwrap().string("role").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("messages[1].role"));
        assert_eq!(error.kind, ErrorKind::InvalidArgument);
    }

    #[test]
    fn null_is_absent_and_the_rest_is_kept_as_written() {
        let mut object = fields(r#"{"a":null,"b":1,"z":1.50,"y":{"k": [1e2]},"x":null}"#);
        assert!(object.take("a").is_none());
        assert_eq!(object.u32("b").unwrap(), Some(1));
        assert_eq!(
            object.rest().unwrap().unwrap(),
            r#"{"z":1.50,"y":{"k": [1e2]}}"#
        );
        assert_eq!(fields(r#"{"x":null}"#).rest().unwrap(), None);
    }

    #[test]
    fn the_last_of_a_repeated_field_counts() {
        assert_eq!(fields(r#"{"a":1,"a":2}"#).u32("a").unwrap(), Some(2));
    }

    #[test]
    fn numbers_are_checked() {
        assert!(fields(r#"{"t":2.5}"#).f64_in("t", 0.0..=2.0).is_err());
        assert_eq!(
            fields(r#"{"t":2}"#).f64_in("t", 0.0..=2.0).unwrap(),
            Some(2.0)
        );
        assert!(fields(r#"{"t":1e999}"#).f64_in("t", 0.0..=2.0).is_err());
        assert!(fields(r#"{"n":-1}"#).u32("n").is_err());
        assert!(fields(r#"{"n":1.5}"#).u32("n").is_err());
        assert!(fields(r#"{"n":4294967296}"#).u32("n").is_err());
    }

    #[test]
    fn bodies_that_are_no_object_are_refused_without_being_quoted() {
        for body in ["", "[]", "secret", "{\"a\":secret}", "{}{}", "\u{feff}{}"] {
            let error = Fields::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidArgument, "{body}");
            assert!(!error.message.contains("secret"));
        }
        assert!(Fields::parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        let mut object = fields(&deep);
        assert_eq!(object.take("a").unwrap().kind(), Kind::Array);
    }

    #[test]
    fn half_a_surrogate_pair_is_an_error_of_its_field() {
        let error = fields(r#"{"model":"\ud800"}"#).string("model").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("model"));
    }
}
