//! What the gateway shows of the cluster.

use std::sync::Arc;

use atoll_cluster::Cluster;
use atoll_gateway::cluster::ClusterView;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{ClusterFactory, Joined};

/// See the [module documentation](self).
pub struct ClusterPage {
    cluster: Cluster,
    factory: Arc<ClusterFactory>,
}

impl ClusterPage {
    /// What this node knows.
    pub fn new(joined: &Joined, factory: Arc<ClusterFactory>) -> Self {
        Self {
            cluster: joined.cluster.clone(),
            factory,
        }
    }
}

impl ClusterView for ClusterPage {
    fn status(&self) -> Value {
        let mut status = serde_json::to_value(self.cluster.status()).unwrap_or(Value::Null);
        if let Value::Object(status) = &mut status {
            status.insert("locators".to_owned(), json!(self.cluster.locators()));
            status.insert("topology".to_owned(), json!(self.cluster.whole_topology()));
            status.insert("placements".to_owned(), json!(self.factory.placements()));
        }
        status
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        self.cluster.leave().boxed()
    }
}
