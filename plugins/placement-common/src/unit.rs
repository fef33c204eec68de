//! What can hold a stage: a node with one of its executors, or a tensor-parallel group.
//!
//! Nodes that are equal in everything that counts form a class. A search over classes says how many
//! of each it used, not which: eight equal machines are nine states, not 256.

use std::ops::Range;

use crate::cluster::{Cluster, Engine};
use crate::shape::Shape;

/// Equal nodes, by index into the cluster's machines.
pub type Class = Vec<usize>;

/// A kind of stage holder.
#[derive(Debug, Clone)]
pub struct Unit {
    /// How many of which class, by class; no zeros.
    pub takes: Vec<(usize, usize)>,
    /// Machines of such a unit, standing for all of its kind.
    pub example: Vec<usize>,
    /// The executor on each node.
    pub kind: String,
    /// Bytes on each node.
    pub memory: u64,
    /// Prefix sums: seconds that layers take to decode a token.
    times: Vec<f64>,
    /// Seconds that the head takes.
    pub head_seconds: f64,
}

impl Unit {
    /// Seconds that a stage with these layers takes to decode a token.
    #[must_use]
    pub fn seconds(&self, range: Range<usize>) -> f64 {
        let last = range.end + 1 == self.times.len();
        let head = if last { self.head_seconds } else { 0.0 };
        self.times[range.end] - self.times[range.start] + head
    }

    /// Nodes of it.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.example.len()
    }

    /// Whether each of its nodes has the memory for these layers.
    #[must_use]
    pub fn holds(&self, shape: &Shape, range: Range<usize>) -> bool {
        shape.memory(range, self.parts() as u64) <= self.memory
    }

    /// A stage holder of these machines, all with executors of the kind of `engine`.
    fn new(
        cluster: &Cluster,
        shape: &Shape,
        takes: Vec<(usize, usize)>,
        example: Vec<usize>,
        kind: &str,
    ) -> Option<Self> {
        let engines = example
            .iter()
            .map(|&machine| engine(cluster, machine, kind));
        let engines: Vec<&Engine> = engines.collect::<Option<_>>()?;
        let parts = engines.len() as f64;
        let least = |of: &dyn Fn(&Engine) -> f64| {
            let all = engines.iter().map(|engine| of(engine));
            all.fold(f64::INFINITY, f64::min)
        };
        let bandwidth = parts * least(&|engine| engine.bandwidth);
        let rate = parts * least(&|engine| engine.rate.unwrap_or(f64::INFINITY));
        let slowest = engines.iter().map(|engine| engine.overhead);
        let mut overhead = slowest.fold(0.0, f64::max);
        if example.len() > 1 {
            overhead += 2.0 * cluster.all_reduce(&example, shape.hidden_bytes)?;
        }
        let seconds = |bytes: f64, work: f64| (bytes / bandwidth).max(work / rate);
        let mut sum = 0.0;
        let mut times = vec![0.0];
        for (&bytes, &work) in shape.read.iter().zip(&shape.multiply_adds) {
            sum += seconds(bytes, work) + overhead;
            times.push(sum);
        }
        let memory = example
            .iter()
            .map(|&machine| cluster.machines[machine].memory);
        Some(Self {
            takes,
            kind: kind.to_owned(),
            memory: memory.min()?,
            times,
            head_seconds: seconds(shape.head as f64, shape.head_multiply_adds),
            example,
        })
    }

    /// A stage holder of exactly these machines.
    #[must_use]
    pub fn of(cluster: &Cluster, shape: &Shape, machines: &[usize], kind: &str) -> Option<Self> {
        let takes = machines.iter().map(|&machine| (machine, 1)).collect();
        Self::new(cluster, shape, takes, machines.to_vec(), kind)
    }
}

