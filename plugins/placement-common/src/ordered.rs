//! Plans for clusters too large for [`exact`]: the cheapest along given orders.
//!
//! Where the order of the nodes is given, the rest is easy: which of them to use and where to divide
//! the layers is a dynamic programme in `O(units^2 * layers + units * layers^2)`. So several sensible
//! orders are tried: by speed, by memory, and by going from each node to the nearest. With
//! tensor-parallel groups, nodes are first put together with their nearest neighbours. The few most
//! promising nodes are also searched exactly, orders and all. What comes out is good, not proven best.

use std::cmp::Reverse;

use atoll_sdk::placement::Objective;

use crate::exact;
use crate::problem::{Placed, Problem};
use crate::unit::Unit;

/// Nodes that are searched exactly.
const PROMISING: usize = 6;

/// The cheapest plans found, with their costs, for different numbers of stages.
#[must_use]
pub fn plans(problem: &Problem) -> Vec<(f64, Vec<Placed>)> {
    let mut found = Vec::new();
    let mut sizes: Vec<usize> = problem
        .group_sizes
        .iter()
        .map(|&size| size as usize)
        .collect();
    sizes.push(1);
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let units = grouped(problem, size.max(1));
        for order in orders(problem, &units) {
            let units: Vec<&Unit> = order.iter().map(|&at| &units[at]).collect();
            found.extend(along(problem, &units));
        }
    }
    found.extend(promising(problem));
    found
}

/// Groups of `size` near nodes, each in one; those that are left stand alone.
fn grouped(problem: &Problem, size: usize) -> Vec<Unit> {
    let cluster = &problem.cluster;
    let mut free: Vec<usize> = (0..cluster.machines.len()).collect();
    free.sort_by(|&a, &b| speed(problem, b).total_cmp(&speed(problem, a)));
    let mut units = Vec::new();
    while !free.is_empty() {
        let seed = free.remove(0);
        let mut group = vec![seed];
        if size > 1 {
            let distance = |&machine: &usize| round_trip(problem, seed, machine);
            let mut near: Vec<usize> = free.clone();
            near.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
            group.extend(near.into_iter().take(size - 1));
        }
        let kinds = cluster.machines[seed].engines.iter();
        let mut made: Vec<Unit> = kinds
            .filter_map(|engine| Unit::of(cluster, &problem.shape, &group, &engine.kind))
            .collect();
        if made.is_empty() || group.len() < size {
            let alone = [seed];
            let kinds = cluster.machines[seed].engines.iter();
            made = kinds
                .filter_map(|engine| Unit::of(cluster, &problem.shape, &alone, &engine.kind))
                .collect();
        } else {
            free.retain(|machine| !group.contains(machine));
        }
        let whole = 0..problem.shape.layers();
        let fastest = made.into_iter().min_by(|a, b| {
            a.seconds(whole.clone())
                .total_cmp(&b.seconds(whole.clone()))
        });
        units.extend(fastest);
    }
    units
}

/// Bytes per second of the fastest executor.
fn speed(problem: &Problem, machine: usize) -> f64 {
    let engines = problem.cluster.machines[machine].engines.iter();
    engines.map(|engine| engine.bandwidth).fold(0.0, f64::max)
}

/// Seconds that a hidden state takes there and back; infinite where there is no link.
fn round_trip(problem: &Problem, a: usize, b: usize) -> f64 {
    let one_way = |from, to| {
        let wire = problem.cluster.wire(from, to);
        wire.map_or(f64::INFINITY, |wire| {
            wire.seconds(problem.shape.hidden_bytes)
        })
    };
    one_way(a, b) + one_way(b, a)
}

/// Orders worth trying, as indices.
fn orders(problem: &Problem, units: &[Unit]) -> Vec<Vec<usize>> {
    let whole = 0..problem.shape.layers();
    let seconds = |&at: &usize| units[at].seconds(whole.clone());
    let mut fastest: Vec<usize> = (0..units.len()).collect();
    fastest.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    let mut largest = fastest.clone();
    let memory = |at: usize| units[at].memory.saturating_mul(units[at].parts() as u64);
    largest.sort_by_key(|&at| Reverse(memory(at)));
    let mut orders = vec![
        chain(problem, units, &fastest),
        chain(problem, units, &largest),
    ];
    orders.push(fastest);
    orders.push(largest);
    orders.dedup();
    orders
}

/// From the first of `order`, always to the nearest that is left; the earlier of equally near ones.
fn chain(problem: &Problem, units: &[Unit], order: &[usize]) -> Vec<usize> {
    let mut left = order.to_vec();
    let mut chain = Vec::with_capacity(left.len());
    let mut next = 0;
    while next < left.len() {
        let last = left.remove(next);
        chain.push(last);
        let ways = left.iter().enumerate().map(|(position, &at)| {
            let bytes = problem.shape.hidden_bytes;
            let (from, to) = (&units[last].example, &units[at].example);
            let seconds = problem.cluster.crossing(from, to, bytes);
            (seconds.unwrap_or(f64::INFINITY), position)
        });
        let nearest = ways.min_by(|a, b| a.0.total_cmp(&b.0));
        next = nearest.map_or(left.len(), |(_, position)| position);
    }
    chain
}

#[derive(Clone, Copy)]
struct Best {
    cost: f64,
    /// The unit before, and where it ended.
    from: (usize, usize),
}

const UNREACHED: Best = Best {
    cost: f64::INFINITY,
    from: (usize::MAX, 0),
};

