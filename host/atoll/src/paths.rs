//! Where things are when nobody says otherwise: the XDG folders on Linux, their equivalents elsewhere.

use std::path::PathBuf;

use directories::ProjectDirs;

/// The product's own folders. None is created before something is written there.
#[derive(Debug, Clone, PartialEq)]
pub struct Paths {
    /// `config.toml`.
    pub config_file: PathBuf,
    /// Model folders.
    pub models: PathBuf,
    /// Plugin files.
    pub plugins: PathBuf,
    /// Compiled plugins and unpacked models; may be deleted at any time.
    pub cache: PathBuf,
    /// Stored answers.
    pub responses: PathBuf,
    /// What has been typed into `atoll run`.
    pub history: PathBuf,
    /// Who may use the server.
    pub keys: PathBuf,
    /// What filters did.
    pub audit: PathBuf,
    /// Who this host is in a cluster, and what it remembers of it.
    pub node: PathBuf,
}

impl Paths {
    /// The folders of the user who runs this, or folders below the current one for a user without a
    /// home (a container).
    pub fn of_this_user() -> Self {
        match ProjectDirs::from("", "", "atoll") {
            Some(dirs) => Self {
                config_file: dirs.config_dir().join("config.toml"),
                models: dirs.data_dir().join("models"),
                plugins: dirs.data_dir().join("plugins"),
                cache: dirs.cache_dir().to_owned(),
                responses: dirs.data_dir().join("responses.redb"),
                history: dirs.state_dir().unwrap_or(dirs.data_dir()).join("history"),
                keys: dirs.data_dir().join("keys.json"),
                audit: dirs
                    .state_dir()
                    .unwrap_or(dirs.data_dir())
                    .join("audit.jsonl"),
                node: dirs.state_dir().unwrap_or(dirs.data_dir()).join("node"),
            },
            None => {
                let base = PathBuf::from(".atoll");
                Self {
                    config_file: base.join("config.toml"),
                    models: base.join("models"),
                    plugins: base.join("plugins"),
                    cache: base.join("cache"),
                    responses: base.join("responses.redb"),
                    history: base.join("history"),
                    keys: base.join("keys.json"),
                    audit: base.join("audit.jsonl"),
                    node: base.join("node"),
                }
            }
        }
    }
}
