//! A plugin's settings: checked against the schema it describes, defaults filled in.
//!
//! The schema comes from the plugin, so it is untrusted too: patterns run on the linear-time regex
//! engine, and references are resolved within the schema only (the validator is built without any
//! resolver for files or the network).

use serde_json::Value;

/// Checks `settings` and returns them with the schema's defaults applied.
///
/// # Errors
/// A sentence for the operator: the schema is no schema (the plugin's defect), or which setting is
/// wrong and how.
pub(crate) fn check(schema: &Value, settings: &Value) -> Result<Value, String> {
    let validator = jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("the plugin's settings schema is not a JSON Schema: {error}"))?;
    let mut settings = match settings {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Object(_) => settings.clone(),
        _ => return Err("must be a table of settings".to_owned()),
    };
    apply_defaults(schema, &mut settings, 0);
    // Said without the value: it may be a key, and this goes to the log and to whoever lists plugins. The
    // schema is the plugin's, so which setting is wrong is the plugin's choice.
    let mut errors = validator.iter_errors(&settings).map(|error| {
        let at = error.instance_path().to_string();
        if at.is_empty() {
            error.masked().to_string()
        } else {
            format!("{at}: {}", error.masked())
        }
    });
    match errors.next() {
        None => {
            drop(errors);
            Ok(settings)
        }
        Some(first) => {
            let rest: Vec<String> = errors.take(4).collect();
            Err(std::iter::once(first)
                .chain(rest)
                .collect::<Vec<_>>()
                .join("; "))
        }
    }
}

/// Fills in `default` of missing properties, then of properties within. Nothing else of the schema
/// carries defaults that can be applied without guessing (`anyOf`, `$ref` branches).
fn apply_defaults(schema: &Value, value: &mut Value, depth: usize) {
    // Schemas come from plugins: bounded nesting.
    if depth > 16 {
        return;
    }
    let (Some(properties), Value::Object(object)) =
        (schema.get("properties").and_then(Value::as_object), value)
    else {
        return;
    };
    for (name, property) in properties {
        if let Some(inner) = object.get_mut(name) {
            apply_defaults(property, inner, depth + 1);
        } else if let Some(default) = property.get("default") {
            let mut default = default.clone();
            apply_defaults(property, &mut default, depth + 1);
            object.insert(name.clone(), default);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_reach_into_given_and_defaulted_objects() {
        let schema = json!({
            "type": "object",
            "properties": {
                "mode": { "type": "string", "default": "mask" },
                "limits": { "type": "object", "default": {}, "properties": { "n": { "type": "integer", "default": 3 } } },
                "other": { "type": "object", "properties": { "x": { "default": 1 } } }
            },
            "additionalProperties": false
        });
        assert_eq!(
            check(&schema, &Value::Null).unwrap(),
            json!({ "mode": "mask", "limits": { "n": 3 } })
        );
        assert_eq!(
            check(&schema, &json!({ "mode": "drop", "other": {} })).unwrap(),
            json!({ "mode": "drop", "other": { "x": 1 }, "limits": { "n": 3 } })
        );
    }

    #[test]
    fn says_which_setting_is_wrong() {
        let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "additionalProperties": false });
        assert!(
            check(&schema, &json!({ "n": "x" }))
                .unwrap_err()
                .starts_with("/n: ")
        );
        assert!(
            check(&schema, &json!({ "m": 1 }))
                .unwrap_err()
                .contains('m')
        );
        assert!(check(&schema, &json!([])).is_err());
        assert!(
            check(&json!({ "type": 7 }), &json!({}))
                .unwrap_err()
                .contains("not a JSON Schema")
        );
        assert_eq!(
            check(&json!({}), &json!({ "anything": 1 })).unwrap(),
            json!({ "anything": 1 })
        );
    }

    /// The schema decides what is wrong, and the schema is a stranger's.
    #[test]
    fn a_wrong_setting_is_named_and_not_shown() {
        let secret =
            json!({ "key": "s3cret", "keys": ["s3cret", "s3cret"], "map": { "k": "s3cret" } });
        for schema in [
            json!({ "properties": { "key": { "type": "integer" } } }),
            json!({ "properties": { "key": { "pattern": "^x$" } } }),
            json!({ "properties": { "key": { "enum": ["a"] } } }),
            json!({ "properties": { "key": { "const": "a" } } }),
            json!({ "properties": { "key": { "maxLength": 1 } } }),
            json!({ "properties": { "key": { "format": "uuid", "minLength": 99 } } }),
            json!({ "properties": { "key": { "not": {} } } }),
            json!({ "properties": { "key": { "anyOf": [{ "type": "null" }, { "const": 1 }] } } }),
            json!({ "properties": { "key": { "oneOf": [true, true] } } }),
            json!({ "properties": { "keys": { "uniqueItems": true } } }),
            json!({ "properties": { "keys": { "contains": { "type": "null" } } } }),
            json!({ "properties": { "map": { "maxProperties": 0 } } }),
            json!({ "properties": { "map": { "additionalProperties": false } } }),
            json!({ "properties": { "key": false } }),
            json!({ "maxProperties": 0 }),
            json!({ "required": ["other"] }),
        ] {
            let reason = check(&schema, &secret).unwrap_err();
            assert!(!reason.contains("s3cret"), "{schema}: {reason}");
        }
    }

    #[test]
    fn schemas_cannot_reach_outside() {
        let schema =
            json!({ "properties": { "n": { "$ref": "https://example.com/schema.json" } } });
        assert!(check(&schema, &json!({ "n": 1 })).is_err());
        let schema = json!({ "properties": { "n": { "$ref": "file:///etc/passwd" } } });
        assert!(check(&schema, &json!({ "n": 1 })).is_err());
    }
}
