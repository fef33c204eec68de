//! What a hub client is set up with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where models come from when nobody says otherwise.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// A secret that shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Wraps a token; white space around it (a file's last line break) is dropped.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// What a [`Hub`](crate::Hub) is set up with. Every limit has its reason beside it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubOptions {
    /// The models folder: `ORG/NAME` appears below it.
    pub folder: PathBuf,
    /// Scheme, host and perhaps a path: `https://huggingface.co`, or a mirror.
    pub endpoint: String,
    /// For private and gated models.
    pub token: Option<Token>,
    /// Refuse to fetch anything.
    pub offline: bool,
    /// Files fetched at once. More than a few do not make one line faster.
    pub files_at_once: usize,
    /// Silence after which a connection counts as dead.
    pub read_timeout: Duration,
    /// Attempts in a row that bring no byte, before a file is given up.
    pub attempts: u32,
    /// The first pause between two attempts; it doubles up to a minute.
    pub first_pause: Duration,
    /// Bytes that must stay free on the disk: a full disk breaks more than a download.
    pub keep_free: u64,
}

impl HubOptions {
    /// The defaults, for this models folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            token: None,
            offline: false,
            files_at_once: 4,
            read_timeout: Duration::from_secs(30),
            attempts: 6,
            first_pause: Duration::from_millis(500),
            keep_free: 256 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let mut options = HubOptions::new("models");
        options.token = Token::new(" s3cret\n");
        assert!(!format!("{options:?}").contains("s3cret"));
        assert_eq!(options.token.unwrap().expose(), "s3cret");
        assert_eq!(Token::new(" \n"), None);
    }
}
