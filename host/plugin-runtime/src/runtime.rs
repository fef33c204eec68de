//! Loading plugins: from bytes to something that can be called.
//!
//! The steps, each of which can refuse with a message for whoever installs the plugin: size, kind of
//! file, grants this host has, compile (or the cache), imports against grants, world and contract
//! version, `describe` in a throw-away instance under a tight budget, the description itself, settings
//! against the schema. Nothing is put in force here: the result goes into a [`crate::Registry`].

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};

use crate::adapter::{self, Adapter};
use crate::aot::{self, AotCache, Origin};
use crate::cell::{Cell, RuntimeShared, Slot};
use crate::compile;
use crate::descriptor::{self, Described};
use crate::dialect::Dialect;
use crate::error::PluginError;
use crate::filter::Filter;
use crate::grant::{Grant, GrantSet, ImportSummary};
use crate::host::{
    self, AllowList, Folder, HostState, HttpOut, KvDisk, KvStore, MemoryBudget, PluginMetrics,
    PluginMetricsSnapshot, PluginShared, Resolver, Stored, SystemResolver,
};
use crate::info::{PluginInfo, RouteInfo, WantInfo};
use crate::options::RuntimeOptions;
use crate::plugin::PluginCore;
use crate::registry::LoadedPlugin;
use crate::settings;
use crate::source::{self, PluginSource};
use crate::strategy::{Placement, Scheduling};
use crate::ticker::Ticker;
use crate::types::{self, Interests};

/// Bytes of a reason, which people read in one line.
pub(crate) const MAX_REASON_BYTES: usize = 2048;

/// On what terms a plugin is loaded. The default grants nothing.
#[derive(Debug, Clone, Default)]
pub struct LoadPolicy {
    /// Host interfaces it may import. See [`Grant::all_local`] for plugins that ship with the host.
    pub grants: Vec<Grant>,
    /// Its settings, an object; null for none. Defaults of its schema are filled in.
    pub settings: serde_json::Value,
}

/// Loads plugins and owns what they share: the engine, the instance pool, the compiled-code cache, and
/// each plugin's `kv` store and metrics. Cheap to clone.
#[derive(Clone)]
pub struct PluginRuntime {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<RuntimeShared>,
    cache: Option<AotCache>,
    pooled: bool,
    /// Linear memory of all plugins.
    memory: Arc<MemoryBudget>,
    /// One linker per set of grants.
    linkers: Mutex<HashMap<GrantSet, Arc<Linker<HostState>>>>,
    /// Where `kv` is kept, if anywhere.
    kv_disk: OnceLock<KvDisk>,
    /// By plugin name, so that a reloaded plugin finds its own again.
    belongings: Mutex<HashMap<String, Belongings>>,
    /// One compilation at a time: each already uses all cores it can.
    compiling: Semaphore,
}

#[derive(Clone)]
struct Belongings {
    kv: Arc<KvStore>,
    metrics: Arc<PluginMetrics>,
    memory: Arc<MemoryBudget>,
}

impl Belongings {
    /// Whether a plugin in force has them, or one left something in them.
    fn is_needed(&self) -> bool {
        Arc::strong_count(&self.metrics) > 1 || !self.metrics.is_untouched() || !self.kv.is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PluginRuntime {
    /// Sets up the engine, its pool, its clock thread and the cache folder.
    ///
    /// # Errors
    /// [`PluginError::Engine`] when the machine cannot run WebAssembly, [`PluginError::Io`] when the
    /// cache folder cannot be used.
    pub fn new(options: RuntimeOptions) -> Result<Self, PluginError> {
        let setup = crate::engine::build(&options)?;
        let ticker = Ticker::start(&setup.engine, options.tick)?;
        let cache = options
            .cache_dir
            .as_deref()
            .map(|dir| AotCache::open(dir, &setup.engine, options.cache_bytes))
            .transpose()?;
        let memory = Arc::new(MemoryBudget::new(options.total_memory_bytes, None));
        let shared = RuntimeShared {
            engine: setup.engine,
            options: Arc::new(options),
            ticker,
            instances: Arc::new(Semaphore::new(setup.max_instances as usize)),
            epoch: Instant::now(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                cache,
                pooled: setup.pooled,
                memory,
                linkers: Mutex::default(),
                kv_disk: OnceLock::new(),
                belongings: Mutex::default(),
                compiling: Semaphore::new(1),
            }),
        })
    }

