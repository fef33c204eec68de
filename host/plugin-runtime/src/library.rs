//! The library: every plugin there is, kept in step with the folder and the lock file.
//!
//! [`Library::refresh`] looks once; whoever serves calls it again and again, and puts the
//! [`Inventory`] in force when it says that something changed. What holds at all times:
//!
//! - A file is in force only after it was read whole, found trustworthy, compiled, described and
//!   tried in every place that names it. Otherwise the version before stays, and the reason is kept.
//! - A file that is still being written is not taken: hot files must look the same twice in a row.
//! - Removing a file retires the plugin, except where the filter chain names it: a filter that the
//!   configuration promises never goes away in silence, so the version in force stays and says so.
//! - Revoking a pin or a grant is an order, not an accident: it retires the plugin at once, with
//!   the same exception.
//! - Where signatures are asked for, a file that nobody pinned is what its name says, and no older than what was in
//!   force under it.
//! - The newcomer loses every conflict over a name or a route; it is tried again when the set changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use semver::Version;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::PluginError;
use crate::filter::Filter;
use crate::folder::{Contents, Entry, Listing, PluginFolder, ReadError, Stamp};
use crate::grant::Grant;
use crate::info::PluginInfo;
use crate::registry::{LoadedPlugin, Registry};
use crate::runtime::{LoadPolicy, PluginRuntime};
use crate::source::PluginSource;
use crate::trust::{self, Keys, Pin, PluginsLock, SeenVersions, Standing, TrustOptions};

/// What a library is made of.
#[derive(Debug, Clone, Default)]
pub struct LibraryOptions {
    /// The folder whose `*.wasm` files are plugins.
    pub folder: PathBuf,
    /// Plugins that ship inside the binary: name and component.
    pub bundled: Vec<(String, Arc<[u8]>)>,
    /// What the configuration says about single plugins, by name.
    pub terms: BTreeMap<String, Terms>,
    /// The filter chain, first to last.
    pub chain: Vec<Place>,
    /// How files come to be trusted.
    pub trust: TrustOptions,
}

/// What the configuration says about one plugin.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Leave it out.
    pub disabled: bool,
    /// Grants beyond those of its standing. A dropped file does not have them: who may drop another under its
    /// name would have them too.
    pub grants: Vec<Grant>,
    /// Its settings, an object; null for none.
    pub settings: Value,
}

/// One place in the filter chain.
#[derive(Debug, Clone)]
pub struct Place {
    /// The plugin's name: a bundled one, or a file without `.wasm`.
    pub plugin: String,
    /// Settings in this place, whole.
    pub settings: Value,
}

/// What there is, at one moment. Immutable.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Every plugin in force.
    pub registry: Registry,
    /// For each [`Place`], its filter, or why there is none.
    pub chain: Vec<Result<Arc<Filter>, String>>,
    /// Every plugin that was found, in force or not, bundled ones first.
    pub listed: Vec<Listed>,
}

/// One plugin that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The name that the configuration and the command line use.
    pub name: String,
    /// Where it is, for people.
    pub source: String,
    /// How the version in force came to be trusted.
    pub standing: Option<Standing>,
    /// The version in force.
    pub info: Option<PluginInfo>,
    /// Why what lies there now is not in force.
    pub problem: Option<String>,
}

/// Keeps plugins in step with their folder. One owner; it is not shared.
pub struct Library {
    runtime: PluginRuntime,
    options: LibraryOptions,
    keys: Keys,
    folder: PluginFolder,
    known: BTreeMap<String, Known>,
    /// What the last look saw: a hot file must look the same again before it is taken.
    last: Listing,
    /// Files with the name of a bundled plugin.
    namesakes: Vec<String>,
    /// The highest version of each signed plugin that was in force.
    versions: SeenVersions,
    /// Whether they are written down.
    records: bool,
    /// Why the folder or the lock file could not be read.
    trouble: Option<String>,
    started: bool,
}

const NAMESAKE: &str = "a bundled plugin has this name; rename the file";

#[derive(Default)]
struct Known {
    bundled: bool,
    source: String,
    /// What the last attempt was made of; `None` asks for another.
    tried: Option<(Stamp, Option<Pin>)>,
    installed: Option<Installed>,
    problem: Option<String>,
    /// The problem may go away when other plugins do.
    conflict: bool,
}

struct Installed {
    plugin: LoadedPlugin,
    standing: Standing,
    grants: Vec<Grant>,
    /// Its places in the chain.
    filters: BTreeMap<usize, Arc<Filter>>,
}

