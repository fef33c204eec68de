//! Two instances of one model, of nodes that could not hear each other when they placed it.

use std::sync::{Arc, Mutex};

use atoll_cluster::Cluster;
use atoll_cluster::identity::NodeId;
use atoll_cluster::node::Claim;
use atoll_cluster::pipeline::PipelineExecutor;

use crate::nodes::{draw_on, join, nodes, order, plan, until};
use crate::support::{options, single};

const MODEL: &str = "atoll-demo";

/// An instance as a host runs it: the claim lasts until the pipeline fails or is unloaded.
async fn placed(nodes: &[Cluster]) -> (PipelineExecutor, Arc<Mutex<Option<Claim>>>) {
    let claim = Arc::new(Mutex::new(Some(nodes[0].claim(MODEL).await.unwrap())));
    let held = Arc::clone(&claim);
    let failed = Box::new(move |_| drop(held.lock().unwrap().take()));
    let pipeline = nodes[0].start(order(plan(nodes)), failed).await;
    (pipeline.unwrap(), claim)
}

/// Whether this node says that it coordinates the model.
fn runs(at: &Cluster, node: NodeId) -> bool {
    let members = at.members();
    let facts = members.iter().find(|member| member.id == node);
    let facts = facts.and_then(|member| member.facts.as_ref());
    facts.is_some_and(|facts| facts.instances.iter().any(|runs| runs.model == MODEL))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_halves_that_meet_one_gives_its_instance_up() {
    let (left, right) = (nodes("halves", 2).await, nodes("halves", 2).await);
    let (older, _older_claim) = placed(&left).await;
    // Later by the clock that decides.
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let (younger, younger_claim) = placed(&right).await;
    let [stays, goes] = [&left[0], &right[0]];
    assert_eq!(stays.yields_to(MODEL), None);
    assert_eq!(goes.yields_to(MODEL), None);

    // Somebody who knows both: the cable is back.
    let peers = [left[0].locators(), right[0].locators()].concat();
    let between = join("halves", &peers, "same").await;
    let all: Vec<&Cluster> = left.iter().chain(&right).chain([&between]).collect();
    until("one of the two is given up", || {
        goes.yields_to(MODEL) == Some(stays.id())
    })
    .await;
    assert_eq!(goes.yielding(), [(MODEL.to_owned(), stays.id())]);
    for node in &all {
        // Whoever is asked, the request goes to the one that stays.
        let expected = (node.id() != stays.id()).then(|| stays.id());
        let serving = node.id() == stays.id() || node.id() == goes.id();
        until("requests go to the one that stays", || {
            node.elsewhere(MODEL, serving, false) == expected
        })
        .await;
    }
    assert!(stays.yielding().is_empty());

    // What runs on the one that goes runs to its end.
    let expected = draw_on(single(&options(32))).await.unwrap();
    assert_eq!(draw_on(younger).await.unwrap(), expected);
    drop(younger_claim.lock().unwrap().take());
    for node in &all {
        until("one instance is left", || {
            runs(node, stays.id()) && !runs(node, goes.id())
        })
        .await;
    }
    // It may not be placed again, and runs on where it stayed.
    assert_eq!(goes.claim(MODEL).await.err(), Some(stays.id()));
    assert!(goes.yielding().is_empty());
    assert_eq!(draw_on(older).await.unwrap(), expected);
    for node in all {
        node.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_not_given_up_for_one_that_is_gone() {
    let (left, right) = (nodes("gone", 1).await, nodes("gone", 1).await);
    let (_older, _older_claim) = placed(&left).await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    let (younger, _younger_claim) = placed(&right).await;
    let peers = [left[0].locators(), right[0].locators()].concat();
    let between = join("gone", &peers, "same").await;
    let (stays, goes) = (&left[0], &right[0]);
    until("one of the two is given up", || {
        goes.yields_to(MODEL) == Some(stays.id())
    })
    .await;
    // Before it is unloaded the other is lost: this one serves on.
    stays.leave().await;
    until("it is not given up any more", || {
        goes.yields_to(MODEL).is_none()
    })
    .await;
    assert_eq!(goes.elsewhere(MODEL, true, false), None);
    until("requests go there again", || {
        between.elsewhere(MODEL, false, false) == Some(goes.id())
    })
    .await;
    assert_eq!(
        draw_on(younger).await.unwrap(),
        draw_on(single(&options(32))).await.unwrap()
    );
    for node in [goes, &between] {
        node.leave().await;
    }
}