    /// Keeps what plugins store in `kv` in this file, and gives them what it holds. To be called before
    /// the first plugin is loaded: stores that are open already stay in memory. A thread writes what
    /// changed every tenth of a second, and once more when the runtime is dropped.
    ///
    /// # Errors
    /// The file cannot be opened: it is damaged, or another process uses it. Stores are then in memory.
    pub fn keep_kv(&self, file: &Path) -> Result<(), PluginError> {
        let disk =
            KvDisk::open(file, self.inner.shared.options.kv).map_err(|reason| PluginError::Io {
                path: file.display().to_string(),
                reason,
            })?;
        self.inner
            .kv_disk
            .set(disk)
            .map_err(|_| PluginError::Engine("kv has a file already".to_owned()))
    }

    fn open_kv(&self, name: &str) -> Arc<KvStore> {
        match self.inner.kv_disk.get() {
            Some(disk) => disk.open_store(name),
            None => Arc::new(KvStore::new(self.inner.shared.options.kv)),
        }
    }

    /// How much each plugin has stored in `kv`, by the name it gives itself, whether it is in force or was removed.
    #[must_use]
    pub fn stored(&self) -> BTreeMap<String, Stored> {
        if let Some(disk) = self.inner.kv_disk.get() {
            return disk.stored().unwrap_or_else(|error| {
                tracing::error!(%error, "what plugins stored cannot be counted");
                BTreeMap::new()
            });
        }
        let belongings = lock(&self.inner.belongings);
        let all = belongings
            .iter()
            .map(|(name, own)| (name.clone(), own.kv.amount()));
        all.filter(|(_, stored)| !stored.is_empty()).collect()
    }

    /// Deletes what a plugin stored in `kv` and says how much that was. `None`, and nothing is deleted, while one of
    /// that name is in force or a request still uses it.
    #[must_use]
    pub fn forget(&self, name: &str) -> Option<Stored> {
        // Nobody is given a store meanwhile.
        let belongings = lock(&self.inner.belongings);
        match belongings.get(name) {
            Some(own) if Arc::strong_count(&own.metrics) > 1 => None,
            Some(own) => Some(own.kv.clear()),
            None => Some(self.open_kv(name).clear()),
        }
    }

    /// Whether instances come from a pool, or the system refused the address space for one.
    #[must_use]
    pub fn pooled(&self) -> bool {
        self.inner.pooled
    }

    /// Instances that could be opened right now.
    #[must_use]
    pub fn free_instances(&self) -> usize {
        self.inner.shared.instances.available_permits()
    }

    /// The largest component it would load.
    pub(crate) fn max_component_bytes(&self) -> usize {
        self.inner.shared.options.max_component_bytes
    }

    /// What plugins have reported through `metrics`, by plugin.
    #[must_use]
    pub fn metrics(&self) -> Vec<PluginMetricsSnapshot> {
        let belongings = lock(&self.inner.belongings).clone();
        let mut all: Vec<_> = belongings
            .iter()
            .map(|(name, own)| own.metrics.snapshot(name))
            .collect();
        all.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        all
    }

    /// Asks a plugin to describe itself, and puts nothing in force: what a person looks at before
    /// deciding whether to trust it. Nothing of it but `describe` runs.
    ///
    /// # Errors
    /// As [`PluginRuntime::load`], but settings are not looked at.
    pub async fn inspect(&self, source: PluginSource) -> Result<PluginInfo, PluginError> {
        let mut grants = Grant::all_local();
        // It is linked and leads nowhere: nothing is granted to a plugin that describes itself.
        grants.push(Grant::HttpOut(Vec::new()));
        let mut examined = self.examine(source, grants).await?;
        examined.info.grants.clear();
        Ok(examined.info)
    }

