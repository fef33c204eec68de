//! Pulls that cannot work, each with its own error and nothing left that looks like a model.

use std::time::Duration;

use atoll_hub::{Hub, HubError, HubOptions, RepoId};
use serde_json::Value;
use tempfile::tempdir;

use crate::server::{Fault, REPO, Server, names, pull};

type Headers = &'static [(&'static str, &'static str)];
type Expected = fn(&HubError) -> bool;

#[tokio::test]
async fn what_the_hub_says_is_told_apart() {
    let cases: [(u16, Headers, Expected); 6] = [
        (404, &[("x-error-code", "RepoNotFound")], |e| {
            matches!(e, HubError::NotFound { .. })
        }),
        (404, &[], |e| matches!(e, HubError::NotFound { .. })),
        // The hub says 401 to those without a token, whether or not the model exists.
        (401, &[("x-error-code", "RepoNotFound")], |e| {
            matches!(e, HubError::NotFound { .. })
        }),
        (401, &[], |e| matches!(e, HubError::Unauthorized { .. })),
        (403, &[("x-error-code", "GatedRepo")], |e| {
            matches!(e, HubError::Gated { .. })
        }),
        (500, &[], |e| {
            matches!(e, HubError::Status { status: 500, .. })
        }),
    ];
    for (status, headers, expected) in cases {
        let server = Server::start().await;
        server.script().listing = Some((status, headers.to_vec(), Value::Null));
        let models = tempdir().unwrap();
        let error = server.pull(models.path()).await.unwrap_err();
        assert!(expected(&error), "{status} {headers:?}: {error:?}");
        assert!(
            names(models.path()).is_empty(),
            "nothing is written before the hub has answered"
        );
    }
}

/// A listing may be public while its files ask for accepted terms.
#[tokio::test]
async fn a_gated_file_ends_the_pull_at_once() {
    let server = Server::start().await;
    server.fault(
        "model.safetensors",
        [Fault::Status(403, &[("x-error-code", "GatedRepo")])],
    );
    let models = tempdir().unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(matches!(error, HubError::Gated { .. }), "{error:?}");
    assert_eq!(server.asked("model.safetensors").len(), 1);
    assert!(!models.path().join(REPO).exists());
}

#[tokio::test]
async fn a_hub_that_stays_broken_is_given_up() {
    let server = Server::start().await;
    server.fault("config.json", vec![Fault::Status(500, &[]); 10]);
    let models = tempdir().unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(
        matches!(error, HubError::Status { status: 500, .. }),
        "{error:?}"
    );
    assert_eq!(
        server.asked("config.json").len(),
        3,
        "as often as the options say"
    );
}

#[tokio::test]
async fn an_unreachable_hub_says_why_without_quoting_the_address() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let mut options = server.options(models.path());
    drop(server);
    options.attempts = 1;
    let error = pull(&Hub::new(options).unwrap()).await.unwrap_err();
    let HubError::Transport { reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        !reason.is_empty() && !reason.contains("blobs=true"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_noticed_before_the_first_byte() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let mut options = server.options(models.path());
    options.keep_free = u64::MAX;
    let error = pull(&Hub::new(options).unwrap()).await.unwrap_err();
    assert!(
        matches!(error, HubError::NoSpace { needed, available: 0, .. } if needed > 3_000_000),
        "{error:?}"
    );
    assert!(server.script().asked.is_empty());
}

/// Somebody put the folder there: it is theirs.
#[tokio::test]
async fn a_folder_that_was_not_downloaded_is_not_touched() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let folder = models.path().join(REPO);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), "mine").unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(matches!(error, HubError::Exists { .. }), "{error:?}");
    assert_eq!(names(&folder), ["config.json"]);
    assert_eq!(std::fs::read(folder.join("config.json")).unwrap(), b"mine");
}

/// `ORG` is a model's folder: a model below it would never be found.
#[tokio::test]
async fn a_model_is_not_put_inside_a_model() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    std::fs::create_dir_all(models.path().join("reef")).unwrap();
    std::fs::write(models.path().join("reef/config.json"), "{}").unwrap();
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(
        matches!(&error, HubError::Exists { name } if name == "reef"),
        "{error:?}"
    );
}

/// Two hubs stand for two processes: file locks tell them apart as they would processes.
#[tokio::test]
async fn another_process_at_the_same_model_is_noticed() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault("model.safetensors", [Fault::Stall(10)]);
    let mut first = server
        .hub(models.path())
        .pull(&RepoId::parse(REPO).unwrap())
        .unwrap();
    while server.asked("model.safetensors").is_empty() {
        first.next().await;
    }
    let error = server.pull(models.path()).await.unwrap_err();
    assert!(matches!(error, HubError::Busy { .. }), "{error:?}");
    drop(first);
    server.pull(models.path()).await.unwrap();
}

/// What a download that was given up is still writing keeps the next one out, but not for long.
#[tokio::test]
async fn a_folder_that_is_free_in_a_moment_is_waited_for() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    std::fs::create_dir(models.path().join(".pulling")).unwrap();
    let lock = std::fs::File::create(models.path().join(".pulling/reef tiny.lock")).unwrap();
    lock.lock().unwrap();
    let given_back = async {
        while server.script().listings == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(lock);
    };
    let (pulled, ()) = tokio::join!(server.pull(models.path()), given_back);
    pulled.unwrap();
}

#[tokio::test]
async fn offline_means_no_request() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let mut options: HubOptions = server.options(models.path());
    options.offline = true;
    let error = pull(&Hub::new(options).unwrap()).await.unwrap_err();
    assert_eq!(error, HubError::Offline);
    assert_eq!(server.script().listings, 0);
}
