//! The store against a plain map, its limits, and what stays in its file.

use std::collections::BTreeMap;

use atoll_plugin_runtime::types::{StoredResponse, StoredStatus};
use proptest::prelude::*;

use super::*;

pub(in crate::responses) fn record(
    id: &str,
    created_at: u64,
    previous: Option<&str>,
    note: &str,
) -> Kept {
    let mut request = crate::generate::tests::request();
    request.state.previous_response_id = previous.map(str::to_owned);
    request.metadata = vec![("note".to_owned(), note.to_owned())];
    Kept {
        owner: None,
        whole: false,
        cuts: None,
        response: StoredResponse {
            id: id.to_owned(),
            created_at,
            status: StoredStatus::Finished,
            request,
            events: Vec::new(),
        },
    }
}

fn size(record: &Kept) -> u64 {
    serde_json::to_vec(record).unwrap().len() as u64
}

fn memory(limits: StoreLimits) -> ResponseStore {
    ResponseStore::in_memory(limits).unwrap()
}

#[test]
fn what_was_put_is_found_also_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("responses.redb");
    let first = record("a", 5, None, "x");
    {
        let store = ResponseStore::open(&path, StoreLimits::default()).unwrap();
        store.put(&first).unwrap();
    }
    let store = ResponseStore::open(&path, StoreLimits::default()).unwrap();
    assert_eq!(store.get(None, "a").unwrap(), Some(first));
    assert_eq!(store.get(None, "b").unwrap(), None);
}

/// One key's answers are another's secret.
#[test]
fn a_record_is_its_owners_only() {
    let store = memory(StoreLimits::default());
    let mut mine = record("a", 5, None, "x");
    mine.owner = Some("me".to_owned());
    store.put(&mine).unwrap();
    for stranger in [None, Some("you")] {
        assert_eq!(store.get(stranger, "a").unwrap(), None);
        assert_eq!(store.chain(stranger, "a", |_| None).unwrap(), None);
        assert!(!store.delete(stranger, "a").unwrap());
    }
    assert!(store.delete(Some("me"), "a").unwrap());
}

#[test]
fn a_chain_is_read_oldest_first_and_breaks_with_its_links() {
    let store = memory(StoreLimits::default());
    store.put(&record("a", 1, None, "")).unwrap();
    store.put(&record("b", 2, Some("a"), "")).unwrap();
    store.put(&record("c", 3, Some("b"), "")).unwrap();
    let ids = |id: &str| {
        let chain = store.chain(None, id, |_| None).unwrap();
        chain.map(|chain| {
            chain
                .into_iter()
                .map(|kept| kept.response.id)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        ids("c"),
        Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])
    );
    store.delete(None, "a").unwrap();
    assert_eq!(
        ids("c"),
        None,
        "what was deleted is in no conversation any more"
    );
    // A chain that bites its tail must end too.
    store.put(&record("d", 4, Some("e"), "")).unwrap();
    store.put(&record("e", 5, Some("d"), "")).unwrap();
    assert_eq!(ids("d"), None);
}

#[test]
fn the_oldest_make_room_and_the_old_expire() {
    let one = size(&record("a", 1, None, ""));
    let store = memory(StoreLimits {
        max_bytes: 2 * one,
        max_age: Duration::from_secs(10),
    });
    for (id, at) in [("a", 1), ("b", 2), ("c", 3)] {
        store.put(&record(id, at, None, "")).unwrap();
    }
    assert_eq!(store.len().unwrap(), 2);
    assert_eq!(store.get(None, "a").unwrap(), None);
    let large = record("d", 4, None, &"x".repeat(3 * one as usize));
    assert!(matches!(
        store.put(&large),
        Err(StoreError::TooLarge { .. })
    ));
    assert_eq!(store.len().unwrap(), 2, "a refused record removes nothing");
    store.tidy(12).unwrap();
    assert_eq!(store.len().unwrap(), 2);
    store.tidy(13).unwrap();
    assert_eq!(store.get(None, "b").unwrap(), None);
    assert_eq!(store.len().unwrap(), 1);
}

/// Deleting is a promise about the disk, not only about the index.
#[test]
fn what_was_deleted_is_not_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("responses.redb");
    let store = ResponseStore::open(&path, StoreLimits::default()).unwrap();
    store
        .put(&record("gone", 1, None, "a-secret-to-delete"))
        .unwrap();
    store
        .put(&record("kept", 2, None, "a-note-to-keep"))
        .unwrap();
    let holds = |text: &str| {
        let bytes = std::fs::read(&path).unwrap();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("a-secret-to-delete"));
    assert!(store.delete(None, "gone").unwrap());
    store.tidy(3).unwrap();
    assert!(!holds("a-secret-to-delete"));
    assert!(holds("a-note-to-keep"));
    // The new file is the store's own: it goes on working, and the next process finds it.
    store.put(&record("later", 3, None, "")).unwrap();
    drop(store);
    let store = ResponseStore::open(&path, StoreLimits::default()).unwrap();
    assert_eq!(store.len().unwrap(), 2);
    assert!(store.get(None, "kept").unwrap().is_some());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else may read what was said");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Puts, replacements and deletions in any order leave what a map would hold.
    #[test]
    fn the_store_is_a_map(steps in prop::collection::vec((0u8..3, 0u8..6, 0u64..9), 0..24)) {
        let store = memory(StoreLimits::default());
        let mut map = BTreeMap::new();
        for (what, id, at) in steps {
            let id = format!("r{id}");
            if what == 0 {
                prop_assert_eq!(store.delete(None, &id).unwrap(), map.remove(&id).is_some());
            } else {
                let kept = record(&id, at, None, &"n".repeat(at as usize));
                store.put(&kept).unwrap();
                map.insert(id, kept);
            }
        }
        prop_assert_eq!(store.len().unwrap(), map.len() as u64);
        for (id, kept) in map {
            prop_assert_eq!(store.get(None, &id).unwrap(), Some(kept));
        }
    }
}
