//! The other machines, as far as the host's own pages show them.

use futures::future::BoxFuture;
use serde_json::Value;

/// What `/atoll/v1/cluster` is made of.
pub trait ClusterView: Send + Sync + 'static {
    /// Nodes, links, instances; an object. Must not wait.
    fn status(&self) -> Value;

    /// Leaves the cluster until the host is started again.
    fn leave(&self) -> BoxFuture<'_, ()>;
}
