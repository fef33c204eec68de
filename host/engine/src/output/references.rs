//! Schemas moved to another place: what they refer to moves along.
//!
//! A tool's schema is a document of its own, and its references (`#/$defs/Color`) begin at its root. In a grammar it
//! stands inside another schema, or only one of its properties does.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// Most references that lead from one to the next before one leads to a schema.
const MOST_HOPS: usize = 8;

/// `schema` as it must be written at `place`, a JSON pointer into the document it becomes a part of.
pub(super) fn moved(schema: &Value, place: &str) -> Value {
    match schema {
        // It says itself where its references begin.
        Value::Object(fields) if fields.get("$id").is_some_and(Value::is_string) => schema.clone(),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let value = match (key.as_str(), value) {
                    // Schemas under names of the client's own.
                    (
                        "properties" | "patternProperties" | "dependentSchemas" | "$defs"
                        | "definitions",
                        Value::Object(named),
                    ) => named
                        .iter()
                        .map(|(name, schema)| (name.clone(), moved(schema, place)))
                        .collect(),
                    ("$ref", Value::String(target)) => match target.strip_prefix('#') {
                        // Otherwise another document's, or an anchor, which is found wherever it stands.
                        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                            json!(format!("#{place}{pointer}"))
                        }
                        _ => value.clone(),
                    },
                    // Values, not schemas: what looks like a reference there is none.
                    ("const" | "enum" | "default" | "examples", _) => value.clone(),
                    _ => moved(value, place),
                };
                (key.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|item| moved(item, place)).collect(),
        other => other.clone(),
    }
}

/// One property of `whole`, as a document of its own.
pub(super) fn alone<'a>(property: &'a Value, key: &str, whole: &Value) -> Cow<'a, Value> {
    if !refers(property) {
        return Cow::Borrowed(property);
    }
    let key = key
        .replace('~', "~0")
        .replace('/', "~1")
        .replace('%', "%25");
    Cow::Owned(json!({
        "$defs": { "whole": moved(whole, "/$defs/whole") },
        "$ref": format!("#/$defs/whole/properties/{key}"),
    }))
}

/// The schema that a property is in the end, where it is nothing but a reference.
pub(super) fn target<'a>(property: &'a Value, whole: &'a Value) -> &'a Value {
    let mut schema = property;
    for _ in 0..MOST_HOPS {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
        match pointer.and_then(|pointer| whole.pointer(pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

/// Whether anything in `schema` refers to something.
fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| (key == "$ref" && value.is_string()) || refers(value)),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_move_and_what_only_looks_like_one_does_not() {
        let schema = json!({
            "properties": {
                "a": {"$ref": "#/$defs/A"},
                "b": {"anyOf": [{"$ref": "#"}, {"const": {"$ref": "#/x"}}]},
                "c": {"$ref": "https://example.com/c"},
                "d": {"$ref": "#anchor"},
                "e": {"$id": "https://example.com/e", "items": {"$ref": "#/x"}},
                "$ref": {"type": "string"},
                "const": {"$ref": "#/$defs/A"},
            },
            "$defs": {"A": {"items": {"$ref": "#/properties/b"}}},
        });
        let expected = json!({
            "properties": {
                "a": {"$ref": "#/p/q/$defs/A"},
                "b": {"anyOf": [{"$ref": "#/p/q"}, {"const": {"$ref": "#/x"}}]},
                "c": {"$ref": "https://example.com/c"},
                "d": {"$ref": "#anchor"},
                "e": {"$id": "https://example.com/e", "items": {"$ref": "#/x"}},
                "$ref": {"type": "string"},
                "const": {"$ref": "#/p/q/$defs/A"},
            },
            "$defs": {"A": {"items": {"$ref": "#/p/q/properties/b"}}},
        });
        assert_eq!(moved(&schema, "/p/q"), expected);
        assert_eq!(moved(&schema, ""), schema);
    }

    #[test]
    fn a_property_takes_along_what_it_refers_to() {
        let whole = json!({
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": "integer"}, "c": {"$ref": "#/properties/c"}},
            "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"type": "string"}},
        });
        let [a, b, c] = ["a", "b", "c"].map(|key| &whole["properties"][key]);
        let alone_a = alone(a, "a", &whole);
        assert_eq!(target(&alone_a, &alone_a), &json!({"type": "string"}));
        assert!(matches!(alone(b, "b", &whole), Cow::Borrowed(same) if same == b));
        assert_eq!(target(a, &whole), &json!({"type": "string"}));
        assert_eq!(target(b, &whole), b);
        assert_eq!(target(c, &whole), c, "a circle ends");
    }
}
