//! [`HubError`]: why a model could not be fetched, deleted or copied.

use std::time::Duration;

/// Why it did not work. Cheap to clone: all that wait for one download get the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Not `ORG/NAME`.
    #[error("{name:?} is not the name of a model: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The configuration cannot be used.
    #[error("the hub cannot be used: {0}")]
    Options(String),
    /// Downloads are switched off.
    #[error(
        "this host is offline (HF_HUB_OFFLINE or `offline` of [hub] is set): put the model's folder below the models folder yourself"
    )]
    Offline,
    /// The hub has no such model, or does not show it to this token.
    #[error("the hub has no model {repo}, or it is private: check the name, or set HF_TOKEN")]
    NotFound {
        /// The model.
        repo: String,
    },
    /// The hub wants to know who asks.
    #[error("the hub refuses {repo} without a valid token: set HF_TOKEN")]
    Unauthorized {
        /// The model.
        repo: String,
    },
    /// The hub's owner of the model wants its terms accepted first.
    #[error(
        "the hub does not allow this token to read {repo}: accept its terms on the model's page, then try again"
    )]
    Gated {
        /// The model.
        repo: String,
    },
    /// The hub answered with a status that is no answer.
    #[error("the hub answered {status} for {what}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        what: String,
        /// When it says to come back.
        retry_after: Option<Duration>,
    },
    /// The hub could not be reached, or the connection broke too often.
    #[error(
        "{what} could not be fetched: {reason}; what has arrived is kept, so trying again goes on from there"
    )]
    Transport {
        /// What was asked for.
        what: String,
        /// What the network said.
        reason: String,
    },
    /// The hub's listing makes no sense.
    #[error("the hub's answer about {repo} cannot be used: {reason}")]
    Listing {
        /// The model.
        repo: String,
        /// What is wrong.
        reason: String,
    },
    /// The repository holds nothing that can run here.
    #[error("{repo} cannot run here: {reason}")]
    NotAModel {
        /// The model.
        repo: String,
        /// What is missing.
        reason: &'static str,
    },
    /// Bytes that are not what the listing promised.
    #[error(
        "{file} of {repo} is not what the hub's listing promised (expected {expected}, got {actual}); it was deleted"
    )]
    WrongHash {
        /// The model.
        repo: String,
        /// The file.
        file: String,
        /// The listing's hash.
        expected: String,
        /// The bytes' hash.
        actual: String,
    },
    /// The disk is too small.
    #[error("{repo} needs {needed} more bytes, and the models folder has room for {available}")]
    NoSpace {
        /// The model.
        repo: String,
        /// Bytes still to come.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// A folder of that name is there, and it is not a download.
    #[error(
        "there is a model {name} already that was not downloaded by Atoll; delete or rename its folder first"
    )]
    Exists {
        /// The model.
        name: String,
    },
    /// Another process of this machine is at it.
    #[error("another process is downloading {repo}; wait for it")]
    Busy {
        /// The model.
        repo: String,
    },
    /// A folder that is not ours to delete.
    #[error("the folder of {name} cannot be deleted from here: {reason}")]
    NotOurs {
        /// The model.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// The disk refused.
    #[error("{what}: {reason}")]
    Disk {
        /// What was tried.
        what: String,
        /// What the system said.
        reason: String,
    },
}

impl HubError {
    pub(crate) fn disk(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Disk {
            what,
            reason: error.to_string(),
        }
    }

    pub(crate) fn transport(what: impl Into<String>, error: &reqwest::Error) -> Self {
        // The chain says "connection refused" where the top only says that a request failed. The URL
        // may hold a signature, so it is left out.
        let mut reason = String::new();
        let mut next: Option<&dyn std::error::Error> = Some(error);
        let mut link = 0;
        while let Some(error) = next {
            // The top of reqwest's chain quotes the URL.
            if link > 0 || error.source().is_none() {
                if !reason.is_empty() {
                    reason.push_str(": ");
                }
                reason.push_str(&error.to_string());
            }
            link += 1;
            next = error.source();
        }
        Self::Transport {
            what: what.into(),
            reason,
        }
    }
}
