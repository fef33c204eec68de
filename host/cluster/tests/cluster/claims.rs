//! Which node places a model when several set out to do it at once.

use atoll_cluster::node::Claim;
use atoll_cluster::{Cluster, identity::NodeId};
use futures::future::join_all;

use crate::nodes::nodes;

const MODEL: &str = "atoll-demo";

/// All ask at once; the claim of the one that may, after the others were told which that is.
async fn claimed(nodes: &[Cluster]) -> (Claim, NodeId) {
    let asked = join_all(nodes.iter().map(|node| node.claim(MODEL))).await;
    let all = asked.into_iter().zip(nodes);
    let (mut claims, mut told) = (Vec::new(), Vec::new());
    for (claim, node) in all {
        match claim {
            Ok(claim) => claims.push((claim, node.id())),
            Err(to) => told.push((node.id(), to)),
        }
    }
    assert_eq!(claims.len(), 1, "{claims:?} {told:?}");
    let (claim, holder) = claims.remove(0);
    for &(node, to) in &told {
        assert_ne!(node, to, "it was sent to itself");
    }
    for node in nodes {
        // Whoever is sent on arrives there: each step names a node that comes before, or the one that has it.
        let mut at = node.id();
        for _ in nodes {
            at = told
                .iter()
                .find(|(told, _)| *told == at)
                .map_or(at, |(_, to)| *to);
        }
        assert_eq!(at, holder);
    }
    (claim, holder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_nodes_that_ask_at_once_one_places_the_model() {
    let mut nodes = nodes("claims", 4).await;
    for _ in 0..20 {
        drop(claimed(&nodes).await);
    }
    let (claim, holder) = claimed(&nodes).await;
    // As long as it has the claim nobody else gets it, and requests find it.
    for node in nodes.iter().filter(|node| node.id() != holder) {
        assert_eq!(node.claim(MODEL).await.err(), Some(holder));
        assert_eq!(node.elsewhere(MODEL, false, false), Some(holder));
    }
    let at = nodes.iter().position(|node| node.id() == holder).unwrap();
    assert_eq!(nodes[at].elsewhere(MODEL, false, false), None);
    // It goes with its node.
    nodes.remove(at).leave().await;
    drop(claim);
    let (claim, _) = claimed(&nodes).await;
    drop(claim);
    for node in nodes {
        node.leave().await;
    }
}
