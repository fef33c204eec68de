//! The cheapest plan there is, for each number of stages, by dynamic programming.
//!
//! For a set of used machines `S`, the unit `u` that has the last stage, and a number of layers `b`
//! that are placed:
//!
//! ```text
//! g[{u}][u][b]     = stage(u, 0, b)                                     if it fits
//! g[S + u][u][b]   = min over v in S, a < b:  g[S][v][a] + link(v, u) + stage(u, a, b)
//! ```
//!
//! with `+` replaced by `max` where throughput is wanted. The answer is the least `g[S][u][layers]`.
//! Sets are counted by class of equal machines, so they number the product of (size + 1) over the
//! classes. All stages of a plan are in order, a unit may have any range: this finds uneven splits,
//! leaves weak nodes out, and mixes single nodes with tensor-parallel groups.
//! `O(sets * units * (units * layers + layers^2))`, less where memory is short.

use crate::problem::{Placed, Problem};
use crate::unit::{Class, Unit, classes, enumerate};

/// Largest estimate of elementary steps for which the exact search is made: 11 different nodes with
/// 80 layers, or any number of nodes of few kinds. Some tenths of a second in the sandbox, of which
/// a call may take half of one.
pub const MAX_WORK: usize = 64_000_000;

/// Most kinds of units.
const MAX_UNITS: usize = 400;

/// Costs of having placed the first `b` layers, and for each the unit before and where it ended.
struct Row {
    cost: Vec<f64>,
    from: Vec<(u16, u16)>,
}

/// States of one number of stages: for each set and each last unit, if it can be reached.
type Level = Vec<Option<Row>>;

struct Search<'a> {
    problem: &'a Problem,
    classes: Vec<Class>,
    units: Vec<Unit>,
    /// For each class, what one more used machine adds to the number of a set.
    strides: Vec<usize>,
    sets: usize,
    hops: Vec<Option<f64>>,
}

/// The cheapest plan of each number of stages that has one, fewest stages first, with its cost. `None`
/// if the search would take too long: see [`MAX_WORK`].
#[must_use]
pub fn plans(problem: &Problem, max_work: usize) -> Option<Vec<(f64, Vec<Placed>)>> {
    Some(Search::new(problem, max_work)?.run())
}

impl<'a> Search<'a> {
    fn new(problem: &'a Problem, max_work: usize) -> Option<Self> {
        let layers = problem.shape.layers();
        let classes = classes(&problem.cluster);
        let mut sets = 1_usize;
        let mut strides = Vec::new();
        for class in &classes {
            strides.push(sets);
            sets = sets.checked_mul(class.len() + 1)?;
            // One unit and one layer at least.
            if sets > max_work {
                return None;
            }
        }
        let units = enumerate(
            &problem.cluster,
            &problem.shape,
            &classes,
            &problem.group_sizes,
            MAX_UNITS,
        )?;
        let each = units.len() * layers + layers * layers / 4;
        let work = sets.checked_mul(units.len())?.checked_mul(each)?;
        if work > max_work || layers > usize::from(u16::MAX) {
            return None;
        }
        let mut search = Self {
            hops: Vec::new(),
            problem,
            classes,
            units,
            strides,
            sets,
        };
        search.hops = search.hops();
        Some(search)
    }

    /// Seconds from each kind of unit to each, between different machines.
    fn hops(&self) -> Vec<Option<f64>> {
        let bytes = self.problem.shape.hidden_bytes;
        let mut hops = Vec::with_capacity(self.units.len() * self.units.len());
        for from in &self.units {
            for to in &self.units {
                let mut machines = Vec::new();
                for &(class, count) in &to.takes {
                    let taken = from.takes.iter().find(|(other, _)| *other == class);
                    let skip = taken.map_or(0, |&(_, count)| count);
                    machines.extend(self.classes[class].iter().skip(skip).take(count).copied());
                }
                let enough = machines.len() == to.parts();
                let cluster = &self.problem.cluster;
                hops.push(
                    enough
                        .then(|| cluster.crossing(&from.example, &machines, bytes))
                        .flatten(),
                );
            }
        }
        hops
    }

    fn run(&self) -> Vec<(f64, Vec<Placed>)> {
        let layers = self.problem.shape.layers();
        let mut found = Vec::new();
        let mut levels: Vec<Level> = Vec::new();
        for stages in 1..=self.problem.max_stages {
            let level = match levels.last() {
                None => self.first(),
                Some(before) => self.next(before),
            };
            let ends = level.iter().enumerate().filter_map(|(state, row)| {
                let cost = *row.as_ref()?.cost.get(layers)?;
                cost.is_finite().then_some((cost, state))
            });
            let best = ends.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let empty = level.iter().all(Option::is_none);
            levels.push(level);
            if let Some((cost, state)) = best {
                found.push((cost, self.trace(&levels, stages, state)));
            }
            if empty {
                break;
            }
        }
        found
    }

