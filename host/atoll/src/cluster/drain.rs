//! Drains instances of models that another node runs with a better right: two halves of a network that
//! was cut have found together again.
//!
//! New requests go to the other node from the moment this one knows of it. What runs here runs to its end,
//! within a bound; then the model is unloaded, and its stages with it.

use std::collections::HashMap;
use std::time::Duration;

use atoll_cluster::Cluster;
use atoll_cluster::identity::NodeId;
use atoll_engine::executor::ExecutorError;
use atoll_gateway::pool::PoolModels;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(500);

/// For so long answers may go on here. An instance costs its memory and nothing else, and an answer that
/// is ended has to be asked for again.
const LONGEST: Duration = Duration::from_secs(600);

/// Drains what is to be given up, for as long as it is polled.
pub async fn drain(cluster: Cluster, models: PoolModels) {
    run(&Here { cluster, models }).await;
}

/// The instances of one node.
trait Instances: Sync {
    /// Those that are to be given up, each with the node whose instance stays.
    fn yielding(&self) -> Vec<(String, NodeId)>;

    /// Unloads a model unless it is in use. Whether it did.
    fn unload<'a>(&'a self, model: &'a str) -> BoxFuture<'a, bool>;

    /// Ends what still uses it.
    fn end(&self, model: &str, stays: NodeId);
}

struct Here {
    cluster: Cluster,
    models: PoolModels,
}

impl Instances for Here {
    fn yielding(&self) -> Vec<(String, NodeId)> {
        self.cluster.yielding()
    }

    fn unload<'a>(&'a self, model: &'a str) -> BoxFuture<'a, bool> {
        self.models.unload_unused(model).boxed()
    }

    fn end(&self, model: &str, stays: NodeId) {
        let reason =
            format!("node {stays} runs this model, too, and this instance of it is given up");
        self.models.end(model, ExecutorError::Lost(reason).into());
    }
}

async fn run(instances: &impl Instances) {
    let mut draining: HashMap<String, Instant> = HashMap::new();
    loop {
        let yielding = instances.yielding();
        // If the other node is lost meanwhile this one serves on, and nothing is ended.
        draining.retain(|model, _| yielding.iter().any(|(yielding, _)| yielding == model));
        for (model, stays) in yielding {
            let since = *draining.entry(model.clone()).or_insert_with(|| {
                tracing::warn!(
                    model,
                    ?stays,
                    "another node runs it, too, and for longer: requests go there, and it is unloaded here when \
                     its running answers have ended"
                );
                Instant::now()
            });
            if instances.unload(&model).await {
                tracing::info!(model, ?stays, "given up");
            } else if since.elapsed() >= LONGEST {
                instances.end(&model, stays);
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard};

    use super::*;

    /// What one model is at, and what was done with it.
    #[derive(Default)]
    struct State {
        yields: bool,
        busy: bool,
        unloaded: bool,
        ended: bool,
    }

    #[derive(Default)]
    struct One(Mutex<State>);

    impl One {
        fn at(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap()
        }
    }

    impl Instances for One {
        fn yielding(&self) -> Vec<(String, NodeId)> {
            let yields = self.at().yields;
            let one = ("m".to_owned(), format!("{:032x}", 1).parse().unwrap());
            yields.then_some(one).into_iter().collect()
        }

        fn unload<'a>(&'a self, _: &'a str) -> BoxFuture<'a, bool> {
            let mut state = self.at();
            if !state.busy {
                (state.unloaded, state.yields) = (true, false);
            }
            std::future::ready(state.unloaded).boxed()
        }

        fn end(&self, _: &str, _: NodeId) {
            let mut state = self.at();
            (state.ended, state.busy) = (true, false);
        }
    }

    /// Lets it run for so long, by the test's own clock.
    async fn after(one: &One, time: Duration) {
        assert!(tokio::time::timeout(time, run(one)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_given_up_stays_and_what_nobody_uses_goes_at_once() {
        let one = One::default();
        after(&one, 2 * LONGEST).await;
        assert!(!one.at().unloaded);
        one.at().yields = true;
        after(&one, PERIOD / 2).await;
        assert!(one.at().unloaded && !one.at().ended);
    }

    #[tokio::test(start_paused = true)]
    async fn running_answers_end_by_themselves_or_at_the_bound() {
        let ends = One::default();
        (ends.at().yields, ends.at().busy) = (true, true);
        let stops = async {
            tokio::time::sleep(LONGEST - 2 * PERIOD).await;
            assert!(!ends.at().unloaded && !ends.at().ended);
            ends.at().busy = false;
        };
        tokio::join!(after(&ends, 2 * LONGEST), stops);
        assert!(ends.at().unloaded && !ends.at().ended);

        let goes_on = One::default();
        (goes_on.at().yields, goes_on.at().busy) = (true, true);
        after(&goes_on, LONGEST + 4 * PERIOD).await;
        assert!(goes_on.at().ended && goes_on.at().unloaded);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_ended_for_a_node_that_was_lost_meanwhile() {
        let one = One::default();
        (one.at().yields, one.at().busy) = (true, true);
        let back = async {
            tokio::time::sleep(LONGEST / 2).await;
            one.at().yields = false;
            tokio::time::sleep(LONGEST / 4).await;
            one.at().yields = true;
        };
        // From when it is to be given up again, all the time is left.
        tokio::join!(after(&one, LONGEST + LONGEST / 2), back);
        assert!(!one.at().unloaded && !one.at().ended);
    }
}
