//! A hub that lies: damaged bytes, endless bytes, names that are paths, redirects that go round.

use atoll_hub::{HubError, RepoId};
use serde_json::json;
use tempfile::tempdir;

use crate::server::{Fault, REPO, REVISION, Server, names};

#[tokio::test]
async fn wrong_bytes_never_become_a_model() {
    let server = Server::start().await;
    server.fault("model.safetensors", [Fault::Corrupt]);
    let models = tempdir().unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    let HubError::WrongHash { file, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(file, "model.safetensors");
    assert!(!models.path().join(REPO).exists());
    let staged = names(&models.path().join(".pulling/reef tiny"));
    assert!(
        staged.iter().all(|name| !name.contains("safetensors")),
        "{staged:?}"
    );
    // The hub was mended: nothing of the damage is left.
    server.pull(models.path()).await.unwrap();
}

/// Small files have Git's hash instead of a sha256.
#[tokio::test]
async fn small_files_are_verified_too() {
    let server = Server::start().await;
    server.fault("tokenizer.json", [Fault::Corrupt]);
    let models = tempdir().unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(
        matches!(&error, HubError::WrongHash { file, expected, .. }
        if file == "tokenizer.json" && expected.starts_with("git:")),
        "{error:?}"
    );
}

/// A disk that lost what it had is not the hub's fault: the file is fetched once more.
#[tokio::test]
async fn a_damaged_part_is_fetched_again_from_the_beginning() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault(
        "model.safetensors",
        [Fault::Drop(1_000_000), Fault::Status(404, &[])],
    );
    server.pull(models.path()).await.unwrap_err();
    let staging = models.path().join(".pulling/reef tiny");
    let part = names(&staging)
        .into_iter()
        .find(|name| name.ends_with("safetensors.part"))
        .unwrap();
    std::fs::write(staging.join(part), vec![9; 500_000]).unwrap();
    let pulled = server.pull(models.path()).await.unwrap();
    let expected = server.script().files["model.safetensors"].clone();
    assert!(std::fs::read(pulled.folder.join("model.safetensors")).unwrap() == expected);
}

#[tokio::test]
async fn more_bytes_than_promised_are_not_written() {
    let server = Server::start().await;
    server.fault("config.json", vec![Fault::TooMuch; 10]);
    let models = tempdir().unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(matches!(error, HubError::Transport { .. }), "{error:?}");
    assert!(!models.path().join(REPO).exists());
}

#[tokio::test]
async fn another_range_than_asked_for_is_not_glued_on() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault(
        "model.safetensors",
        [Fault::Drop(1_000_000), Fault::WrongRange],
    );
    let pulled = server.pull(models.path()).await.unwrap();
    assert_eq!(server.asked("model.safetensors").len(), 3);
    assert_eq!(
        std::fs::metadata(pulled.folder.join("model.safetensors"))
            .unwrap()
            .len(),
        3_000_000
    );
}

#[tokio::test]
async fn names_that_are_paths_are_neither_asked_for_nor_written() {
    let server = Server::start().await;
    {
        let mut script = server.script();
        for name in [
            "../config.json",
            "..",
            "model-/../../../escape.safetensors",
            "/etc/model.safetensors",
        ] {
            script.files.insert(name.to_owned(), b"x".to_vec());
        }
    }
    let outer = tempdir().unwrap();
    let models = outer.path().join("models");
    server.pull(&models).await.unwrap();
    assert_eq!(server.script().asked.len(), 4);
    assert_eq!(names(outer.path()), ["models"]);
}

/// A link planted in the staging folder must not make us write elsewhere.
#[cfg(unix)]
#[tokio::test]
async fn a_link_in_the_models_folder_leads_nowhere() {
    let server = Server::start().await;
    let outer = tempdir().unwrap();
    let (models, victim) = (outer.path().join("models"), outer.path().join("victim"));
    std::fs::create_dir_all(models.join(".pulling")).unwrap();
    std::fs::create_dir_all(&victim).unwrap();
    std::os::unix::fs::symlink(&victim, models.join(".pulling/reef tiny")).unwrap();
    server.pull(&models).await.unwrap_err();
    assert!(names(&victim).is_empty());
}

#[tokio::test]
async fn redirects_that_go_round_end() {
    let server = Server::start().await;
    let round = Fault::Redirect("{path}".to_owned());
    server.fault("config.json", vec![round; 200]);
    let models = tempdir().unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(matches!(error, HubError::Transport { .. }), "{error:?}");
}

#[tokio::test]
async fn a_listing_without_hashes_is_refused() {
    let server = Server::start().await;
    let siblings = json!([
        { "rfilename": "config.json", "size": 1 },
        { "rfilename": "tokenizer.json", "size": 1 },
        { "rfilename": "model.safetensors", "size": 1 },
    ]);
    server.script().listing = Some((
        200,
        vec![],
        json!({ "sha": REVISION, "siblings": siblings }),
    ));
    let models = tempdir().unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(matches!(error, HubError::Listing { .. }), "{error:?}");
}

#[test]
fn a_name_is_checked_before_anything_else() {
    for name in ["../etc", "a/../b", "/a/b", "a", "a/b/c"] {
        assert!(
            matches!(RepoId::parse(name), Err(HubError::Name { .. })),
            "{name}"
        );
    }
}
