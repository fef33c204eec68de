//! Downloads that succeed, however the line behaves.

use std::time::Duration;

use atoll_hub::{RepoId, Stage, Step};
use tempfile::tempdir;

use crate::server::{Fault, REPO, REVISION, Server, names, pull, token};

const FILES: [&str; 5] = [
    ".atoll.json",
    "README.md",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
];

#[tokio::test]
async fn a_model_arrives_whole_and_nothing_is_left_beside_it() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let pulled = server.pull(models.path()).await.unwrap();
    assert_eq!(pulled.folder, models.path().join(REPO));
    assert_eq!(
        (pulled.revision.as_str(), pulled.unchanged),
        (REVISION, false)
    );
    assert_eq!(names(&pulled.folder), FILES);
    for (name, content) in &server.script().files {
        if !name.contains('/') {
            assert_eq!(
                &std::fs::read(pulled.folder.join(name)).unwrap(),
                content,
                "{name}"
            );
        }
    }
    // Two small files have the same content; each has its name.
    assert_eq!(names(models.path()), [".pulling", "reef"]);
    assert_eq!(names(&models.path().join(".pulling")), ["reef tiny.lock"]);
}

#[tokio::test]
async fn the_second_pull_fetches_nothing() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.pull(models.path()).await.unwrap();
    let asked = server.script().asked.len();
    let again = server.pull(models.path()).await.unwrap();
    assert!(again.unchanged);
    assert_eq!(server.script().asked.len(), asked);
}

/// An update replaces the model in one step, and a file that vanished is fetched again.
#[tokio::test]
async fn a_newer_revision_replaces_the_model() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.pull(models.path()).await.unwrap();
    {
        let mut script = server.script();
        script.revision = "f".repeat(40);
        script
            .files
            .insert("config.json".to_owned(), b"{\"new\": 1}".to_vec());
        script.files.remove("README.md");
    }
    let pulled = server.pull(models.path()).await.unwrap();
    assert!(!pulled.unchanged);
    assert_eq!(
        std::fs::read(pulled.folder.join("config.json")).unwrap(),
        b"{\"new\": 1}"
    );
    assert!(!pulled.folder.join("README.md").exists());
    std::fs::remove_file(pulled.folder.join("tokenizer.json")).unwrap();
    assert!(!server.pull(models.path()).await.unwrap().unchanged);
    assert!(pulled.folder.join("tokenizer.json").exists());
}

#[tokio::test]
async fn a_dropped_connection_goes_on_where_it_broke() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault(
        "model.safetensors",
        [Fault::Drop(1_500_000), Fault::Drop(700_000), Fault::Drop(1)],
    );
    let pulled = server.pull(models.path()).await.unwrap();
    let expected = server.script().files["model.safetensors"].clone();
    assert!(std::fs::read(pulled.folder.join("model.safetensors")).unwrap() == expected);
    let asked = server.asked("model.safetensors");
    let starts: Vec<u64> = asked.iter().map(|asked| asked.starts_at()).collect();
    assert_eq!((starts.len(), starts[0]), (4, 0));
    assert!(
        starts.windows(2).all(|pair| pair[0] < pair[1]),
        "{starts:?}"
    );
}

/// Some mirrors send the whole file whatever was asked for.
#[tokio::test]
async fn a_server_without_ranges_is_enough() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault(
        "model.safetensors",
        [Fault::Drop(1_000_000), Fault::WholeFile],
    );
    let pulled = server.pull(models.path()).await.unwrap();
    assert_eq!(
        std::fs::metadata(pulled.folder.join("model.safetensors"))
            .unwrap()
            .len(),
        3_000_000
    );
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_resumed() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault("model.safetensors", [Fault::Stall(1_000_000)]);
    let mut options = server.options(models.path());
    options.read_timeout = Duration::from_millis(300);
    let hub = atoll_hub::Hub::new(options).unwrap();
    pull(&hub).await.unwrap();
    assert_eq!(server.asked("model.safetensors")[1].starts_at(), 1_000_000);
}

#[tokio::test]
async fn a_busy_hub_is_asked_again() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault(
        "config.json",
        [
            Fault::Status(503, &[]),
            Fault::Status(429, &[("retry-after", "0")]),
        ],
    );
    server.pull(models.path()).await.unwrap();
    assert_eq!(server.asked("config.json").len(), 3);
}

/// The client went away in the middle; the next one does not begin at zero.
#[tokio::test]
async fn a_cancelled_pull_is_resumed_by_the_next() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    server.fault("model.safetensors", [Fault::Stall(1_048_576)]);
    let hub = server.hub(models.path());
    let mut first = hub.pull(&RepoId::parse(REPO).unwrap()).unwrap();
    loop {
        let Step::Progress(progress) = first.next().await else {
            panic!("it stalls")
        };
        if progress.bytes().0 >= 1_048_576 {
            break;
        }
    }
    drop(first);
    assert!(!models.path().join(REPO).exists());
    pull(&hub).await.unwrap();
    assert_eq!(server.asked("model.safetensors")[1].starts_at(), 1_048_576);
}

#[tokio::test]
async fn two_who_want_one_model_share_its_download() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let hub = server.hub(models.path());
    let clone = hub.clone();
    let (a, b) = tokio::join!(pull(&hub), pull(&clone));
    assert_eq!(a.unwrap(), b.unwrap());
    let script = server.script();
    assert_eq!((script.listings, script.asked.len()), (1, 4));
}

/// One of two goes away: the other's download is not hurt.
#[tokio::test]
async fn a_shared_download_outlives_whoever_began_it() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let hub = server.hub(models.path());
    let repo = RepoId::parse(REPO).unwrap();
    let mut first = hub.pull(&repo).unwrap();
    let second = hub.pull(&repo).unwrap();
    first.next().await;
    drop(first);
    second.finished().await.unwrap();
    assert_eq!(server.script().listings, 1);
}

#[tokio::test]
async fn progress_only_grows_and_ends_complete() {
    let server = Server::start().await;
    let models = tempdir().unwrap();
    let mut pull = server
        .hub(models.path())
        .pull(&RepoId::parse(REPO).unwrap())
        .unwrap();
    let mut last = 0;
    let done = loop {
        match pull.next().await {
            Step::Progress(progress) => {
                let (done, total) = progress.bytes();
                assert!(done >= last && done <= total, "{last} {done} {total}");
                last = done;
            }
            Step::Done(done) => break done,
        }
    };
    done.unwrap();
    let progress = pull.progress();
    assert_eq!(progress.stage, Stage::Publishing);
    assert!(
        progress
            .files
            .iter()
            .all(|file| file.verified && file.done == file.total)
    );
}

/// The storage a hub points at must not learn the token.
#[tokio::test]
async fn the_token_stays_with_the_endpoint() {
    let server = Server::start().await;
    let storage = Server::start().await;
    server.script().token = Some("s3cret".to_owned());
    let elsewhere = format!("http://{}{{path}}", storage.address);
    server.fault("model.safetensors", [Fault::Redirect(elsewhere)]);
    let models = tempdir().unwrap();
    let mut options = server.options(models.path());
    options.token = token("s3cret");
    pull(&atoll_hub::Hub::new(options).unwrap()).await.unwrap();
    assert_eq!(
        server.asked("model.safetensors")[0]
            .authorization
            .as_deref(),
        Some("Bearer s3cret")
    );
    let there = storage.asked("model.safetensors");
    assert_eq!((there.len(), there[0].authorization.as_deref()), (1, None));
}