    /// The set that has `set`'s machines and the unit's, unless some are used already.
    fn with(&self, set: usize, unit: &Unit) -> Option<usize> {
        let mut with = set;
        for &(class, count) in &unit.takes {
            let size = self.classes[class].len();
            let used = set / self.strides[class] % (size + 1);
            if used + count > size {
                return None;
            }
            with += count * self.strides[class];
        }
        Some(with)
    }

    fn level(&self) -> Level {
        let mut level = Vec::new();
        level.resize_with(self.sets * self.units.len(), || None);
        level
    }

    fn first(&self) -> Level {
        let mut level = self.level();
        let shape = &self.problem.shape;
        for (at, unit) in self.units.iter().enumerate() {
            let mut row = Row::new(shape.layers());
            let mut any = false;
            for end in 1..=shape.layers() {
                if unit.holds(shape, 0..end) {
                    row.cost[end] = unit.seconds(0..end);
                    any = true;
                }
            }
            if let (true, Some(set)) = (any, self.with(0, unit)) {
                level[set * self.units.len() + at] = Some(row);
            }
        }
        level
    }

    fn next(&self, before: &Level) -> Level {
        let mut level = self.level();
        let count = self.units.len();
        let layers = self.problem.shape.layers();
        let mut arrival = vec![(f64::INFINITY, 0_u16); layers + 1];
        for set in 0..self.sets {
            let Some(rows) = before.get(set * count..(set + 1) * count) else {
                continue;
            };
            if rows.iter().all(Option::is_none) {
                continue;
            }
            for (at, unit) in self.units.iter().enumerate() {
                let Some(with) = self.with(set, unit) else {
                    continue;
                };
                arrival.fill((f64::INFINITY, 0));
                for (from, row) in rows.iter().enumerate() {
                    let (Some(row), Some(hop)) = (row, self.hops[from * count + at]) else {
                        continue;
                    };
                    for (best, &cost) in arrival.iter_mut().zip(&row.cost) {
                        let cost = self.problem.join(cost, hop);
                        if cost < best.0 {
                            *best = (cost, from as u16);
                        }
                    }
                }
                if let Some(row) = extend(self.problem, unit, &arrival) {
                    level[with * count + at] = Some(row);
                }
            }
        }
        level
    }

    /// The stages that led to having placed all layers in this state.
    fn trace(&self, levels: &[Level], stages: usize, state: usize) -> Vec<Placed> {
        let count = self.units.len();
        let (mut set, mut at) = (state / count, state % count);
        let mut end = self.problem.shape.layers();
        let mut chosen = Vec::new();
        for level in levels.iter().take(stages).rev() {
            let Some(row) = level.get(set * count + at).and_then(Option::as_ref) else {
                break;
            };
            let (unit, start) = row.from[end];
            chosen.push((at, usize::from(start)..end));
            for &(class, taken) in &self.units[at].takes {
                set -= taken * self.strides[class];
            }
            (at, end) = (usize::from(unit), usize::from(start));
        }
        chosen.reverse();
        // Hand out machines: equal ones in the cluster's order.
        let mut free: Vec<_> = self
            .classes
            .iter()
            .map(|class| class.iter().copied())
            .collect();
        let placed = chosen.into_iter().map(|(at, layers)| {
            let unit = &self.units[at];
            let takes = unit.takes.iter();
            Placed {
                layers,
                machines: takes
                    .flat_map(|&(class, count)| {
                        free[class].by_ref().take(count).collect::<Vec<_>>()
                    })
                    .collect(),
                kind: unit.kind.clone(),
            }
        });
        placed.collect()
    }
}

impl Row {
    fn new(layers: usize) -> Self {
        Self {
            cost: vec![f64::INFINITY; layers + 1],
            from: vec![(0, 0); layers + 1],
        }
    }
}

/// The cheapest way for `unit` to go on from each number of layers. `None` if there is none.
fn extend(problem: &Problem, unit: &Unit, arrival: &[(f64, u16)]) -> Option<Row> {
    let shape = &problem.shape;
    let mut row = Row::new(shape.layers());
    let mut any = false;
    for end in 2..=shape.layers() {
        let mut best = f64::INFINITY;
        // From the shortest stage on: they only get slower and larger.
        for start in (1..end).rev() {
            let seconds = unit.seconds(start..end);
            if seconds >= best || !unit.holds(shape, start..end) {
                break;
            }
            let (before, from) = arrival[start];
            let cost = problem.join(before, seconds);
            if cost < best {
                best = cost;
                row.from[end] = (from, start as u16);
            }
        }
        row.cost[end] = best;
        any |= best.is_finite();
    }
    any.then_some(row)
}
