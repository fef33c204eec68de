//! Names that may become paths, and no others.

use std::fmt;

use crate::HubError;

/// Longest part of a model's name, as the hub has it.
const MAX_PART: usize = 96;
/// Longest file name. With a hash before it, it stays below every file system's 255 bytes.
const MAX_FILE: usize = 160;

/// `ORG/NAME`: both parts are plain names, so joining them to a folder stays inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoId {
    org: String,
    name: String,
}

impl RepoId {
    /// Reads `ORG/NAME`; `hf.co/` and `https://huggingface.co/` before it are dropped, as people copy them.
    ///
    /// # Errors
    /// [`HubError::Name`].
    pub fn parse(text: &str) -> Result<Self, HubError> {
        let wrong = |reason| HubError::Name {
            name: text.to_owned(),
            reason,
        };
        let bare = text.strip_prefix("https://").unwrap_or(text);
        let bare = ["hf.co/", "huggingface.co/"]
            .iter()
            .find_map(|host| bare.strip_prefix(host))
            .unwrap_or(text);
        let (org, name) = bare
            .split_once('/')
            .ok_or_else(|| wrong("write ORG/NAME, as on the hub"))?;
        for part in [org, name] {
            if !is_plain(part, MAX_PART) {
                return Err(wrong(
                    "ORG and NAME have letters, digits, '-', '_' and '.', and begin with a letter or digit",
                ));
            }
        }
        Ok(Self {
            org: org.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The part before the slash.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The part after it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.name)
    }
}

/// Whether a file of a repository may be written under its own name.
pub(crate) fn is_file_name(name: &str) -> bool {
    is_plain(name, MAX_FILE)
}

/// Whether a model may be called this when it is copied: one plain name, or two with a slash between.
pub(crate) fn model_path(name: &str) -> Result<Vec<&str>, HubError> {
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() <= 2 && parts.iter().all(|part| is_plain(part, MAX_PART)) {
        return Ok(parts);
    }
    Err(HubError::Name {
        name: name.to_owned(),
        reason: "a name has letters, digits, '-', '_' and '.', begins with a letter or digit, and has at most one '/'",
    })
}

/// Letters, digits, `-`, `_`, `.`; not hidden, not `..`, nothing a file system gives a meaning of its own.
fn is_plain(name: &str, longest: usize) -> bool {
    name.len() <= longest
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && !name.ends_with('.')
        && !name.contains("..")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models() {
        for (text, org, name) in [
            ("Qwen/Qwen3-0.6B", "Qwen", "Qwen3-0.6B"),
            ("hf.co/a/b", "a", "b"),
            (
                "https://huggingface.co/mlx-community/x_1.5",
                "mlx-community",
                "x_1.5",
            ),
        ] {
            let id = RepoId::parse(text).unwrap();
            assert_eq!((id.org(), id.name()), (org, name));
        }
    }

    /// Each would leave the models folder, hide in it, or mean something to a file system.
    #[test]
    fn names_that_could_be_paths_are_refused() {
        for text in [
            "",
            "a",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "./b",
            "a/.b",
            "a/b..c",
            "a\\b/c",
            "a/b\0",
            "a/b c",
            "C:/b",
            "a/é",
            "a/b.",
            "-a/b",
            "https://evil.example/a/b",
            "a//b",
        ] {
            assert!(RepoId::parse(text).is_err(), "{text:?}");
        }
        let long = format!("a/{}", "b".repeat(97));
        assert!(RepoId::parse(&long).is_err());
    }

    #[test]
    fn names_for_copies() {
        assert_eq!(model_path("mine").unwrap(), ["mine"]);
        assert_eq!(model_path("me/mine").unwrap(), ["me", "mine"]);
        for name in ["", "a/b/c", "..", ".hidden", "a/../b", "a:b"] {
            assert!(model_path(name).is_err(), "{name:?}");
        }
    }
}