/// The executor of this kind on a machine.
#[must_use]
pub fn engine<'a>(cluster: &'a Cluster, machine: usize, kind: &str) -> Option<&'a Engine> {
    let engines = &cluster.machines.get(machine)?.engines;
    engines.iter().find(|engine| engine.kind == kind)
}

/// Puts equal machines together. Each class's members are in the cluster's order.
#[must_use]
pub fn classes(cluster: &Cluster) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    for machine in 0..cluster.machines.len() {
        let equal = |class: &&mut Class| {
            class
                .first()
                .is_some_and(|&first| interchangeable(cluster, first, machine))
        };
        match classes.iter_mut().find(equal) {
            Some(class) => class.push(machine),
            None => classes.push(vec![machine]),
        }
    }
    classes
}

/// Whether swapping two machines changes nothing.
fn interchangeable(cluster: &Cluster, a: usize, b: usize) -> bool {
    let (left, right) = (&cluster.machines[a], &cluster.machines[b]);
    left.memory == right.memory
        && left.engines == right.engines
        && cluster.wire(a, b) == cluster.wire(b, a)
        && (0..cluster.machines.len())
            .filter(|&other| other != a && other != b)
            .all(|other| {
                cluster.wire(a, other) == cluster.wire(b, other)
                    && cluster.wire(other, a) == cluster.wire(other, b)
            })
}

/// Every single node, and every tensor-parallel group of one of `sizes`; `None` if there are more
/// than `most`.
#[must_use]
pub fn enumerate(
    cluster: &Cluster,
    shape: &Shape,
    classes: &[Class],
    sizes: &[u32],
    most: usize,
) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    let mut sizes: Vec<usize> = sizes.iter().map(|&size| size as usize).collect();
    sizes.retain(|&size| size > 1 && size <= cluster.machines.len());
    sizes.push(1);
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        let mut chosen = Vec::new();
        if !groups(classes, 0, size, &mut chosen, &mut |takes| {
            add(cluster, shape, classes, takes, &mut units);
            units.len() <= most
        }) {
            return None;
        }
    }
    Some(units)
}

/// Calls `found` with every way to take `size` machines out of the classes from `class` on, until it
/// says no.
fn groups(
    classes: &[Class],
    class: usize,
    size: usize,
    chosen: &mut Vec<(usize, usize)>,
    found: &mut impl FnMut(&[(usize, usize)]) -> bool,
) -> bool {
    if size == 0 {
        return found(chosen);
    }
    let Some(members) = classes.get(class) else {
        return true;
    };
    for count in 0..=size.min(members.len()) {
        if count > 0 {
            chosen.push((class, count));
        }
        let go_on = groups(classes, class + 1, size - count, chosen, found);
        if count > 0 {
            chosen.pop();
        }
        if !go_on {
            return false;
        }
    }
    true
}

/// One unit for each executor kind that all machines of the group have, unless another of their
/// executors is as good in everything.
fn add(
    cluster: &Cluster,
    shape: &Shape,
    classes: &[Class],
    takes: &[(usize, usize)],
    units: &mut Vec<Unit>,
) {
    let example: Vec<usize> = takes
        .iter()
        .flat_map(|&(class, count)| classes[class].iter().take(count).copied())
        .collect();
    let Some(&first) = example.first() else {
        return;
    };
    let mut made: Vec<Unit> = Vec::new();
    for engine in &cluster.machines[first].engines {
        let unit = Unit::new(
            cluster,
            shape,
            takes.to_vec(),
            example.clone(),
            &engine.kind,
        );
        let Some(unit) = unit else { continue };
        // All executors of a node share its memory, so one that is never slower is never worse.
        let better = |a: &Unit, b: &Unit| {
            (0..shape.layers())
                .all(|layer| a.seconds(layer..layer + 1) <= b.seconds(layer..layer + 1))
        };
        if made.iter().any(|other| better(other, &unit)) {
            continue;
        }
        made.retain(|other| !better(&unit, other));
        made.push(unit);
    }
    units.append(&mut made);
}
