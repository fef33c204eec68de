//! Which of a repository's files a model needs, out of what the hub says there is. Pure.
//!
//! Only plain names at the top of the repository count: folders hold other formats (`onnx/`,
//! `original/`), and a name that is not plain never becomes a path. Of weights, those that the engine
//! opens: `model.safetensors`, or the shards beside `model.safetensors.index.json`. A second copy of them in
//! another layout (`consolidated.safetensors`) stays where it is.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::name::is_file_name;
use crate::{Digest, HubError, RepoId};

/// Files beside the weights that are fetched where they exist.
const COMPANIONS: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "model.safetensors.index.json",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "README.md",
];

/// Most files of a repository that are looked at.
const MAX_FILES: usize = 20_000;

/// A file that will be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFile {
    /// A plain name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// What they must hash to.
    pub digest: Digest,
}

/// One revision of a model: what there is to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The commit, so that files asked for one by one belong together.
    pub revision: String,
    /// In order of name; names differ in more than case.
    pub files: Vec<WantedFile>,
}

/// `GET /api/models/ORG/NAME/revision/main?blobs=true`, as far as it matters.
#[derive(Debug, Deserialize)]
pub(crate) struct Listing {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

/// What stays beside a downloaded model, so that the next pull knows what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// `ORG/NAME`.
    pub source: String,
    /// The commit.
    pub revision: String,
    /// Name, size, hash of each file.
    pub files: Vec<(String, u64, String)>,
}

impl Manifest {
    /// Chooses from a hub's answer.
    ///
    /// # Errors
    /// [`HubError::Listing`] for an answer that makes no sense or could be an attack,
    /// [`HubError::NotAModel`] for a repository without a model that could run.
    pub(crate) fn choose(repo: &RepoId, listing: &Listing) -> Result<Self, HubError> {
        let broken = |reason: String| HubError::Listing {
            repo: repo.to_string(),
            reason,
        };
        let commit = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !commit(&listing.sha) {
            return Err(broken(format!("{:?} is not a commit", listing.sha)));
        }
        if listing.siblings.len() > MAX_FILES {
            return Err(broken(format!("more than {MAX_FILES} files")));
        }
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        for sibling in &listing.siblings {
            let name = &sibling.rfilename;
            if !is_wanted(name) {
                continue;
            }
            // On a file system that ignores case the second would replace the first.
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(broken(format!("{name:?} is there twice")));
            }
            files.push(
                wanted(sibling)
                    .ok_or_else(|| broken(format!("no usable size and hash of {name}")))?,
            );
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let has = |name: &str| files.iter().any(|file| file.name == name);
        let not = |reason| HubError::NotAModel {
            repo: repo.to_string(),
            reason,
        };
        if !has("config.json") {
            return Err(not(
                "it has no config.json; GGUF files alone are not enough",
            ));
        }
        if !files.iter().any(|file| is_weights(&file.name)) {
            return Err(not("it has no safetensors weights"));
        }
        if !has("tokenizer.json") {
            return Err(not("it has no tokenizer.json"));
        }
        Ok(Self {
            revision: listing.sha.to_ascii_lowercase(),
            files,
        })
    }

    pub(crate) fn receipt(&self, repo: &RepoId) -> Receipt {
        Receipt {
            source: repo.to_string(),
            revision: self.revision.clone(),
            files: self
                .files
                .iter()
                .map(|file| (file.name.clone(), file.size, file.digest.to_string()))
                .collect(),
        }
    }
}

fn wanted(sibling: &Sibling) -> Option<WantedFile> {
    let (size, digest) = match &sibling.lfs {
        Some(lfs) => (lfs.size, Digest::sha256(&lfs.sha256)?),
        None => (
            sibling.size?,
            Digest::git_blob(sibling.blob_id.as_deref()?)?,
        ),
    };
    Some(WantedFile {
        name: sibling.rfilename.clone(),
        size,
        digest,
    })
}

