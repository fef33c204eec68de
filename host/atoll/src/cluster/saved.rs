//! What `atoll cluster join` and `leave` leave behind for the next start, and tokens.
//!
//! It counts less than the command line, the environment and the configuration file.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::CliError;

/// A token begins with this, so that it is told from a name and a later form from this one.
const TOKEN: &str = "atoll1-";

/// Largest file read.
const MAX_FILE: u64 = 64 << 10;

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Saved {
    /// `false`: be part of none.
    pub enabled: Option<bool>,
    /// The cluster's name.
    pub name: Option<String>,
    /// Nodes to reach.
    pub peers: Vec<String>,
    /// Whether there is a secret beside this file.
    pub secret: bool,
}

/// What another machine needs to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The cluster's name.
    pub name: String,
    /// Its secret, if it has one.
    pub secret: Option<String>,
}

impl Token {
    /// As text without spaces.
    pub fn to_text(&self) -> Result<String, CliError> {
        let json = serde_json::to_vec(self).map_err(|error| CliError::Other(error.to_string()))?;
        Ok(format!("{TOKEN}{}", URL_SAFE_NO_PAD.encode(json)))
    }

    /// What was printed; `None` for something else, such as a name.
    pub fn parse(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text.strip_prefix(TOKEN)?).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// The secret's place.
pub fn secret_file(node: &Path) -> PathBuf {
    node.join("secret")
}

fn file(node: &Path) -> PathBuf {
    node.join("cluster.json")
}

/// What was remembered below `node`; nothing if there is nothing.
pub fn read(node: &Path) -> Saved {
    match atoll_engine::files::read_bounded(&file(node), MAX_FILE) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "what `atoll cluster join` left cannot be read; join again");
            Saved::default()
        }),
        Err(_) => Saved::default(),
    }
}

/// Remembers, with a new secret if one is given. The secret is forgotten if there is to be none.
pub fn write(node: &Path, saved: &Saved, secret: Option<&str>) -> Result<(), CliError> {
    let fault = |error: std::io::Error| {
        CliError::Other(format!("{} cannot be written: {error}", node.display()))
    };
    std::fs::create_dir_all(node).map_err(fault)?;
    if let Some(secret) = secret {
        let mut file = private(&secret_file(node)).map_err(fault)?;
        writeln!(file, "{secret}").map_err(fault)?;
    } else if !saved.secret {
        match std::fs::remove_file(secret_file(node)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fault(error)),
            _ => {}
        }
    }
    let text = serde_json::to_string_pretty(saved).map_err(|e| CliError::Other(e.to_string()))?;
    std::fs::write(file(node), text).map_err(fault)
}

/// A file that only its owner reads, made anew.
fn private(path: &Path) -> std::io::Result<File> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_was_made_of_and_a_name_is_none() {
        let token = Token {
            name: "lab".to_owned(),
            secret: Some("0123456789abcdef".to_owned()),
        };
        let text = token.to_text().unwrap();
        assert!(text.starts_with(TOKEN) && !text.contains("0123456789"));
        assert_eq!(Token::parse(&text), Some(token));
        for other in ["lab", "atoll1-", "atoll1-???", "atoll1-e30"] {
            assert_eq!(Token::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_secret_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("node");
        assert_eq!(read(&node), Saved::default());
        let saved = Saved {
            name: Some("lab".to_owned()),
            secret: true,
            ..Saved::default()
        };
        write(&node, &saved, Some("s")).unwrap();
        write(&node, &saved, Some("0123456789abcdef")).unwrap();
        assert_eq!(read(&node), saved);
        let secret = std::fs::read_to_string(secret_file(&node)).unwrap();
        assert_eq!(secret, "0123456789abcdef\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(secret_file(&node))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0);
        }
        // What says nothing of a secret keeps none.
        write(&node, &Saved::default(), None).unwrap();
        assert!(!secret_file(&node).exists());
        write(&node, &Saved::default(), None).unwrap();
    }
}
