//! Checkpoints as files: single, sharded, linked, and lying.

use std::fs;

use proptest::prelude::*;

use super::*;

/// A safetensors file of U8 tensors, in the given order.
fn file(tensors: &[(&str, &[u8])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        data.extend_from_slice(bytes);
        let tensor =
            serde_json::json!({"dtype": "U8", "shape": [bytes.len()], "data_offsets": offsets});
        header.insert((*name).to_owned(), tensor);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header);
    out.extend(data);
    out
}

/// Name and content of each file of a folder.
type Files<'a> = Vec<(&'a str, Vec<u8>)>;

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn index(map: serde_json::Value) -> (&'static str, Vec<u8>) {
    (
        INDEX,
        serde_json::to_vec(&serde_json::json!({"metadata": {"total_size": 5}, "weight_map": map}))
            .unwrap(),
    )
}

#[test]
fn entries_point_at_their_bytes() {
    let folder = folder(&[
        ("x-1.safetensors", file(&[("b", &[1, 2, 3]), ("a", &[4])])),
        ("x-2.safetensors", file(&[("c", &[5, 6])])),
        index(
            serde_json::json!({"a": "x-1.safetensors", "b": "x-1.safetensors", "c": "x-2.safetensors"}),
        ),
    ]);
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.bytes(), 6);
    let names: Vec<&str> = checkpoint
        .entries()
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    for (name, expected) in [("a", vec![4]), ("b", vec![1, 2, 3]), ("c", vec![5, 6])] {
        let entry = checkpoint.get(name).unwrap();
        let bytes = fs::read(&checkpoint.files()[entry.file].path).unwrap();
        assert_eq!(
            bytes[entry.offset as usize..][..entry.len as usize],
            expected
        );
    }
    assert!(checkpoint.get("d").is_none());
}

#[test]
fn lies_are_refused() {
    let one = file(&[("a", &[1])]);
    let map = |value| index(value);
    let cases: Vec<(Files<'_>, &str)> = vec![
        (vec![], "no model.safetensors"),
        (vec![(SINGLE, vec![1, 2])], "shorter than 8"),
        (
            vec![(SINGLE, u64::MAX.to_le_bytes().to_vec())],
            "a header of",
        ),
        (vec![(SINGLE, one[..one.len() - 1].to_vec())], "truncated"),
        (
            vec![map(serde_json::json!({"a": "x.safetensors"}))],
            "x.safetensors",
        ),
        (
            vec![map(serde_json::json!({"a": "../x.safetensors"}))],
            "not the name",
        ),
        (
            vec![map(serde_json::json!({"a": "/etc/passwd"}))],
            "not the name",
        ),
        (
            vec![map(serde_json::json!({"a": "config.json"}))],
            "not the name",
        ),
        (
            vec![
                ("x.safetensors", one.clone()),
                map(serde_json::json!({"b": "x.safetensors"})),
            ],
            "it is not",
        ),
        (
            vec![
                ("x.safetensors", one.clone()),
                ("y.safetensors", file(&[("a", &[1]), ("b", &[2])])),
                map(serde_json::json!({"a": "x.safetensors", "b": "y.safetensors"})),
            ],
            "another shard",
        ),
        (vec![(INDEX, b"{}".to_vec())], "weight_map"),
    ];
    for (files, expected) in cases {
        let folder = folder(&files);
        let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(expected),
            "expected {expected:?} in {error:?}"
        );
    }
}

/// The Hugging Face cache keeps blobs elsewhere and links to them.
#[cfg(unix)]
#[test]
fn links_to_files_are_followed() {
    let blobs = folder(&[("blob", file(&[("a", &[1])]))]);
    let model = folder(&[]);
    std::os::unix::fs::symlink(blobs.path().join("blob"), model.path().join(SINGLE)).unwrap();
    assert_eq!(Checkpoint::open(model.path()).unwrap().entries().len(), 1);
    let device = folder(&[]);
    std::os::unix::fs::symlink("/dev/zero", device.path().join(SINGLE)).unwrap();
    assert!(
        Checkpoint::open(device.path())
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = file(&[("a", &[1, 2]), ("b", &[3])]);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len() * 2).min(bytes.len()));
        let len = bytes.len() as u64;
        let folder = folder(&[(SINGLE, bytes)]);
        if let Ok(checkpoint) = Checkpoint::open(folder.path()) {
            prop_assert!(checkpoint.entries().iter().all(|entry| entry.offset + entry.len <= len));
        }
    }
}
