//! A dialect of a stranger's that goes after the models on disk, where nobody is asked for a key.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use atoll_gateway::library::{Library, PullStream};
use atoll_plugin_runtime::types::Error;
use atoll_plugin_runtime::{Grant, LoadPolicy, LoadedPlugin, PluginSource};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use http::StatusCode;

use crate::client::{request, send};
use crate::server::{Setup, TestServer, runtime, start_with};

/// Names of models, for files.
#[derive(Default)]
struct Names(Mutex<BTreeSet<String>>);

impl Names {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

impl Library for Names {
    fn pull(&self, name: &str) -> Result<PullStream, Error> {
        self.0.lock().unwrap().insert(format!("{name} (pulled)"));
        Ok(stream::empty().boxed())
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.0.lock().unwrap().remove(name);
        async { Ok(()) }.boxed()
    }

    fn copy<'a>(&'a self, _: &'a str, to: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        self.0.lock().unwrap().insert(to.to_owned());
        async { Ok(()) }.boxed()
    }
}

/// The misbehaving dialect, beside the shipped one, before a library with one model.
async fn with(grants: Vec<Grant>) -> (TestServer, Arc<Names>) {
    let source = PluginSource::Bytes {
        name: "hostile".to_owned(),
        wasm: Arc::from(atoll_test_plugins::DIALECT),
    };
    let policy = LoadPolicy {
        grants,
        ..LoadPolicy::default()
    };
    let hostile: LoadedPlugin = runtime().load(source, policy).await.unwrap();
    let names = Arc::new(Names::default());
    names.0.lock().unwrap().insert("test".to_owned());
    let server = start_with(Setup {
        strangers: vec![hostile],
        library: Some(Arc::clone(&names) as Arc<dyn Library>),
        ..Setup::default()
    });
    (server.await, names)
}

async fn ask(server: &TestServer, what: &str) -> (StatusCode, String) {
    let body = format!("decode:{what}").into_bytes();
    let answer = send(server.address, request("POST", "/test/echo", &[], body)).await;
    (answer.status, answer.text().await.unwrap())
}

/// What it needs to load.
fn imported() -> Vec<Grant> {
    let mut grants = Grant::all_local();
    grants.retain(|grant| *grant != Grant::ManageModels);
    grants
}

#[tokio::test]
async fn a_dialect_that_was_not_granted_it_changes_no_model() {
    let (server, names) = with(imported()).await;
    for what in ["delete", "pull", "copy", "load", "unload"] {
        let (status, said) = ask(&server, what).await;
        // In its own words: plain text, not the host's JSON.
        assert!(
            said.ends_with("atoll plugin grant hostile manage-models"),
            "{said}"
        );
        assert_eq!(status, StatusCode::FORBIDDEN, "{what}");
    }
    assert_eq!(names.all(), ["test"], "it is still there, and alone");
}

#[tokio::test]
async fn a_dialect_that_was_granted_it_changes_them() {
    let (server, names) = with(Grant::all_local()).await;
    for (what, left) in [
        ("copy", &["mine", "test"][..]),
        ("delete", &["mine"]),
        ("pull", &["mine", "test (pulled)"]),
    ] {
        let (status, said) = ask(&server, what).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        assert_eq!(names.all(), left, "{what}");
    }
}
