//! The filter's settings, and the JSON Schema that describes them.
//!
//! Anything unknown or out of range is an error: a filter that does not do what its configuration says
//! must refuse requests, not run with something else.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::detect::{Class, Custom, CustomError, Detector, Entity, Kind, Rules, THRESHOLD};

/// What happens to a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A token stands for it, and the answer gets it back.
    Pseudonymise,
    /// Letters and digits become `X`.
    Mask,
    /// It is cut out.
    Drop,
    /// The request is refused.
    Block,
    /// It stays, and is reported.
    Report,
}

impl Action {
    /// As findings and settings write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Action::Pseudonymise => "pseudonymise",
            Action::Mask => "mask",
            Action::Drop => "drop",
            Action::Block => "block",
            Action::Report => "report",
        }
    }
}

/// What happens to content that has no text to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unreadable {
    /// The request is refused.
    Block,
    /// It goes to the model as it is.
    Pass,
}

/// Into which tools' arguments values are restored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RestoreInTools {
    /// `never` or `always`.
    All(Everywhere),
    /// Tools by name.
    Only(Vec<String>),
}

/// Two words for all tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Everywhere {
    /// No tool.
    Never,
    /// Every tool.
    Always,
}

/// The settings as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Only these entities, instead of the default set.
    pub entities: Option<Vec<String>>,
    /// These as well.
    pub include: Vec<String>,
    /// Not these.
    pub exclude: Vec<String>,
    /// Hundredths of certainty from which a candidate counts.
    pub threshold: u8,
    /// For personal data without an action of its own.
    pub action: Action,
    /// For secrets without an action of their own.
    pub secret_action: Action,
    /// Per entity.
    pub actions: BTreeMap<String, Action>,
    /// Refuse what cannot be read, unless `unreadable` says otherwise.
    pub strict: bool,
    /// For images, audio, binary documents, token inputs and unknown parts.
    pub unreadable: Option<Unreadable>,
    /// Whether answers may show secrets again.
    pub restore_secrets: bool,
    /// Into which tools' arguments values are restored: a way out of the house, so none unless named.
    pub restore_in_tools: RestoreInTools,
    /// Entities of one's own.
    pub custom: Vec<Custom>,
    /// Values that are never findings.
    pub allow: Vec<String>,
    /// Words that always are.
    pub deny: Vec<String>,
    /// Makes pseudonym tags unpredictable to other tenants.
    pub key: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            entities: None,
            include: Vec::new(),
            exclude: Vec::new(),
            threshold: THRESHOLD,
            action: Action::Pseudonymise,
            secret_action: Action::Pseudonymise,
            actions: BTreeMap::new(),
            strict: true,
            unreadable: None,
            restore_secrets: false,
            restore_in_tools: RestoreInTools::Only(Vec::new()),
            custom: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            key: String::new(),
        }
    }
}