fn is_wanted(name: &str) -> bool {
    is_file_name(name) && (COMPANIONS.contains(&name) || is_weights(name))
}

fn is_weights(name: &str) -> bool {
    name == "model.safetensors" || (name.starts_with("model-") && name.ends_with(".safetensors"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn choose(files: &[Value]) -> Result<Manifest, HubError> {
        let listing = json!({ "sha": SHA, "siblings": files, "likes": 7 });
        let listing = serde_json::from_value(listing).unwrap();
        Manifest::choose(&RepoId::parse("a/b").unwrap(), &listing)
    }

    fn small(name: &str) -> Value {
        json!({ "rfilename": name, "size": 3, "blobId": SHA })
    }

    fn large(name: &str) -> Value {
        json!({ "rfilename": name, "size": 9, "blobId": SHA,
            "lfs": { "sha256": "ab".repeat(32), "size": 9, "pointerSize": 134 } })
    }

    fn names(manifest: &Manifest) -> Vec<&str> {
        manifest
            .files
            .iter()
            .map(|file| file.name.as_str())
            .collect()
    }

    #[test]
    fn what_a_model_needs_and_nothing_else() {
        let manifest = choose(&[
            small(".gitattributes"),
            small("tokenizer.json"),
            small("config.json"),
            small("model.safetensors.index.json"),
            large("model-00001-of-00002.safetensors"),
            large("model-00002-of-00002.safetensors"),
            large("consolidated.safetensors"),
            large("pytorch_model.bin"),
            large("onnx/model.onnx"),
            large("original/model.safetensors"),
            large("model-q4.gguf"),
        ])
        .unwrap();
        assert_eq!(
            names(&manifest),
            [
                "config.json",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "model.safetensors.index.json",
                "tokenizer.json"
            ]
        );
        assert!(matches!(manifest.files[1].digest, Digest::Sha256(_)));
        assert!(matches!(manifest.files[0].digest, Digest::GitBlob(_)));
    }

    /// A hub that is hostile, or was broken into, spells names to leave the folder or to hide in it.
    #[test]
    fn hostile_names_are_never_wanted() {
        for name in [
            "../config.json",
            "/etc/passwd",
            "model-/../../x.safetensors",
            "model-\0.safetensors",
            "model-a\\b.safetensors",
            "..",
            "",
            ".atoll.json",
            "model-C:.safetensors",
        ] {
            assert!(!is_wanted(name), "{name:?}");
        }
        let long = format!("model-{}.safetensors", "a".repeat(300));
        assert!(!is_wanted(&long));
    }

    #[test]
    fn a_listing_that_makes_no_sense_is_refused() {
        let base = [small("config.json"), small("tokenizer.json")];
        let with = |more: Value| choose(&[base[0].clone(), base[1].clone(), more]);
        let listing = |result: Result<Manifest, HubError>| {
            assert!(
                matches!(result, Err(HubError::Listing { .. })),
                "{result:?}"
            );
        };
        listing(with(json!({ "rfilename": "model.safetensors" })));
        listing(with(json!({ "rfilename": "model.safetensors", "size": 1 })));
        listing(with(json!({ "rfilename": "model.safetensors", "size": 1,
            "lfs": { "sha256": "short", "size": 1 } })));
        listing(choose(&[small("config.json"), small("config.json")]));
        let nonsense = json!({ "sha": "../../etc", "siblings": [] });
        let nonsense = serde_json::from_value(nonsense).unwrap();
        listing(Manifest::choose(&RepoId::parse("a/b").unwrap(), &nonsense));
    }

    #[test]
    fn a_repository_without_a_model_says_what_is_missing() {
        for files in [
            vec![large("model-q4.gguf")],
            vec![small("config.json"), small("tokenizer.json")],
            vec![small("config.json"), large("model.safetensors")],
        ] {
            let error = choose(&files).unwrap_err();
            assert!(matches!(error, HubError::NotAModel { .. }), "{error}");
        }
    }
}
