//! What a model's folder says about it beyond its size: for clients that show one model.

use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use atoll_engine::files::read_bounded;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Largest template or tokenizer configuration read; more than the engine takes is of no use.
const MAX_TEMPLATE: u64 = 16 << 20;
/// Largest license shown.
const MAX_LICENSE: u64 = 256 << 10;

/// See the [module documentation](self).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The chat template's source.
    pub template: Option<String>,
    /// The license's text.
    pub license: Option<String>,
}

/// Reads a folder; what is missing or unreadable is left out.
pub fn read(folder: &Path) -> Details {
    let text = |name: &str, limit| {
        let bytes = read_bounded(&folder.join(name), limit).ok()?;
        String::from_utf8(bytes).ok()
    };
    let configured = || {
        let config = text("tokenizer_config.json", MAX_TEMPLATE)?;
        let config: Value = serde_json::from_str(&config).ok()?;
        config["chat_template"].as_str().map(str::to_owned)
    };
    let template = text("chat_template.jinja", MAX_TEMPLATE).or_else(configured);
    let license = ["LICENSE", "LICENSE.txt", "LICENSE.md"]
        .iter()
        .find_map(|name| text(name, MAX_LICENSE));
    Details { template, license }
}

/// Tells one state of a model's files from another: a hash of their names, sizes and times, because hashing
/// gigabytes for a list would be felt. Empty for a folder that cannot be read.
pub fn fingerprint(folder: &Path) -> String {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return String::new();
    };
    let mut lines: Vec<String> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = std::fs::metadata(entry.path()).ok()?;
            let modified = metadata.modified().ok()?;
            let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let name = entry.file_name();
            let size = metadata.len();
            Some(format!(
                "{}\0{size}\0{}\n",
                name.to_string_lossy(),
                since.as_nanos()
            ))
        })
        .collect();
    lines.sort();
    let hash = Sha256::digest(lines.concat());
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_template_and_a_license() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(read(folder.path()), Details::default());
        write(
            "tokenizer_config.json",
            "{\"chat_template\": \"{{ messages }}\"}",
        );
        let details = read(folder.path());
        assert_eq!(details.template.as_deref(), Some("{{ messages }}"));
        write("chat_template.jinja", "{% if tools %}<think>{% endif %}");
        write("LICENSE", "Do good.");
        let details = read(folder.path());
        assert!(details.template.unwrap().contains("<think>"));
        assert_eq!(details.license.as_deref(), Some("Do good."));
    }

    #[test]
    fn a_fingerprint_follows_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let empty = fingerprint(folder.path());
        assert_eq!(empty.len(), 64);
        std::fs::write(folder.path().join("a"), "1").unwrap();
        let one = fingerprint(folder.path());
        assert_ne!(one, empty);
        assert_eq!(fingerprint(folder.path()), one);
        assert_eq!(fingerprint(&folder.path().join("none")), "");
    }
}