/// What is wrong with settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No entity of that name.
    #[error("{field}: unknown entity \"{name}\"")]
    UnknownEntity {
        /// The setting.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// Out of range.
    #[error("threshold: {0} is not between 1 and 100")]
    Threshold(u8),
    /// One of `custom`, `allow`, `deny`.
    #[error(transparent)]
    Custom(#[from] CustomError),
}

/// Settings, checked and ready.
#[derive(Debug)]
pub struct Policy {
    /// Finds entities.
    pub detector: Detector,
    builtin: [Action; Entity::ALL.len()],
    custom: Vec<Action>,
    secrets: Vec<bool>,
    /// For what cannot be read.
    pub unreadable: Unreadable,
    /// Whether answers may show secrets again.
    pub restore_secrets: bool,
    restore_in_tools: RestoreInTools,
    /// Key of the tags.
    pub key: Vec<u8>,
}

impl Policy {
    /// Checks settings.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting and the value.
    pub fn new(s: Settings) -> Result<Self, SettingsError> {
        if !(1..=100).contains(&s.threshold) {
            return Err(SettingsError::Threshold(s.threshold));
        }
        let rules = Rules::new(s.custom, s.allow, s.deny)?;
        let named = |field: &'static str, names: &[String]| {
            names
                .iter()
                .map(|n| {
                    Entity::by_name(n).ok_or_else(|| SettingsError::UnknownEntity {
                        field,
                        name: n.clone(),
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let mut wanted = match &s.entities {
            Some(only) => named("entities", only)?,
            None => Entity::ALL
                .iter()
                .copied()
                .filter(|e| e.on_by_default())
                .collect(),
        };
        wanted.extend(named("include", &s.include)?);
        let unwanted = named("exclude", &s.exclude)?;
        wanted.retain(|e| !unwanted.contains(e));
        let mut builtin = [s.action; Entity::ALL.len()];
        for (slot, e) in builtin.iter_mut().zip(Entity::ALL) {
            if e.class() == Class::Secret {
                *slot = s.secret_action;
            }
        }
        let names: Vec<String> = rules.names().map(str::to_owned).collect();
        let secrets: Vec<bool> = (0..names.len())
            .map(|i| rules.secret(u16::try_from(i).unwrap_or(u16::MAX)))
            .collect();
        let mut custom: Vec<Action> = secrets
            .iter()
            .map(|&x| if x { s.secret_action } else { s.action })
            .collect();
        for (name, action) in &s.actions {
            if let Some(e) = Entity::by_name(name) {
                builtin[e as usize] = *action;
            } else if let Some(i) = names.iter().position(|n| n == name) {
                custom[i] = *action;
            } else {
                return Err(SettingsError::UnknownEntity {
                    field: "actions",
                    name: name.clone(),
                });
            }
        }
        let strict = if s.strict {
            Unreadable::Block
        } else {
            Unreadable::Pass
        };
        Ok(Policy {
            detector: Detector::new(wanted, s.threshold, rules),
            builtin,
            custom,
            secrets,
            unreadable: s.unreadable.unwrap_or(strict),
            restore_secrets: s.restore_secrets,
            restore_in_tools: s.restore_in_tools,
            key: s.key.into_bytes(),
        })
    }

    /// What to do with a finding.
    #[must_use]
    pub fn action(&self, kind: Kind) -> Action {
        match kind {
            Kind::Builtin(e) => self
                .builtin
                .get(e as usize)
                .copied()
                .unwrap_or(Action::Block),
            Kind::Custom(i) => self
                .custom
                .get(usize::from(i))
                .copied()
                .unwrap_or(Action::Block),
        }
    }

    /// Whether the answer may show a value of this kind again.
    #[must_use]
    pub fn restorable(&self, kind: Kind) -> bool {
        let secret = match kind {
            Kind::Builtin(e) => e.class() == Class::Secret,
            Kind::Custom(i) => self.secrets.get(usize::from(i)).copied().unwrap_or(true),
        };
        !secret || self.restore_secrets
    }

    /// Whether values are restored into this tool's arguments.
    #[must_use]
    pub fn restores_in(&self, tool: &str) -> bool {
        match &self.restore_in_tools {
            RestoreInTools::All(Everywhere::Always) => true,
            RestoreInTools::All(Everywhere::Never) => false,
            RestoreInTools::Only(names) => names.iter().any(|n| n == tool),
        }
    }
}

/// The JSON Schema of [`Settings`].
#[must_use]
pub fn schema() -> String {
    let action = serde_json::json!({ "enum": ["pseudonymise", "mask", "drop", "block", "report"] });
    let names: Vec<&str> = Entity::ALL.iter().map(|e| e.name()).collect();
    let entities =
        serde_json::json!({ "type": "array", "items": { "enum": names }, "uniqueItems": true });
    let strings = |limit: usize| serde_json::json!({ "type": "array", "items": { "type": "string" }, "maxItems": limit });
    let with_default = |mut schema: serde_json::Value, default: &str, text: &str| {
        if let Some(o) = schema.as_object_mut() {
            o.insert("default".into(), default.into());
            o.insert("description".into(), text.into());
        }
        schema
    };
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "entities": entities,
            "include": entities,
            "exclude": entities,
            "threshold": { "type": "integer", "minimum": 1, "maximum": 100, "default": THRESHOLD },
            "action": with_default(action.clone(), "pseudonymise", "For personal data without an action of its own."),
            "secret_action": with_default(action.clone(), "pseudonymise", "For secrets without an action of their own."),
            "actions": { "type": "object", "additionalProperties": action, "description": "Action by entity." },
            "strict": { "type": "boolean", "default": true, "description": "Refuse what cannot be read." },
            "unreadable": { "enum": ["block", "pass"], "description": "Images, audio, binary documents, token inputs, unknown parts." },
            "restore_secrets": { "type": "boolean", "default": false },
            "restore_in_tools": {
                "anyOf": [{ "enum": ["never", "always"] }, { "type": "array", "items": { "type": "string" } }],
                "default": [],
                "description": "Tools into whose arguments values are restored.",
            },
            "custom": {
                "type": "array",
                "maxItems": crate::detect::custom::MAX_CUSTOM,
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name", "pattern"],
                    "properties": {
                        "name": { "type": "string", "pattern": "^[A-Z0-9_]{1,64}$" },
                        "pattern": { "type": "string", "maxLength": 4096 },
                        "label": { "type": "string", "pattern": "^[A-Z]{1,12}$" },
                        "checksum": { "enum": ["luhn", "mod97", "mod97-zero", "iban", "verhoeff", "mod1110"] },
                        "context": { "type": "array", "items": { "type": "string" }, "maxItems": 100 },
                        "score": { "type": "integer", "minimum": 1, "maximum": 100, "default": 85 },
                        "secret": { "type": "boolean", "default": false },
                    },
                },
            },
            "allow": strings(crate::detect::custom::MAX_WORDS),
            "deny": strings(crate::detect::custom::MAX_WORDS),
            "key": { "type": "string", "default": "", "description": "Makes pseudonym tags unpredictable to others." },
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> Result<Policy, String> {
        let s: Settings = serde_json::from_str(json).map_err(|e| e.to_string())?;
        Policy::new(s).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_and_overrides() {
        let p = policy(r#"{"actions":{"US_SSN":"block","JWT":"mask"},"secret_action":"drop"}"#)
            .unwrap();
        assert_eq!(p.action(Kind::Builtin(Entity::UsSsn)), Action::Block);
        assert_eq!(p.action(Kind::Builtin(Entity::Jwt)), Action::Mask);
        assert_eq!(p.action(Kind::Builtin(Entity::GithubToken)), Action::Drop);
        assert_eq!(p.action(Kind::Builtin(Entity::Email)), Action::Pseudonymise);
        assert_eq!(p.unreadable, Unreadable::Block);
        assert!(!p.restores_in("mail") && !p.restorable(Kind::Builtin(Entity::Jwt)));
    }

    #[test]
    fn mistakes_are_errors() {
        for (json, part) in [
            (r#"{"entites":[]}"#, "entites"),
            (r#"{"entities":["EMAIL"]}"#, "EMAIL"),
            (r#"{"actions":{"NOPE":"mask"}}"#, "NOPE"),
            (r#"{"action":"hide"}"#, "hide"),
            (r#"{"threshold":0}"#, "threshold"),
            (r#"{"custom":[{"name":"A","pattern":"("}]}"#, "\"A\""),
        ] {
            let error = policy(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn schema_is_json_and_names_every_setting() {
        let v: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        for name in ["entities", "actions", "restore_in_tools", "custom", "key"] {
            assert!(v["properties"][name].is_object(), "{name}");
        }
        assert_eq!(v["properties"]["checksum"], serde_json::Value::Null);
    }
}