    /// Loads a plugin and asks it to describe itself.
    ///
    /// # Errors
    /// Any [`PluginError`] but `Conflict`; nothing of the plugin is left behind.
    pub async fn load(
        &self,
        source: PluginSource,
        policy: LoadPolicy,
    ) -> Result<LoadedPlugin, PluginError> {
        let reach = Reach::of(&policy.grants).map_err(|reason| PluginError::Rejected {
            name: source.name(),
            reason,
        })?;
        let Examined {
            adapter,
            info,
            sees,
            max_held_bytes,
        } = self.examine(source, policy.grants).await?;
        let missing = reach.missing_folders(&info.wants);
        if !missing.is_empty() {
            let name = info.installed_as;
            return Err(PluginError::NotGranted { name, missing });
        }
        let settings =
            settings::check(&info.settings_schema, &policy.settings).map_err(|reason| {
                PluginError::Settings {
                    name: info.name.clone(),
                    version: info.version.clone(),
                    reason: host::sanitize(&reason, MAX_REASON_BYTES),
                }
            })?;
        let grants = GrantSet::of(&info.grants);
        let frame = self.provisional(&info.name, grants);
        let shared = Arc::new(PluginShared {
            name: Arc::from(info.name.as_str()),
            version: Arc::from(info.version.as_str()),
            grants,
            world: Some(adapter.world()),
            settings: Arc::from(settings.to_string()),
            http_out: reach.http_out(&frame),
            folders: reach.folders.into(),
            ..frame
        });
        tracing::debug!(
            plugin = info.name, version = info.version, world = %info.world, sha256 = info.sha256,
            cached = info.cached, seconds = info.compile_time.as_secs_f64(), "plugin loaded"
        );
        let core = PluginCore::new(info, shared, Arc::clone(&self.inner.shared));
        Ok(match adapter {
            Adapter::Dialect(adapter) => {
                LoadedPlugin::Dialect(Arc::new(Dialect::new(core, adapter)))
            }
            Adapter::Filter(adapter) => {
                LoadedPlugin::Filter(Arc::new(Filter::new(core, adapter, sees, max_held_bytes)))
            }
            Adapter::Placement(adapter) => {
                LoadedPlugin::Placement(Arc::new(Placement::new(core, adapter)))
            }
            Adapter::Scheduling(adapter) => {
                LoadedPlugin::Scheduling(Arc::new(Scheduling::new(core, adapter)))
            }
        })
    }

    /// Everything about a component that does not depend on its settings.
    async fn examine(
        &self,
        source: PluginSource,
        granted: Vec<Grant>,
    ) -> Result<Examined, PluginError> {
        let name = source.name();
        // Much of it is the component's own words: names of imports, its schema.
        let rejected = |reason: String| PluginError::Rejected {
            name: name.clone(),
            reason: host::sanitize(&reason, MAX_REASON_BYTES),
        };
        let origin = source.shown();
        let limit = self.inner.shared.options.max_component_bytes;
        // Bytes that were never in a file ship inside the program.
        let ours = matches!(source, PluginSource::Bytes { .. });
        let wasm = source::read(source, limit).await?;
        let compiled = self.compile(wasm, ours, &rejected).await?;

        let engine = &self.inner.shared.engine;
        let ty = compiled.component.component_type();
        let imports = ImportSummary::read(ty.imports(engine).map(|(name, _)| name));
        let exports: Vec<String> = ty
            .exports(engine)
            .map(|(name, _)| name.to_owned())
            .collect();
        if !exports
            .iter()
            .any(|export| export.starts_with("atoll:plugin/"))
        {
            return Err(rejected(adapter::no_world(&exports)));
        }
        if !imports.foreign.is_empty() {
            let foreign = imports.foreign.join(", ");
            return Err(rejected(format!(
                "it imports {foreign}, which this host does not provide"
            )));
        }
        let missing = imports.missing(&granted);
        if !missing.is_empty() {
            return Err(PluginError::NotGranted { name, missing });
        }
        let grants = GrantSet::of(&granted);
        let linker = self
            .linker(grants)
            .map_err(|error| PluginError::Engine(format!("{error:#}")))?;
        let pre = linker
            .instantiate_pre(&compiled.component)
            .map_err(|error| {
                rejected(format!(
                    "its imports do not fit this host ({}): {error:#}",
                    adapter::SUPPORTED
                ))
            })?;
        let adapter = adapter::probe(&pre, &exports).map_err(rejected)?;
        let world = adapter.world();
        if world.is_pure()
            && let Some(import) = imports.beyond_pure()
        {
            return Err(rejected(format!(
                "a {world} strategy is a function of its input: it cannot import {import}"
            )));
        }

        let describing = Instant::now();
        let description = self.describe(&name, &adapter, grants).await?;
        let describe_time = describing.elapsed();
        let Description {
            described,
            routes,
            sees,
            max_held_bytes,
        } = description.map_err(rejected)?;
        let installed_as = name.clone();
        let Described {
            name,
            version,
            summary,
            schema,
            wants,
        } = described;
        let info = PluginInfo {
            name,
            installed_as,
            version,
            summary,
            world: adapter.world(),
            contract: contract_version(&exports),
            source: origin,
            sha256: hex::encode(compiled.digest),
            size_bytes: compiled.size as u64,
            wants,
            imports: imports.interfaces.into_iter().collect(),
            grants: granted,
            settings_schema: schema,
            routes,
            max_held_bytes: matches!(adapter, Adapter::Filter(_)).then_some(max_held_bytes),
            compile_time: compiled.time,
            cached: compiled.origin == Origin::Cached,
            describe_time,
        };
        Ok(Examined {
            adapter,
            info,
            sees,
            max_held_bytes,
        })
    }

