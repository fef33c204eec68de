//! Deleting and copying folders that are there.

use std::path::{Path, PathBuf};

use atoll_hub::HubError;
use atoll_hub::local::{copy, remove};
use tempfile::tempdir;

use crate::server::names;

fn model(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    for name in ["config.json", "model.safetensors", ".atoll.json"] {
        std::fs::write(folder.join(name), name).unwrap();
    }
    folder.to_owned()
}

#[test]
fn a_model_goes_and_its_neighbour_stays() {
    let root = tempdir().unwrap();
    let roots = [root.path().to_owned()];
    let a = model(&root.path().join("org/a"));
    let b = model(&root.path().join("org/b"));
    remove("org/a", &a, &roots).unwrap();
    assert_eq!(names(&root.path().join("org")), ["b"]);
    remove("org/b", &b, &roots).unwrap();
    assert!(
        names(root.path()).is_empty(),
        "the empty organisation goes with its last model"
    );
}

/// Names come from requests; folders that are not below a models folder are nobody's to delete.
#[test]
fn what_is_not_in_a_models_folder_is_not_deleted() {
    let outer = tempdir().unwrap();
    let root = outer.path().join("models");
    let inside = model(&root);
    let outside = model(&outer.path().join("other"));
    for folder in [&inside, &outside] {
        let error = remove("x", folder, std::slice::from_ref(&root)).unwrap_err();
        assert!(matches!(error, HubError::NotOurs { .. }), "{error}");
        assert!(folder.join("config.json").exists());
    }
}

/// A cache's snapshot is links into its blobs: deleting the links alone would free nothing.
#[test]
fn a_cached_model_goes_with_its_blobs() {
    let root = tempdir().unwrap();
    let snapshot = model(&root.path().join("models--org--name/snapshots/abc"));
    std::fs::create_dir_all(root.path().join("models--org--name/blobs")).unwrap();
    remove("org/name", &snapshot, &[root.path().to_owned()]).unwrap();
    assert!(names(root.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn a_link_is_deleted_and_what_it_points_at_is_not() {
    let outer = tempdir().unwrap();
    let real = model(&outer.path().join("elsewhere"));
    let root = outer.path().join("models");
    std::fs::create_dir_all(&root).unwrap();
    std::os::unix::fs::symlink(&real, root.join("linked")).unwrap();
    remove("linked", &root.join("linked"), std::slice::from_ref(&root)).unwrap();
    assert!(names(&root).is_empty());
    assert!(real.join("config.json").exists());
}

#[test]
fn a_copy_has_the_files_and_a_life_of_its_own() {
    let root = tempdir().unwrap();
    let a = model(&root.path().join("org/a"));
    copy(&a, root.path(), "mine/b").unwrap();
    let b = root.path().join("mine/b");
    // The receipt stays behind: the copy was not downloaded under its name.
    assert_eq!(names(&b), ["config.json", "model.safetensors"]);
    remove("org/a", &a, &[root.path().to_owned()]).unwrap();
    assert_eq!(
        std::fs::read(b.join("model.safetensors")).unwrap(),
        b"model.safetensors"
    );
    assert_eq!(names(root.path()), ["mine"]);
}

#[test]
fn a_copy_goes_neither_over_a_model_nor_out_of_the_folder() {
    let root = tempdir().unwrap();
    let a = model(&root.path().join("a"));
    for (name, taken) in [
        ("a", true),
        ("a/b", true),
        ("../x", false),
        ("x/y/z", false),
        (".x", false),
        ("x:1", false),
    ] {
        let error = copy(&a, root.path(), name).unwrap_err();
        let expected = if taken {
            matches!(error, HubError::Exists { .. })
        } else {
            matches!(error, HubError::Name { .. })
        };
        assert!(expected, "{name}: {error}");
    }
    assert_eq!(names(root.path()), ["a"]);
}
