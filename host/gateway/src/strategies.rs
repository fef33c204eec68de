//! The gateway's view of scheduling and placement strategies: what `/atoll/v1/plugins` and
//! `/atoll/v1/placements` tell.
//!
//! One thin trait, because the gateway knows no cluster and asks no strategy anything itself.

use atoll_plugin_runtime::types::{Error, ErrorKind};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::failure;

/// What is known about strategies.
pub trait Strategies: Send + Sync + 'static {
    /// For each kind: which is wanted, which is in force, and what is wrong.
    fn standing(&self) -> Value;

    /// Where a model would run: candidates with what they promise, and why the first was chosen, or why
    /// it fits nowhere. `objective` is `latency` or `throughput`; without one the configured counts.
    ///
    /// # Errors
    /// A model or an objective that is not known, a host that is in no cluster.
    fn placements<'a>(
        &'a self,
        _model: &'a str,
        _objective: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Value, Error>> {
        let message = "this host places no models; it is in no cluster";
        std::future::ready(Err(failure::error(ErrorKind::Unsupported, message))).boxed()
    }
}
