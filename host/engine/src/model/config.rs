//! Reading `config.json`: typed fields with bounds, and errors that name the field.
//!
//! Every size a family reads passes through [`Fields::size`] with one of the upper bounds below.
//! They are several times what the largest published models have, and small enough that a product
//! of any two, times eight bytes, fits in 64 bits: nothing downstream needs checked arithmetic.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::ModelError;

/// Largest config.json read. Published ones have a few kilobytes; per-layer quantisation of a
/// mixture-of-experts model reaches a megabyte.
pub(crate) const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// Most decoder layers. Llama 3.1 405B has 126.
pub(super) const MAX_LAYERS: usize = 1024;
/// Widest residual stream. Llama 3.1 405B has 16,384.
pub(super) const MAX_HIDDEN: usize = 1 << 17;
/// Widest MLP. Llama 3.1 405B has 53,248.
pub(super) const MAX_INTERMEDIATE: usize = 1 << 20;
/// Most attention heads. Llama 3.1 405B has 128.
pub(super) const MAX_HEADS: usize = 4096;
/// Widest attention head. Gemma has 256.
pub(super) const MAX_HEAD_DIM: usize = 1024;
/// Largest vocabulary. Gemma 3 has 262,208.
pub(super) const MAX_VOCAB: usize = 1 << 22;
/// Longest context. Published ones reach 10 million.
pub(super) const MAX_POSITIONS: usize = 1 << 24;

/// An object of the configuration and where it stands in the file.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// The whole file.
    pub fn root(value: &'a Value) -> Result<Self, ModelError> {
        match value {
            Value::Object(object) => Ok(Self {
                object,
                path: String::new(),
            }),
            _ => Err(ModelError::config("(root)", "must be an object")),
        }
    }

    /// The dotted path of `name`, for errors.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The value of `name`; null counts as absent.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether `name` is there at all, be it null.
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.object.iter()
    }

    /// The nested object `name`.
    pub fn object(&self, name: &str) -> Result<Option<Fields<'a>>, ModelError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Fields {
                object,
                path: self.path(name),
            })),
            Some(_) => Err(ModelError::config(self.path(name), "must be an object")),
        }
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>, ModelError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ModelError::config(self.path(name), "must be a string")),
        }
    }

    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(ModelError::config(self.path(name), "must be true or false")),
        }
    }

    /// A finite number in `range`.
    pub fn number(
        &self,
        name: &str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.as_f64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(ModelError::config(
                self.path(name),
                format!(
                    "is {}, but must be a number from {} to {}",
                    brief(value),
                    range.start(),
                    range.end()
                ),
            )),
        }
    }

    /// A size from 1 to `max`, or `None` if absent.
    pub fn optional_size(&self, name: &str, max: usize) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        match size.filter(|size| (1..=max).contains(size)) {
            Some(size) => Ok(Some(size)),
            None => Err(ModelError::config(
                self.path(name),
                format!(
                    "is {}, but must be a whole number from 1 to {max}",
                    brief(value)
                ),
            )),
        }
    }

    /// A size from 1 to `max` that must be there.
    pub fn size(&self, name: &str, max: usize) -> Result<usize, ModelError> {
        self.optional_size(name, max)?.ok_or_else(|| {
            ModelError::config(
                self.path(name),
                "is missing; is this the config.json of a language model?",
            )
        })
    }

    /// Refuses any text but the `expected` ones; absent is fine.
    pub fn expect_text(&self, name: &str, expected: &[&str]) -> Result<(), ModelError> {
        match self.text(name)? {
            Some(text) if !expected.contains(&text) => Err(ModelError::unsupported(
                self.path(name),
                format!("{text:?}"),
                format!("this family runs with {}", expected.join(" or ")),
            )),
            _ => Ok(()),
        }
    }
}

/// A value as a message may show it: never a page of somebody's file.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or("")),
        None => text,
    }
}
