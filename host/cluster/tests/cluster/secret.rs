//! A cluster with a secret: nodes that have it are one cluster, and nobody else gets in or out.

use atoll_cluster::Cluster;
use atoll_cluster::identity::ClusterName;
use atoll_cluster::transport::{ClusterSecret, Network};

use crate::nodes::{draw_on, ignore, join_on, order, plan, until};
use crate::support::{options, single};

const NAME: &str = "secret";
const RIGHT: &str = "a right secret of this test";
const WRONG: &str = "another secret of this test";

async fn join(secret: Option<&str>, peers: Vec<String>) -> Cluster {
    let name: ClusterName = NAME.parse().unwrap();
    let network = Network {
        peers,
        secret: secret.map(|secret| ClusterSecret::new(secret, &name).unwrap()),
        ..Network::loopback()
    };
    join_on(NAME, network, "same").await
}

/// Where a node is, as a node without a secret would write it.
fn address(node: &Cluster) -> String {
    let locator = &node.locators()[0];
    format!("tcp/{}", locator.split_once('/').unwrap().1)
}

fn says(node: &Cluster, word: &str) -> bool {
    let status = node.status();
    status.absent.iter().any(|peer| peer.problem.contains(word))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_with_the_secret_run_a_model_and_encrypt_what_they_say() {
    let first = join(Some(RIGHT), Vec::new()).await;
    assert!(
        first.locators().iter().all(|at| at.starts_with("tls/")),
        "{:?}",
        first.locators()
    );
    let second = join(Some(RIGHT), vec![address(&first)]).await;
    let nodes = [first, second];
    for node in &nodes {
        assert!(node.status().encrypted);
        until("both are seen with their facts", || {
            let members = node.members();
            members.len() == 2 && members.iter().all(|member| member.facts.is_some())
        })
        .await;
    }
    let pipeline = nodes[0].start(order(plan(&nodes)), ignore()).await.unwrap();
    let expected = draw_on(single(&options(32))).await.unwrap();
    assert_eq!(draw_on(pipeline).await.unwrap(), expected);
    for node in &nodes {
        node.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_without_the_secret_stay_out_in_both_directions_and_know_why() {
    let inside = join(Some(RIGHT), Vec::new()).await;
    // They call a member.
    let wrong = join(Some(WRONG), vec![address(&inside)]).await;
    let none = join(None, vec![address(&inside)]).await;
    // A member calls them.
    let caller = join(Some(RIGHT), vec![address(&wrong), address(&none)]).await;
    until("who has another secret knows it", || {
        says(&wrong, "another cluster secret")
    })
    .await;
    until("who has none knows it", || {
        says(&none, "this node has none")
    })
    .await;
    until("who calls one with another knows it", || {
        says(&caller, "another cluster secret")
    })
    .await;
    until("who calls one without knows it", || {
        says(&caller, "does not encrypt")
    })
    .await;
    // Meanwhile one with the secret was let in, so all had their chance.
    let late = join(Some(RIGHT), vec![address(&inside)]).await;
    until("one with the secret is let in", || {
        inside.members().len() == 2
    })
    .await;
    for (node, count) in [
        (&inside, 2),
        (&late, 2),
        (&wrong, 1),
        (&none, 1),
        (&caller, 1),
    ] {
        assert_eq!(node.members().len(), count);
        assert_eq!(node.status().encrypted, node.id() != none.id());
    }
    for node in [inside, late, wrong, none, caller] {
        node.leave().await;
    }
}