/// The cheapest plan that uses units in this order, any of them left out. With a limit on stages, one
/// for each number of them up to it; without, the cheapest of all.
fn along(problem: &Problem, units: &[&Unit]) -> Vec<(f64, Vec<Placed>)> {
    let (shape, layers) = (&problem.shape, problem.shape.layers());
    // With a limit, one table for each number of stages; without, one for all.
    let levels = if problem.limited {
        problem.max_stages
    } else {
        1
    };
    let hops: Vec<Vec<Option<f64>>> = units
        .iter()
        .enumerate()
        .map(|(at, to)| {
            let before = units.iter().take(at);
            let bytes = shape.hidden_bytes;
            before
                .map(|from| problem.cluster.crossing(&from.example, &to.example, bytes))
                .collect()
        })
        .collect();
    let mut tables: Vec<Vec<Vec<Best>>> = Vec::new();
    for level in 0..levels {
        let mut table: Vec<Vec<Best>> = Vec::with_capacity(units.len());
        for (at, unit) in units.iter().enumerate() {
            let mut row = vec![UNREACHED; layers + 1];
            if level == 0 {
                for (end, best) in row.iter_mut().enumerate().skip(1) {
                    if !unit.holds(shape, 0..end) {
                        // Only the end of the model adds more than layers, so a longer one fits no better.
                        break;
                    }
                    best.cost = unit.seconds(0..end);
                }
            }
            let earlier = match problem.limited {
                true => level.checked_sub(1).and_then(|level| tables.get(level)),
                false => Some(&table),
            };
            if let Some(earlier) = earlier {
                let arrivals = arrivals(problem, earlier, &hops[at], layers);
                go_on(problem, unit, &arrivals, &mut row);
            }
            table.push(row);
        }
        tables.push(table);
    }
    let ends = tables.iter().enumerate().filter_map(|(level, table)| {
        let all = table.iter().enumerate();
        let costs = all.filter_map(|(at, row)| Some((row.last()?.cost, at)));
        let (cost, at) = costs.min_by(|a, b| a.0.total_cmp(&b.0))?;
        cost.is_finite()
            .then(|| (cost, trace(problem, units, &tables, level, at)))
    });
    ends.collect()
}

/// For each number of layers, the cheapest way for it to arrive from an earlier unit.
fn arrivals(
    problem: &Problem,
    earlier: &[Vec<Best>],
    hops: &[Option<f64>],
    layers: usize,
) -> Vec<(f64, usize)> {
    let mut arrivals = vec![(f64::INFINITY, usize::MAX); layers + 1];
    for (from, (row, hop)) in earlier.iter().zip(hops).enumerate() {
        let Some(hop) = *hop else { continue };
        for (arrival, before) in arrivals.iter_mut().zip(row) {
            let cost = problem.join(before.cost, hop);
            if cost < arrival.0 {
                *arrival = (cost, from);
            }
        }
    }
    arrivals
}

fn go_on(problem: &Problem, unit: &Unit, arrivals: &[(f64, usize)], row: &mut [Best]) {
    for (end, best) in row.iter_mut().enumerate().skip(2) {
        for start in (1..end).rev() {
            let seconds = unit.seconds(start..end);
            if seconds >= best.cost || !unit.holds(&problem.shape, start..end) {
                break;
            }
            let (before, from) = arrivals[start];
            let cost = problem.join(before, seconds);
            if cost < best.cost {
                *best = Best {
                    cost,
                    from: (from, start),
                };
            }
        }
    }
}

fn trace(
    problem: &Problem,
    units: &[&Unit],
    tables: &[Vec<Vec<Best>>],
    mut level: usize,
    mut at: usize,
) -> Vec<Placed> {
    let mut end = problem.shape.layers();
    let mut stages = Vec::new();
    while let Some(best) = tables
        .get(level)
        .and_then(|table| table.get(at))
        .and_then(|row| row.get(end))
    {
        let (from, start) = best.from;
        stages.push(Placed {
            layers: start..end,
            machines: units[at].example.clone(),
            kind: units[at].kind.clone(),
        });
        if from == usize::MAX {
            break;
        }
        (at, end) = (from, start);
        level = if problem.limited { level - 1 } else { level };
    }
    stages.reverse();
    stages
}

/// The exact search among the nodes that look best for the objective.
fn promising(problem: &Problem) -> Vec<(f64, Vec<Placed>)> {
    let cluster = &problem.cluster;
    let mut best: Vec<usize> = (0..cluster.machines.len()).collect();
    let worth = |machine: usize| match problem.objective {
        Objective::Latency => speed(problem, machine),
        // A stage can be no longer than memory allows, nor than speed makes sensible.
        Objective::Throughput => speed(problem, machine) * cluster.machines[machine].memory as f64,
    };
    best.sort_by(|&a, &b| worth(b).total_cmp(&worth(a)));
    best.truncate(PROMISING);
    best.sort_unstable();
    let mut smaller = problem.clone();
    smaller.cluster = cluster.only(&best);
    smaller.max_stages = problem.max_stages.min(best.len());
    let found = exact::plans(&smaller, exact::MAX_WORK).unwrap_or_default();
    let original = |mut stage: Placed| {
        let machines = stage.machines.iter();
        stage.machines = machines.filter_map(|&at| best.get(at).copied()).collect();
        stage
    };
    found
        .into_iter()
        .map(|(cost, stages)| (cost, stages.into_iter().map(original).collect()))
        .collect()
}