/// Why an attempt failed.
enum Failed {
    /// It was being written: no attempt.
    Changing,
    /// As it lies there it will never be accepted.
    Refused(String),
    /// The operator no longer allows it.
    Revoked(String),
    /// Another plugin is in the way.
    Conflict(String),
}

impl Library {
    /// Prepares a library; nothing is loaded before the first [`Library::refresh`].
    ///
    /// # Errors
    /// A trusted key that is none.
    pub fn new(runtime: PluginRuntime, options: LibraryOptions) -> Result<Self, PluginError> {
        Ok(Self {
            keys: Keys::parse(&options.trust.keys)?,
            folder: PluginFolder::new(options.folder.clone()),
            runtime,
            options,
            known: BTreeMap::new(),
            last: Listing::new(),
            namesakes: Vec::new(),
            versions: SeenVersions::default(),
            records: false,
            trouble: None,
            started: false,
        })
    }

    /// This library writes down which versions of signed plugins were in force. For the server only: who just looks
    /// changes nothing.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.records = true;
        self
    }

    /// Looks at the folder and the lock file once and takes what is new. Returns whether the
    /// inventory changed. The first call loads everything and does not wait for files to settle.
    pub async fn refresh(&mut self) -> bool {
        let mut changed = false;
        if !self.started {
            self.load_bundled().await;
            changed = true;
        }
        let (listing, lock) = match self.look().await {
            Ok((listing, lock, versions)) => {
                self.versions.merge(&versions);
                (listing, lock)
            }
            Err(trouble) => {
                let new = self.trouble.as_ref() != Some(&trouble);
                if new {
                    tracing::warn!(reason = trouble, "the plugin folder stays as it was");
                    self.trouble = Some(trouble);
                }
                self.started = true;
                return changed || new;
            }
        };
        changed |= self.trouble.take().is_some();
        changed |= self.note_namesakes(&listing);
        changed |= self.retire_missing(&listing);
        for (name, entry) in &listing {
            changed |= self.consider(name, entry, &lock).await;
        }
        if changed {
            for known in self.known.values_mut().filter(|known| known.conflict) {
                known.tried = None;
            }
        }
        self.last = listing;
        self.started = true;
        changed
    }

    /// What there is now.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let mut listed: Vec<Listed> = self.ordered().map(|(name, k)| k.listed(name)).collect();
        let refused = |name: &str, source: String, problem: &str| Listed {
            name: name.to_owned(),
            source,
            standing: None,
            info: None,
            problem: Some(problem.to_owned()),
        };
        let namesakes = self.namesakes.iter();
        listed.extend(namesakes.map(|name| refused(name, self.folder.shown(name), NAMESAKE)));
        if let Some(trouble) = &self.trouble {
            let folder = self.folder.path().display().to_string();
            listed.push(refused("plugins", folder, trouble));
        }
        let places = self.options.chain.iter().enumerate();
        Inventory {
            registry: self.registry(None),
            chain: places
                .map(|(at, place)| self.filter_at(at, place))
                .collect(),
            listed,
        }
    }

    fn filter_at(&self, at: usize, place: &Place) -> Result<Arc<Filter>, String> {
        let Some(known) = self.known.get(&place.plugin) else {
            let names: Vec<&str> = self.known.keys().map(String::as_str).collect();
            return Err(format!(
                "there is no such plugin (known: {}; folder: {})",
                names.join(", "),
                self.folder.path().display()
            ));
        };
        let installed = known.installed.as_ref();
        match installed.and_then(|installed| installed.filters.get(&at)) {
            Some(filter) => Ok(Arc::clone(filter)),
            None => Err(known
                .problem
                .clone()
                .unwrap_or_else(|| "it is disabled".to_owned())),
        }
    }

    /// Bundled plugins first: a file cannot take their names or routes by its name.
    fn ordered(&self) -> impl Iterator<Item = (&String, &Known)> {
        let bundled = self.known.iter().filter(|(_, known)| known.bundled);
        let files = self.known.iter().filter(|(_, known)| !known.bundled);
        bundled.chain(files)
    }

    /// Everything in force, without the plugin of that name.
    fn registry(&self, without: Option<&str>) -> Registry {
        let plugins = self
            .ordered()
            .filter(|(name, _)| without != Some(name.as_str()))
            .filter_map(|(_, known)| known.installed.as_ref())
            .map(|installed| installed.plugin.clone());
        // Each was checked against the others when it came in, so together they have no conflict.
        Registry::new(plugins).unwrap_or_default()
    }

    async fn load_bundled(&mut self) {
        for (name, wasm) in self.options.bundled.clone() {
            let known = Known {
                bundled: true,
                source: format!("{name} (bundled)"),
                ..Known::default()
            };
            self.known.insert(name.clone(), known);
            if self.disabled(&name) {
                self.known.remove(&name);
                continue;
            }
            let grants = self.with_configured(&name, Standing::Bundled, Grant::all_local());
            let source = PluginSource::Bytes {
                name: name.clone(),
                wasm,
            };
            let outcome = self.admit(&name, source, Standing::Bundled, grants).await;
            self.settle(&name, outcome);
        }
    }

    /// The folder's listing, the lock and the versions, read off the async threads.
    async fn look(&self) -> Result<(Listing, PluginsLock, SeenVersions), String> {
        let folder = self.folder.clone();
        let lock = self.options.trust.lock.clone();
        let versions = self.options.trust.versions.clone();
        let versions = versions.filter(|_| self.keys.any());
        let work = tokio::task::spawn_blocking(move || {
            let shown = folder.path().display().to_string();
            let listing = folder
                .scan()
                .map_err(|error| format!("{shown} cannot be listed: {error}"))?;
            let lock = match lock {
                Some(path) => PluginsLock::read(&path).map_err(|error| error.to_string())?,
                None => PluginsLock::default(),
            };
            let versions = match versions {
                Some(path) => SeenVersions::read(&path).map_err(|error| error.to_string())?,
                None => SeenVersions::default(),
            };
            Ok((listing, lock, versions))
        });
        work.await.unwrap_or_else(|join| Err(join.to_string()))
    }

    fn retire_missing(&mut self, listing: &Listing) -> bool {
        let gone: Vec<String> = self
            .known
            .iter()
            .filter(|(name, known)| !known.bundled && !listing.contains_key(*name))
            .map(|(name, _)| name.clone())
            .collect();
        let mut changed = false;
        for name in gone {
            changed |= if self.in_chain(&name) && self.is_installed(&name) {
                self.refuse(&name, "its file is gone".to_owned())
            } else {
                tracing::info!(plugin = name, "plugin retired: its file is gone");
                self.known.remove(&name).is_some()
            };
        }
        changed
    }

    /// Takes one entry of the folder if it is new. Returns whether anything changed.
    async fn consider(&mut self, name: &str, entry: &Entry, lock: &PluginsLock) -> bool {
        if self.disabled(name) {
            return false;
        }
        if self.is_bundled(name) {
            return false;
        }
        let source = self.folder.shown(name);
        let known = self.known.entry(name.to_owned()).or_insert_with(|| Known {
            source,
            ..Known::default()
        });
        let stamp = match entry {
            Entry::File(stamp) => stamp,
            Entry::Refused(reason) => {
                known.tried = None;
                return self.refuse(name, reason.clone());
            }
        };
        let pin = lock.pin(name);
        let attempt = Some((stamp.clone(), pin.cloned()));
        if known.tried == attempt {
            return false;
        }
        // A file that is being written looks different each time.
        if self.started && self.last.get(name) != Some(entry) {
            return false;
        }
        let outcome = self.try_file(name, stamp, pin).await;
        if let Err(Failed::Changing) = outcome {
            return false;
        }
        if let Some(known) = self.known.get_mut(name) {
            known.tried = attempt;
        }
        self.settle(name, outcome)
    }

    /// Reads, checks, compiles, describes and tries one file. `None`: it is in force already.
    async fn try_file(
        &self,
        name: &str,
        stamp: &Stamp,
        pin: Option<&Pin>,
    ) -> Result<Option<Installed>, Failed> {
        let Contents { wasm, signature } = self.read(name, stamp).await?;
        let sha256 = hex::encode(Sha256::digest(&wasm));
        self.keys
            .check(name, &wasm, signature.as_deref())
            .map_err(Failed::Refused)?;
        let current = self
            .known
            .get(name)
            .and_then(|known| known.installed.as_ref());
        let same_file = current.is_some_and(|now| now.plugin.info().sha256 == sha256);
        let refused = |reason| match same_file {
            true => Failed::Revoked(reason),
            false => Failed::Refused(reason),
        };
        let (standing, grants) =
            trust::decide(name, &sha256, pin, self.options.trust.pinned_only).map_err(refused)?;
        let grants = self.with_configured(name, standing, grants);
        if let Some(current) = current
            && same_file
            && (current.standing, &current.grants) == (standing, &grants)
        {
            return Ok(None);
        }
        let source = PluginSource::Read {
            path: self.folder.path().join(format!("{name}.wasm")),
            wasm: wasm.into(),
        };
        match self.admit(name, source, standing, grants).await {
            Err(Failed::Refused(reason)) => Err(refused(reason)),
            Ok(Some(installed)) => {
                self.check_identity(name, &installed).map_err(refused)?;
                Ok(Some(installed))
            }
            other => other,
        }
    }

    /// Whether a signed file may be what lies under this name: what was pinned was accepted under it as it is.
    fn check_identity(&self, name: &str, installed: &Installed) -> Result<(), String> {
        if !self.keys.any() || installed.standing == Standing::Pinned {
            return Ok(());
        }
        let info = installed.plugin.info();
        let version =
            Version::parse(&info.version).map_err(|error| format!("its version: {error}"))?;
        let highest = self.versions.highest(name);
        trust::check_identity(name, &info.name, &version, highest)
    }

    /// Notes which version of a signed plugin is in force now.
    fn record_version(&mut self, name: &str, version: &str) {
        let Ok(version) = Version::parse(version) else {
            return;
        };
        if !self.keys.any() || self.is_bundled(name) || !self.versions.raise(name, &version) {
            return;
        }
        let path = self.options.trust.versions.as_deref();
        let Some(path) = path.filter(|_| self.records) else {
            return;
        };
        // Once for each new version of a plugin, and a few lines.
        if let Err(error) = SeenVersions::record(path, name, &version) {
            tracing::warn!(%error, plugin = name, %version, "an older version that is dropped will be refused until the next start only");
        }
    }

    async fn read(&self, name: &str, stamp: &Stamp) -> Result<Contents, Failed> {
        let folder = self.folder.clone();
        let (owned, stamp) = (name.to_owned(), stamp.clone());
        let limit = self.runtime.max_component_bytes();
        let work = tokio::task::spawn_blocking(move || folder.read(&owned, &stamp, limit));
        match work.await {
            Ok(Ok(contents)) => Ok(contents),
            Ok(Err(ReadError::Changing)) => Err(Failed::Changing),
            Ok(Err(ReadError::Refused(reason))) => Err(Failed::Refused(reason)),
            Err(join) => Err(Failed::Refused(join.to_string())),
        }
    }

    /// Loads a trusted component for every use of it, and makes sure that no other plugin is in the way.
    async fn admit(
        &self,
        name: &str,
        source: PluginSource,
        standing: Standing,
        grants: Vec<Grant>,
    ) -> Result<Option<Installed>, Failed> {
        let load = |settings: Value| {
            let grants = grants.clone();
            self.runtime
                .load(source.clone(), LoadPolicy { grants, settings })
        };
        let refused = |error: PluginError| Failed::Refused(error.to_string());
        let mut filters = BTreeMap::new();
        let mut first = None;
        for (at, place) in self.options.chain.iter().enumerate() {
            if place.plugin != name {
                continue;
            }
            let plugin = load(place.settings.clone()).await.map_err(refused)?;
            let LoadedPlugin::Filter(filter) = &plugin else {
                let world = plugin.info().world;
                return Err(Failed::Refused(format!(
                    "the configuration names it as a filter, but it is a {world}"
                )));
            };
            filters.insert(at, Arc::clone(filter));
            first.get_or_insert(plugin);
        }
        let plugin = match first {
            Some(plugin) => plugin,
            None => {
                let terms = self.options.terms.get(name);
                let settings = terms.map(|terms| terms.settings.clone());
                load(settings.unwrap_or_default()).await.map_err(refused)?
            }
        };
        let others = self.registry(Some(name));
        let mut fits = others.with(plugin.clone()).map(|_| ());
        if standing != Standing::Bundled {
            fits = fits.and_then(|()| others.unharmed_by(&plugin));
        }
        fits.map_err(|error| Failed::Conflict(error.to_string()))?;
        Ok(Some(Installed {
            plugin,
            standing,
            grants,
            filters,
        }))
    }

    /// Records the outcome of an attempt. Returns whether anything changed.
    fn settle(&mut self, name: &str, outcome: Result<Option<Installed>, Failed>) -> bool {
        match outcome {
            Ok(installed) => {
                let Some(known) = self.known.get_mut(name) else {
                    return false;
                };
                let mended = known.problem.take().is_some();
                known.conflict = false;
                let Some(installed) = installed else {
                    return mended;
                };
                let info = installed.plugin.info();
                tracing::info!(
                    plugin = info.name, version = info.version, world = %info.world,
                    sha256 = info.sha256, standing = ?installed.standing, "plugin in force"
                );
                for want in info.lacking(&info.grants) {
                    tracing::info!(
                        plugin = name, grant = %want.grant, reason = want.reason,
                        "it wants this too and is refused it; atoll plugin grant {name} {}", want.grant
                    );
                }
                let (own, version) = (info.name.clone(), info.version.clone());
                known.installed = Some(installed);
                // Of the name it gives itself, which a file that nobody pinned must have.
                self.record_version(&own, &version);
                true
            }
            Err(Failed::Changing) => false,
            Err(Failed::Refused(reason)) => self.refuse(name, reason),
            Err(Failed::Conflict(reason)) => {
                let changed = self.refuse(name, reason);
                if let Some(known) = self.known.get_mut(name) {
                    known.conflict = true;
                }
                changed
            }
            Err(Failed::Revoked(reason)) => {
                let keep = self.in_chain(name);
                if let Some(known) = self.known.get_mut(name)
                    && !keep
                {
                    tracing::warn!(plugin = name, "plugin retired: it is no longer accepted");
                    known.installed = None;
                }
                self.refuse(name, reason) || !keep
            }
        }
    }

    /// Notes why what lies there is not in force. Returns whether that is news.
    fn refuse(&mut self, name: &str, reason: String) -> bool {
        let in_chain = self.in_chain(name);
        let Some(known) = self.known.get_mut(name) else {
            return false;
        };
        known.conflict = false;
        let reason = match (&known.installed, in_chain) {
            (None, _) => reason,
            (Some(installed), true) => format!(
                "{reason}; version {} stays in force, because the configuration names it as a filter",
                installed.plugin.info().version
            ),
            (Some(installed), false) => format!(
                "{reason}; version {} stays in force",
                installed.plugin.info().version
            ),
        };
        if known.problem.as_ref() == Some(&reason) {
            return false;
        }
        tracing::warn!(source = known.source, reason, "plugin not loaded");
        known.problem = Some(reason);
        true
    }

    /// Files with the name of a bundled plugin, which keeps it.
    fn note_namesakes(&mut self, listing: &Listing) -> bool {
        let names = listing.keys().filter(|name| self.is_bundled(name));
        let namesakes: Vec<String> = names.cloned().collect();
        for name in namesakes
            .iter()
            .filter(|name| !self.namesakes.contains(name))
        {
            let source = self.folder.shown(name);
            tracing::warn!(source, reason = NAMESAKE, "plugin not loaded");
        }
        let changed = namesakes != self.namesakes;
        self.namesakes = namesakes;
        changed
    }

    /// With what the configuration grants: to a name, which for a dropped file is whatever was dropped under it
    /// last, so that is not meant.
    fn with_configured(
        &self,
        name: &str,
        standing: Standing,
        mut grants: Vec<Grant>,
    ) -> Vec<Grant> {
        if standing != Standing::Dropped
            && let Some(terms) = self.options.terms.get(name)
        {
            grants.extend(terms.grants.iter().cloned());
        }
        grants.sort();
        grants.dedup();
        grants
    }

    fn disabled(&self, name: &str) -> bool {
        let terms = self.options.terms.get(name);
        terms.is_some_and(|terms| terms.disabled)
    }

    fn is_bundled(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|known| known.bundled)
    }

    fn in_chain(&self, name: &str) -> bool {
        self.options.chain.iter().any(|place| place.plugin == name)
    }

    fn is_installed(&self, name: &str) -> bool {
        let known = self.known.get(name);
        known.is_some_and(|known| known.installed.is_some())
    }
}

impl Known {
    fn listed(&self, name: &str) -> Listed {
        let installed = self.installed.as_ref();
        Listed {
            name: name.to_owned(),
            source: self.source.clone(),
            standing: installed.map(|installed| installed.standing),
            info: installed.map(|installed| installed.plugin.info().clone()),
            problem: self.problem.clone(),
        }
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("folder", &self.folder.path())
            .field("known", &self.known.keys())
            .finish_non_exhaustive()
    }
}