    async fn compile(
        &self,
        wasm: Arc<[u8]>,
        ours: bool,
        rejected: &impl Fn(String) -> PluginError,
    ) -> Result<Compiled, PluginError> {
        source::check_kind(&wasm).map_err(rejected)?;
        let _one_at_a_time = self
            .inner
            .compiling
            .acquire()
            .await
            .map_err(|_| PluginError::Engine("shutting down".to_owned()))?;
        let inner = Arc::clone(&self.inner);
        let work = tokio::task::spawn_blocking(move || -> Result<Compiled, String> {
            let started = Instant::now();
            let digest: [u8; 32] = Sha256::digest(&wasm).into();
            let engine = &inner.shared.engine;
            let compile = || compile::compile(engine, &wasm, ours, &inner.shared.options);
            let (component, origin) = match &inner.cache {
                Some(cache) => cache.load(engine, &digest, compile)?,
                None => {
                    let component = aot::load_native(engine, compile()?);
                    let component = component.map_err(|error| format!("{error:#}"))?;
                    (component, Origin::Compiled)
                }
            };
            Ok(Compiled {
                component,
                origin,
                digest,
                size: wasm.len(),
                time: started.elapsed(),
            })
        });
        match work.await {
            Ok(outcome) => outcome.map_err(rejected),
            Err(join) => Err(rejected(format!("compiling it failed: {join}"))),
        }
    }

    fn linker(&self, grants: GrantSet) -> wasmtime::Result<Arc<Linker<HostState>>> {
        let mut linkers = lock(&self.inner.linkers);
        if let Some(linker) = linkers.get(&grants) {
            return Ok(Arc::clone(linker));
        }
        let linker = Arc::new(host::linker(&self.inner.shared.engine, grants)?);
        linkers.insert(grants, Arc::clone(&linker));
        Ok(linker)
    }

    fn plugin_memory(&self) -> Arc<MemoryBudget> {
        let limit = self.inner.shared.options.plugin_memory_bytes;
        Arc::new(MemoryBudget::new(
            limit,
            Some(Arc::clone(&self.inner.memory)),
        ))
    }

    /// The state of a plugin that has not described itself, or the frame for one that has.
    fn provisional(&self, name: &str, grants: GrantSet) -> PluginShared {
        let options = &self.inner.shared.options;
        let mut belongings = lock(&self.inner.belongings);
        // Names are the plugins' own words, and a file that is replaced may say another each time.
        belongings.retain(|known, own| known == name || own.is_needed());
        let own = belongings
            .entry(name.to_owned())
            .or_insert_with(|| Belongings {
                kv: self.open_kv(name),
                metrics: Arc::new(PluginMetrics::new(options.max_metric_names)),
                memory: self.plugin_memory(),
            })
            .clone();
        PluginShared {
            name: Arc::from(name),
            version: Arc::from("unknown"),
            grants,
            world: None,
            settings: Arc::from("{}"),
            kv: own.kv,
            metrics: own.metrics,
            http_out: None,
            folders: Arc::default(),
            memory: own.memory,
            options: Arc::clone(options),
        }
    }

