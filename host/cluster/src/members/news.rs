//! Whether what a node is now is news to the others.
//!
//! Free memory and measured ways change with every look. Saying so each second would be most of what
//! an idle cluster sends, and nobody plans differently for it.

use super::{LinkFacts, NodeFacts};

/// The part of a machine's memory by which free memory has to change.
const MEMORY: u64 = 64;

/// The part of itself by which what stages may take has to change: where a person has limited that, it
/// is small beside the machine's memory.
const BUDGET: u64 = 32;

/// The part by which a measured time or speed has to change.
const MEASURED: f64 = 0.25;

/// Seconds of round trip that make no difference, whatever part of the whole they are.
const ROUND_TRIP: f64 = 500e-6;

impl NodeFacts {
    /// Whether these facts differ from `told` by enough to be told: anything a person or a node decided
    /// or that came or went, and measured values that have changed by more than they waver.
    #[must_use]
    pub fn is_news(&self, told: &Self) -> bool {
        let budget = self.stage_budget.max(told.stage_budget);
        if self.memory_free.abs_diff(told.memory_free) > self.memory_total / MEMORY
            || self.stage_budget.abs_diff(told.stage_budget) > budget / BUDGET
            || self.links.len() != told.links.len()
        {
            return true;
        }
        let ways = self.links.iter().zip(&told.links);
        let moved = |(now, then): (&super::LinkReport, &super::LinkReport)| {
            now.to != then.to || now.facts.is_news(then.facts)
        };
        if ways.into_iter().any(moved) {
            return true;
        }
        let rest = Self {
            memory_free: told.memory_free,
            stage_budget: told.stage_budget,
            links: told.links.clone(),
            ..self.clone()
        };
        rest != *told
    }
}

impl LinkFacts {
    fn is_news(self, told: Self) -> bool {
        let differs = |now: Option<f64>, then: Option<f64>, floor: f64| match (now, then) {
            (Some(now), Some(then)) => {
                let change = (now - then).abs();
                change > floor && change > MEASURED * now.max(then)
            }
            (now, then) => now.is_some() != then.is_some(),
        };
        differs(self.round_trip, told.round_trip, ROUND_TRIP)
            || differs(self.bytes_per_second, told.bytes_per_second, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NodeId;
    use crate::members::LinkReport;

    fn facts() -> NodeFacts {
        let facts = LinkFacts {
            round_trip: Some(0.002),
            bytes_per_second: Some(1e9),
        };
        NodeFacts {
            memory_total: 64 << 30,
            memory_free: 32 << 30,
            stage_budget: 25 << 30,
            links: vec![LinkReport {
                to: NodeId::random(),
                facts,
            }],
            ..NodeFacts::default()
        }
    }

    #[test]
    fn what_wavers_is_no_news() {
        let told = facts();
        assert!(!told.is_news(&told));
        let mut now = told.clone();
        now.memory_free += 1 << 29;
        now.stage_budget -= 1 << 29;
        now.links[0].facts.round_trip = Some(0.0023);
        now.links[0].facts.bytes_per_second = Some(0.9e9);
        assert!(!now.is_news(&told));
        // A way so short that its measurement is mostly waking up.
        let (mut now, mut told) = (now, told);
        now.links[0].facts.round_trip = Some(100e-6);
        told.links[0].facts.round_trip = Some(550e-6);
        assert!(!now.is_news(&told));
    }

    #[test]
    fn what_changes_a_plan_is_news() {
        let told = facts();
        let changes: [fn(&mut NodeFacts); 8] = [
            |now| now.memory_free -= 2 << 30,
            |now| now.stage_budget = 0,
            |now| now.links[0].facts.round_trip = Some(0.004),
            |now| now.links[0].facts.bytes_per_second = Some(2e9),
            |now| now.links[0].facts.bytes_per_second = None,
            |now| now.links[0].to = NodeId::random(),
            |now| now.links.clear(),
            |now| now.serving.push("a model".to_owned()),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut now = told.clone();
            change(&mut now);
            assert!(now.is_news(&told), "change {index}");
        }
        // Two stages of a small model, on a large machine that lends little.
        let told = NodeFacts {
            stage_budget: 24 << 20,
            ..told
        };
        let now = NodeFacts {
            stage_budget: 12 << 20,
            ..told.clone()
        };
        assert!(now.is_news(&told));
    }
}
