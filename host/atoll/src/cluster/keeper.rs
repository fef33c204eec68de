//! The keeper: what should run and does not is loaded again, without anybody asking for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use atoll_cluster::Cluster;
use atoll_engine::engine::EngineError;
use atoll_gateway::models::Models as _;
use atoll_gateway::pool::PoolModels;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Time for the other nodes to be found after a start, before anything is loaded.
const GRACE: Duration = Duration::from_secs(3);

/// For so long nobody has to answer for a model before it is loaded. That a model was unloaded is heard
/// before the wish that it need not run, which may take a second longer.
const PATIENCE: Duration = Duration::from_millis(2500);

/// Between two tries to load a model that cannot be loaded, doubled up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Loads models that should run and that no node answers for, if this node is the one to do it; for as
/// long as it is polled.
pub async fn keep(cluster: Cluster, models: PoolModels) {
    tokio::time::sleep(GRACE).await;
    let mut refused: HashMap<String, (Instant, Duration)> = HashMap::new();
    let mut missing: HashMap<String, Instant> = HashMap::new();
    loop {
        let wanted = cluster.wanted();
        refused.retain(|name, _| wanted.contains(name));
        missing.retain(|name, _| wanted.contains(name));
        for name in wanted {
            let waits = refused
                .get(&name)
                .is_some_and(|(since, wait)| since.elapsed() < *wait);
            let mine = cluster.keeper(&name) == Some(cluster.id());
            // Asked on every node: it forgets an engine that failed, which this node would otherwise go on
            // saying that it serves, and nobody would bring the model back.
            let here = models.loaded(&name).is_some();
            if here || !mine || cluster.is_served_elsewhere(&name) {
                missing.remove(&name);
                continue;
            }
            let since = *missing.entry(name.clone()).or_insert_with(Instant::now);
            if waits || since.elapsed() < PATIENCE {
                continue;
            }
            tracing::info!(model = name, "it should run and does not");
            match models.engine(&name).await {
                // Somebody was asked for it meanwhile, and brings it back.
                Err(EngineError::Elsewhere { .. }) => {}
                Err(error) => {
                    tracing::warn!(model = name, %error, "it is tried again later");
                    let wait = refused.get(&name).map_or(FIRST_WAIT, |(_, wait)| *wait * 2);
                    refused.insert(name, (Instant::now(), wait.min(LONGEST_WAIT)));
                }
                Ok(_) => {
                    refused.remove(&name);
                    cluster.refresh();
                }
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}