    /// Calls `describe` in an instance that is thrown away. The inner error is a bad description.
    async fn describe(
        &self,
        name: &str,
        adapter: &Adapter,
        grants: GrantSet,
    ) -> Result<Result<Description, String>, PluginError> {
        let runtime = &self.inner.shared;
        // While it describes itself it has no name of its own yet, so no belongings either: what it
        // stores or counts now is thrown away with the instance.
        let shared = Arc::new(PluginShared {
            name: Arc::from(name),
            version: Arc::from("unknown"),
            grants,
            world: Some(adapter.world()),
            settings: Arc::from("{}"),
            kv: Arc::new(KvStore::new(runtime.options.kv)),
            metrics: Arc::new(PluginMetrics::new(runtime.options.max_metric_names)),
            http_out: None,
            folders: Arc::default(),
            memory: self.plugin_memory(),
            options: Arc::clone(&runtime.options),
        });
        let slot = Slot::take(runtime, &shared, &Arc::new(Semaphore::new(1)))?;
        let cell = Cell::new(
            Arc::clone(runtime),
            shared,
            Arc::from("describe"),
            runtime.options.describe,
            slot,
        );
        let plain = |descriptor: types::Descriptor| {
            descriptor::check(descriptor).map(|described| Description {
                described,
                routes: Vec::new(),
                sees: Interests::empty(),
                max_held_bytes: 0,
            })
        };
        Ok(match adapter {
            Adapter::Dialect(adapter) => {
                let descriptor = adapter.describe(cell).await?;
                plain(descriptor.plugin).and_then(|description| {
                    let routes = descriptor::check_routes(descriptor.routes)?;
                    let routes = routes.into_iter().map(|(info, _)| info).collect();
                    Ok(Description {
                        routes,
                        ..description
                    })
                })
            }
            Adapter::Filter(adapter) => {
                let descriptor = adapter.describe(cell).await?;
                plain(descriptor.plugin).map(|description| Description {
                    sees: descriptor.sees,
                    max_held_bytes: descriptor.max_held_bytes,
                    ..description
                })
            }
            Adapter::Placement(adapter) => plain(adapter.describe(cell).await?),
            Adapter::Scheduling(adapter) => plain(adapter.describe(cell).await?),
        })
    }
}

impl std::fmt::Debug for PluginRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginRuntime")
            .field("pooled", &self.inner.pooled)
            .field("free_instances", &self.free_instances())
            .finish_non_exhaustive()
    }
}

/// What of the world outside a plugin was granted.
struct Reach {
    allow: AllowList,
    folders: Vec<Folder>,
}

impl Reach {
    fn of(grants: &[Grant]) -> Result<Self, String> {
        grants.iter().try_for_each(Grant::check)?;
        Ok(Self {
            allow: AllowList::of(grants)?,
            folders: host::folders(grants)?,
        })
    }

    /// The folders that a plugin wants and was not given, as a grant would say them.
    fn missing_folders(&self, wants: &[WantInfo]) -> Vec<String> {
        let given = |name: &String| self.folders.iter().any(|folder| folder.name == *name);
        wants
            .iter()
            .filter_map(|want| match &want.grant {
                Grant::Files(names) => Some(names.iter()),
                _ => None,
            })
            .flatten()
            .filter(|name| !given(name))
            .map(|name| format!("files:{name}=FOLDER"))
            .collect()
    }

    fn http_out(&self, plugin: &PluginShared) -> Option<Arc<HttpOut>> {
        if self.allow.is_empty() {
            return None;
        }
        let resolver = plugin.options.resolver.clone();
        let resolver = resolver.unwrap_or_else(|| Arc::new(SystemResolver) as Arc<dyn Resolver>);
        Some(Arc::new(HttpOut::new(
            self.allow.clone(),
            resolver,
            plugin.options.http_out,
            Arc::clone(&plugin.metrics.http_out),
        )))
    }
}

struct Compiled {
    component: Component,
    origin: Origin,
    digest: [u8; 32],
    size: usize,
    time: std::time::Duration,
}

/// A component that is a plugin, described.
struct Examined {
    adapter: Adapter,
    info: PluginInfo,
    sees: Interests,
    max_held_bytes: u32,
}

struct Description {
    described: Described,
    routes: Vec<RouteInfo>,
    sees: Interests,
    max_held_bytes: u32,
}

/// The version in the first export of ours: `atoll:plugin/dialect-guest@0.1.0`.
fn contract_version(exports: &[String]) -> String {
    exports
        .iter()
        .find(|export| export.starts_with("atoll:plugin/"))
        .and_then(|export| export.rsplit_once('@'))
        .map_or_else(String::new, |(_, version)| version.to_owned())
}
