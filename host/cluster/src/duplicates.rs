//! Which of several instances of one model stays, when nodes that could not hear each other can again.
//!
//! [`claims`](crate::claims) let one node at a time run a model, among nodes that reach each other. Two
//! halves of a network that was cut may each run it; when the cable is back there are two. Then the
//! instance stays whose claim is the oldest, and of equally old ones the one whose coordinator has the
//! lowest id. The oldest has run longest: its streams began first, and its memory knows most prefixes.
//!
//! Each node says since when it has its claims, and never changes that, so all nodes that have heard the
//! same choose the same, and a node that has heard less, or something old, never gives up the instance that
//! stays: nobody has a better right than that. The ages are those of the nodes' own clocks. Clocks that are
//! wrong make another choice, not two.

use crate::identity::NodeId;

/// The right of an instance to stay; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Since when its coordinator has the claim to the model, in milliseconds since the Unix epoch.
    pub since: u64,
    /// Its coordinator.
    pub node: NodeId,
}

/// The node whose instance stays instead of the one with the right `mine`, if there is one among
/// `others`.
#[must_use]
pub fn stays_instead(mine: Right, others: impl IntoIterator<Item = Right>) -> Option<NodeId> {
    let best = others.into_iter().min()?;
    (best < mine).then_some(best.node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn right(since: u64, number: usize) -> Right {
        let node = format!("{number:032x}").parse().unwrap();
        Right { since, node }
    }

    #[test]
    fn the_oldest_stays_and_of_equally_old_ones_the_lowest_id() {
        let (old, low, high) = (right(1, 9), right(2, 1), right(2, 2));
        assert_eq!(stays_instead(low, [high, old]), Some(old.node));
        assert_eq!(stays_instead(high, [low]), Some(low.node));
        assert_eq!(stays_instead(low, [high]), None);
        assert_eq!(stays_instead(old, [low, high]), None);
        assert_eq!(stays_instead(high, []), None);
    }

    /// What one node runs, and what it last heard that others run.
    struct Node {
        runs: Option<Right>,
        heard: Vec<Option<Right>>,
    }

    impl Node {
        fn gives_up(&mut self) {
            let others = self.heard.iter().flatten().copied();
            if self
                .runs
                .is_some_and(|mine| stays_instead(mine, others).is_some())
            {
                self.runs = None;
            }
        }
    }

    fn tell(nodes: &mut [Node], from: usize, to: usize) {
        if from != to {
            nodes[to].heard[from] = nodes[from].runs;
        }
    }

    proptest! {
        /// Nodes that all run one model hear of each other in any order, some of them late, forget nodes
        /// that go out of reach, and give theirs up at any time. The best never goes, and when all have
        /// heard of all it is the only one.
        #[test]
        fn of_all_instances_the_best_stays_and_no_other(
            since in proptest::collection::vec(0..4_u64, 2..6),
            events in proptest::collection::vec((0..3_usize, 0..6_usize, 0..6_usize), 0..60),
        ) {
            let count = since.len();
            let rights: Vec<Right> =
                since.iter().enumerate().map(|(number, &since)| right(since, number)).collect();
            let best = *rights.iter().min().unwrap();
            let node = |&runs: &Right| Node { runs: Some(runs), heard: vec![None; count] };
            let mut nodes: Vec<Node> = rights.iter().map(node).collect();
            for (what, from, to) in events {
                let (from, to) = (from % count, to % count);
                match what {
                    0 => tell(&mut nodes, from, to),
                    1 => nodes[to].heard[from] = None,
                    _ => nodes[to].gives_up(),
                }
                prop_assert!(nodes.iter().any(|node| node.runs == Some(best)));
            }
            for from in 0..count {
                for to in 0..count {
                    tell(&mut nodes, from, to);
                }
            }
            nodes.iter_mut().for_each(Node::gives_up);
            let left: Vec<Right> = nodes.iter().filter_map(|node| node.runs).collect();
            prop_assert_eq!(left, vec![best]);
        }
    }
}
