//! Many swaps of a dialect under load: no request fails, no stream mixes versions, nothing is left.
//!
//! At CI size by default. The full size, whose result is in `bench/plugins.md`:
//!
//! ```text
//! ATOLL_SWAPS=1000 ATOLL_STREAMS=64 cargo test -p atoll-plugin-runtime --test runtime swaps -- --nocapture
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, Weak};

use atoll_plugin_runtime::{
    Dialect, Library, LibraryOptions, PluginRuntime, Registry, RuntimeOptions,
};
use tokio::task::JoinSet;

use crate::handmade::HandMade;
use crate::library::replace;
use crate::support::{options, request, text};

/// Encode calls of one stream.
const PIECES: usize = 20;
/// What every version says in every piece, and what is replaced in it to make the next one.
const MARK: &str = "v000000";

/// One component per number, made by changing the bytes of the first: nothing is built in the loop.
struct Versions(Vec<u8>);

impl Versions {
    fn new() -> Self {
        // A result<list<u8>, error> at 4096: success, and the seven bytes at 4200.
        let component = HandMade {
            version: "1.0.0-v000000",
            encode: "i32.const 4096",
            fields: r#"(data (i32.const 4096) "\00\00\00\00\00\00\00\00\68\10\00\00\07\00\00\00")
                       (data (i32.const 4200) "v000000")"#,
            ..HandMade::default()
        };
        Self(component.build())
    }

    fn number(&self, n: u64) -> Vec<u8> {
        let mark = format!("v{n:06}");
        let mut wasm = self.0.clone();
        let places: Vec<usize> = wasm
            .windows(MARK.len())
            .enumerate()
            .filter(|(_, window)| *window == MARK.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert!(places.len() >= 2, "in the description and in the answer");
        for at in places {
            wasm[at..at + mark.len()].copy_from_slice(mark.as_bytes());
        }
        wasm
    }
}

/// What new requests are answered by: as the gateway holds it.
struct InForce {
    registry: RwLock<Arc<Registry>>,
    /// At least this version answers a request that begins now.
    floor: AtomicU64,
    stop: AtomicBool,
}

impl InForce {
    fn dialect(&self) -> Arc<Dialect> {
        let registry = Arc::clone(&self.registry.read().unwrap());
        let headers = http::HeaderMap::new();
        registry
            .route("GET", "/handmade", &headers)
            .unwrap()
            .dialect
    }
}

/// Requests, one after the other, until told to stop, and one more. Returns how many, and the versions
/// that answered.
async fn stream(set: Arc<InForce>) -> (u64, BTreeSet<u64>) {
    let (mut requests, mut seen) = (0, BTreeSet::new());
    loop {
        let last = set.stop.load(Ordering::Acquire);
        let floor = set.floor.load(Ordering::Acquire);
        let dialect = set.dialect();
        let mut exchange = dialect.open(request("x")).await.unwrap();
        drop(dialect);
        let mut answer = Vec::new();
        for _ in 0..PIECES {
            answer.extend(exchange.encode(&[text("x")]).await.unwrap().unwrap());
            tokio::task::yield_now().await;
        }
        let answer = String::from_utf8(answer).unwrap();
        let first = &answer[..MARK.len()];
        assert_eq!(answer, first.repeat(PIECES), "one stream, one version");
        let version: u64 = first[1..].parse().unwrap();
        assert!(
            version >= floor,
            "{version} answered when {floor} was in force"
        );
        seen.insert(version);
        requests += 1;
        if last {
            return (requests, seen);
        }
    }
}

fn size(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok());
    given.unwrap_or(default)
}

/// Resident memory in KiB, where the system says.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    words.unwrap_or(0)
}

/// Follows the folder until the version is in force; says which dialect it is.
async fn take(
    library: &mut Library,
    path: &Path,
    wasm: &[u8],
    set: &InForce,
    n: u64,
) -> Weak<Dialect> {
    replace(path, wasm);
    let expected = format!("1.0.0-v{n:06}");
    // Once to see it, once more to see that it has settled.
    for _ in 0..2 {
        library.refresh().await;
    }
    let registry = Arc::new(library.inventory().registry);
    *set.registry.write().unwrap() = registry;
    set.floor.store(n, Ordering::Release);
    let dialect = set.dialect();
    assert_eq!(
        dialect.info().version,
        expected,
        "exactly the newest version answers"
    );
    Arc::downgrade(&dialect)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_lose_no_request_and_mix_no_versions() {
    let (swaps, streams) = (size("ATOLL_SWAPS", 50), size("ATOLL_STREAMS", 16));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("swapped.wasm");
    let room = u32::try_from(streams).unwrap() + 4;
    let runtime = PluginRuntime::new(RuntimeOptions {
        max_instances: room,
        max_instances_per_plugin: room,
        ..options()
    })
    .unwrap();
    let free = runtime.free_instances();
    let library_options = LibraryOptions {
        folder: folder.path().to_owned(),
        ..LibraryOptions::default()
    };
    let mut library = Library::new(runtime.clone(), library_options).unwrap();
    library.refresh().await;
    let versions = Versions::new();
    let set = Arc::new(InForce {
        registry: RwLock::default(),
        floor: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let mut all = vec![take(&mut library, &path, &versions.number(0), &set, 0).await];

    let mut clients = JoinSet::new();
    for _ in 0..streams {
        clients.spawn(stream(Arc::clone(&set)));
    }
    let mut early = 0;
    for n in 1..=swaps {
        all.push(take(&mut library, &path, &versions.number(n), &set, n).await);
        tokio::task::yield_now().await;
        if n == swaps / 10 {
            early = resident();
        }
    }
    let late = resident();
    set.stop.store(true, Ordering::Release);
    let (mut requests, mut seen) = (0, BTreeSet::new());
    while let Some(client) = clients.join_next().await {
        let (count, versions) = client.unwrap();
        requests += count;
        seen.extend(versions);
    }
    println!(
        "{swaps} swaps under {streams} streams: {requests} requests, none failed; {} versions answered; \
         resident {early} KiB after a tenth, {late} KiB at the end",
        seen.len()
    );
    assert!(
        requests >= streams && seen.contains(&swaps),
        "{requests} {seen:?}"
    );

    let last = all.pop().unwrap();
    assert!(last.upgrade().is_some());
    let alive = all.iter().filter(|old| old.upgrade().is_some()).count();
    assert_eq!(alive, 0, "every old version is gone");
    assert_eq!(runtime.free_instances(), free, "and so is every instance");
}
