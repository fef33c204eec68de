//! What would help most: the same question asked of a cluster that is better in one thing.

use atoll_plugin_placement_common::strategy;
use atoll_sdk::placement::{Node, Objective};

use super::describe::Question;

/// A change, and what it would give.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Lever {
    /// What to change.
    pub change: String,
    /// How many times faster the best plan would be, by the objective.
    pub gain: f64,
}

/// Changes that would help, best first, under the strategy `auto`. Gains under one percent are none.
pub fn levers(question: &Question) -> Vec<Lever> {
    let Some(now) = speed(question) else {
        return Vec::new();
    };
    let mut levers: Vec<Lever> = changes(question)
        .into_iter()
        .filter_map(|(change, changed)| {
            let gain = speed(&changed)? / now;
            (gain > 1.01).then_some(Lever { change, gain })
        })
        .collect();
    levers.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    levers
}

/// What the objective counts, in tokens a second, of the best plan.
fn speed(question: &Question) -> Option<f64> {
    let plans = strategy::auto(&question.topology, &question.model, &question.options, None);
    let plan = plans.ok()?.into_iter().next()?;
    Some(match question.options.objective {
        Objective::Latency => 1.0 / plan.predicted_latency,
        Objective::Throughput => plan.predicted_throughput,
    })
}

fn changes(question: &Question) -> Vec<(String, Question)> {
    let mut changes = Vec::new();
    let mut change = |what: String, with: &dyn Fn(&mut Question)| {
        let mut changed = question.clone();
        with(&mut changed);
        changes.push((what, changed));
    };
    for node in kinds(question) {
        change(format!("another machine like {}", node.name), &|question| {
            add(question, node);
        });
    }
    change(
        "half as much memory again on every machine".to_owned(),
        &|question| {
            for node in &mut question.topology.nodes {
                node.memory_free = node.memory_free.saturating_add(node.memory_free / 2);
            }
        },
    );
    change(
        "twice the memory bandwidth on every machine".to_owned(),
        &|question| {
            for executor in question
                .topology
                .nodes
                .iter_mut()
                .flat_map(|node| &mut node.executors)
            {
                executor.memory_bandwidth *= 2.0;
            }
        },
    );
    change("half the overhead of each layer".to_owned(), &|question| {
        for executor in question
            .topology
            .nodes
            .iter_mut()
            .flat_map(|node| &mut node.executors)
        {
            executor.layer_overhead /= 2.0;
        }
    });
    change("links of a tenth of the latency".to_owned(), &|question| {
        for link in &mut question.topology.links {
            link.latency /= 10.0;
        }
    });
    change("links of ten times the bandwidth".to_owned(), &|question| {
        for link in &mut question.topology.links {
            link.bandwidth *= 10.0;
        }
    });
    changes
}

/// One machine of each kind.
fn kinds(question: &Question) -> Vec<&Node> {
    let mut kinds: Vec<&Node> = Vec::new();
    for node in &question.topology.nodes {
        let same =
            |kind: &&Node| kind.executors == node.executors && kind.memory_free == node.memory_free;
        if !kinds.iter().any(same) {
            kinds.push(node);
        }
    }
    kinds
}

/// Adds a twin of `node`: with its links, and one to it like its first.
fn add(question: &mut Question, node: &Node) {
    let mut twin = node.clone();
    twin.id = format!("{} (added)", node.id);
    twin.name.clone_from(&twin.id);
    let topology = &mut question.topology;
    let mut links = Vec::new();
    for link in &topology.links {
        let mut copy = link.clone();
        if link.source == node.id {
            copy.source.clone_from(&twin.id);
        } else if link.target == node.id {
            copy.target.clone_from(&twin.id);
        } else {
            continue;
        }
        links.push(copy);
    }
    if let Some(first) = topology.links.iter().find(|link| link.source == node.id) {
        for (source, target) in [(&node.id, &twin.id), (&twin.id, &node.id)] {
            let mut between = first.clone();
            between.source.clone_from(source);
            between.target.clone_from(target);
            links.push(between);
        }
    }
    topology.links.extend(links);
    topology.nodes.push(twin);
}
