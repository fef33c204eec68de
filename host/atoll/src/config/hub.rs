//! `[hub]`: where models are downloaded from. The variables are those of Hugging Face's own tools, so that a
//! machine that has them set up needs nothing here.

use std::path::{Path, PathBuf};

use atoll_hub::{HubOptions, Token};
use serde::Deserialize;

use super::Environment;

/// Largest token file read: a token has some forty characters.
const MAX_TOKEN: u64 = 4096;

/// The table, as it is written. The token itself has no place in it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubFile {
    endpoint: Option<String>,
    token_file: Option<PathBuf>,
    offline: Option<bool>,
}

/// What a hub client is set up with; `folder` is where its models go.
pub fn options(file: HubFile, env: Environment<'_>, folder: &Path) -> HubOptions {
    let text = |name: &str| env(name).and_then(|value| value.into_string().ok());
    let said = |name: &str| text(name).filter(|value| !value.is_empty());
    let mut options = HubOptions::new(folder);
    if let Some(endpoint) = said("HF_ENDPOINT").or(file.endpoint) {
        options.endpoint = endpoint;
    }
    let yes = |value: String| {
        matches!(
            value.to_ascii_lowercase().as_str(),
            "1" | "true" | "yes" | "on"
        )
    };
    options.offline = said("HF_HUB_OFFLINE")
        .map(yes)
        .or(file.offline)
        .unwrap_or(false);
    let from_file = || {
        let home = || Some(PathBuf::from(said("HOME")?).join(".cache/huggingface"));
        let path = said("HF_TOKEN_PATH")
            .map(PathBuf::from)
            .or(file.token_file)
            .or_else(|| {
                Some(
                    said("HF_HOME")
                        .map(PathBuf::from)
                        .or_else(home)?
                        .join("token"),
                )
            })?;
        read(&path)
    };
    options.token = said("HF_TOKEN")
        .as_deref()
        .and_then(Token::new)
        .or_else(from_file);
    options
}

/// The token of a file, if there is one.
fn read(path: &Path) -> Option<Token> {
    if std::fs::metadata(path).ok()?.len() > MAX_TOKEN {
        return None;
    }
    Token::new(&std::fs::read_to_string(path).ok()?)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn with(file: &str, variables: &[(&str, &str)]) -> HubOptions {
        let env = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        options(toml::from_str(file).unwrap(), &env, Path::new("models"))
    }

    #[test]
    fn the_environment_beats_the_file() {
        let file = "endpoint = 'https://mirror.example'\noffline = true";
        let options = with(file, &[]);
        assert_eq!(options.endpoint, "https://mirror.example");
        assert!(options.offline && options.token.is_none());
        let variables = [
            ("HF_ENDPOINT", "http://127.0.0.1:9"),
            ("HF_HUB_OFFLINE", "0"),
            ("HF_TOKEN", "t"),
        ];
        let options = with(file, &variables);
        assert_eq!(options.endpoint, "http://127.0.0.1:9");
        assert!(!options.offline);
        assert_eq!(options.token, Token::new("t"));
    }

    /// Hugging Face's login writes it there.
    #[test]
    fn the_token_of_a_login_is_found() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".cache/huggingface");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("token"), "from-login\n").unwrap();
        let options = with("", &[("HOME", home.path().to_str().unwrap())]);
        assert_eq!(options.token, Token::new("from-login"));
    }
}
