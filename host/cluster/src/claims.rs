//! Who brings a model into memory when several nodes set out to do it at once.
//!
//! [`route`](crate::route) names one node, but every node applies it to what it has heard so far, and
//! right after a loss that is not everywhere the same. So a node that is about to place a model asks
//! all others first, and goes on only if none objects. A node objects that has the claim, and one that
//! wants it, too, and has the lower id; one that wants it and has the higher id gives way.
//!
//! Of two nodes that ask each other at most one comes to have the claim, whichever question arrives
//! first: whoever is asked while it has the claim objects, and of two that only want it one does. If
//! some want it and none has it, the lowest of them gets it. It is the mutual exclusion of Ricart and
//! Agrawala (1981) with ids for clocks, and with a refusal instead of a wait: who does not get the claim
//! sends its requests to the node that does.
//!
//! A node that does not answer has no say. Two halves of a network that is cut may therefore each run
//! the model; [`duplicates`](crate::duplicates) says which goes on when the cable is back.

use std::collections::HashMap;

use crate::identity::NodeId;

/// What one node claims: a pure state. See the [module documentation](self).
#[derive(Debug)]
pub struct Claims {
    node: NodeId,
    all: HashMap<String, Claimed>,
    /// Of the next claim.
    number: u64,
}

#[derive(Debug)]
struct Claimed {
    /// Tells it from earlier claims to the same model.
    number: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The others are being asked.
    Wanted,
    /// This node asks for it with a better right.
    GivenWay(NodeId),
    /// Nobody objected.
    Held {
        /// When that was, in milliseconds since the Unix epoch.
        since: u64,
    },
}

impl Claimed {
    fn since(&self) -> Option<u64> {
        match self.state {
            State::Held { since } => Some(since),
            State::Wanted | State::GivenWay(_) => None,
        }
    }
}

impl Claims {
    /// What `node` claims: nothing yet.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            all: HashMap::new(),
            number: 0,
        }
    }

    /// This node sets out to place `model`, and is to ask all others now. The claim's number; an
    /// earlier claim of this node to the model is void.
    pub fn want(&mut self, model: &str) -> u64 {
        self.number += 1;
        let claimed = Claimed {
            number: self.number,
            state: State::Wanted,
        };
        self.all.insert(model.to_owned(), claimed);
        self.number
    }

    /// Whether this node objects to `from` placing `model`.
    pub fn objects(&mut self, model: &str, from: NodeId) -> bool {
        let Some(claimed) = self.all.get_mut(model) else {
            return false;
        };
        match claimed.state {
            State::Held { .. } => true,
            State::Wanted if from > self.node => true,
            State::Wanted => {
                claimed.state = State::GivenWay(from);
                false
            }
            State::GivenWay(_) => false,
        }
    }

    /// Nobody objected to claim `number`: this node has it from now on, which is `now` milliseconds after
    /// the Unix epoch.
    ///
    /// # Errors
    /// The node that this one gave way to meanwhile, or this node itself if the claim is void; then it
    /// has nothing.
    pub fn hold(&mut self, model: &str, number: u64, now: u64) -> Result<(), NodeId> {
        match self.all.get_mut(model) {
            Some(claimed) if claimed.number == number => match claimed.state {
                State::GivenWay(to) => {
                    self.all.remove(model);
                    Err(to)
                }
                State::Wanted => {
                    claimed.state = State::Held { since: now };
                    Ok(())
                }
                State::Held { .. } => Ok(()),
            },
            _ => Err(self.node),
        }
    }

    /// Gives claim `number` up, if it is not void already.
    pub fn release(&mut self, model: &str, number: u64) {
        if let Some(claimed) = self.all.get(model)
            && claimed.number == number
        {
            self.all.remove(model);
        }
    }

    /// Whether this node is placing `model` or has placed it, as far as it knows.
    #[must_use]
    pub fn is_wanted(&self, model: &str) -> bool {
        let state = self.all.get(model).map(|claimed| &claimed.state);
        matches!(state, Some(State::Wanted | State::Held { .. }))
    }

    /// Models that this node has the claim to, each with the milliseconds after the Unix epoch since when.
    pub fn held(&self) -> impl Iterator<Item = (&str, u64)> {
        self.all.iter().filter_map(|(model, claimed)| {
            let since = claimed.since()?;
            Some((model.as_str(), since))
        })
    }

    /// Since when this node has the claim to `model`, if it has.
    #[must_use]
    pub fn held_since(&self, model: &str) -> Option<u64> {
        self.all.get(model).and_then(Claimed::since)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const MODEL: &str = "m";

    fn id(number: usize) -> NodeId {
        format!("{number:032x}").parse().unwrap()
    }

    enum Message {
        Asks { claim: u64 },
        Answers { claim: u64, objects: bool },
    }

    /// One node at work: its claim's number, and the answers that it still waits for.
    struct Node {
        claims: Claims,
        asking: Option<(u64, usize)>,
    }

    /// Nodes that talk over ways that keep the order of messages and take as long as `next` says.
    struct Net {
        nodes: Vec<Node>,
        ways: Vec<Vec<VecDeque<Message>>>,
    }

    impl Net {
        fn new(count: usize) -> Self {
            let node = |number| Node {
                claims: Claims::new(id(number)),
                asking: None,
            };
            let way = || (0..count).map(|_| VecDeque::new()).collect();
            Self {
                nodes: (0..count).map(node).collect(),
                ways: (0..count).map(|_| way()).collect(),
            }
        }

        fn wants(&mut self, node: usize) {
            let count = self.nodes.len();
            let claim = self.nodes[node].claims.want(MODEL);
            self.nodes[node].asking = Some((claim, count - 1));
            for to in (0..count).filter(|&to| to != node) {
                self.ways[node][to].push_back(Message::Asks { claim });
            }
            self.settle(node);
        }

        fn settle(&mut self, node: usize) {
            let node = &mut self.nodes[node];
            if let Some((claim, 0)) = node.asking {
                node.asking = None;
                // An error: it gave way.
                let _ = node.claims.hold(MODEL, claim, 0);
            }
        }

        /// Delivers the next message of one of the ways that have any. False if none has.
        fn deliver(&mut self, next: usize) -> bool {
            let count = self.nodes.len();
            let pairs = (0..count * count).map(|pair| (pair / count, pair % count));
            let busy: Vec<(usize, usize)> = pairs
                .filter(|&(from, to)| !self.ways[from][to].is_empty())
                .collect();
            let Some(&(from, to)) = busy.get(next % busy.len().max(1)) else {
                return false;
            };
            let message = self.ways[from][to].pop_front().unwrap();
            let receiver = &mut self.nodes[to];
            match message {
                Message::Asks { claim } => {
                    let objects = receiver.claims.objects(MODEL, id(from));
                    self.ways[to][from].push_back(Message::Answers { claim, objects });
                }
                Message::Answers { claim, objects } => match &mut receiver.asking {
                    Some((asked, waits)) if *asked == claim => {
                        *waits -= 1;
                        if objects {
                            receiver.asking = None;
                            receiver.claims.release(MODEL, claim);
                        }
                    }
                    _ => {}
                },
            }
            self.settle(to);
            true
        }

        fn holders(&self) -> Vec<usize> {
            let holds = |node: &Node| node.claims.held().next().is_some();
            (0..self.nodes.len())
                .filter(|&node| holds(&self.nodes[node]))
                .collect()
        }
    }

    proptest! {
        /// However nodes set out, give up and messages are delayed, two never hold the claim at once; and
        /// when all is said one does, if anybody wanted it since it was given up.
        #[test]
        fn at_most_one_has_it_and_somebody_does(
            count in 2..6_usize,
            events in proptest::collection::vec((0..10_usize, 0..100_usize), 1..120),
        ) {
            let mut net = Net::new(count);
            for (what, which) in events {
                let node = which % count;
                let holders = net.holders();
                match what {
                    0 | 1 if net.nodes[node].asking.is_none() && !holders.contains(&node) => net.wants(node),
                    2 => {
                        if let Some(&holder) = holders.first() {
                            let number = net.nodes[holder].claims.all[MODEL].number;
                            net.nodes[holder].claims.release(MODEL, number);
                        }
                    }
                    _ => {
                        net.deliver(which);
                    }
                }
                prop_assert!(net.holders().len() <= 1);
            }
            while net.deliver(0) {
                prop_assert!(net.holders().len() <= 1);
            }
            // All together, as at a loss: the lowest of them, or who has it already.
            let before = net.holders();
            for node in (0..count).filter(|node| !before.contains(node)).rev() {
                net.wants(node);
            }
            let mut next = 0;
            while net.deliver(next) {
                next += 7;
                prop_assert!(net.holders().len() <= 1);
            }
            let expected = if before.is_empty() { vec![0] } else { before };
            prop_assert_eq!(net.holders(), expected);
        }
    }

    #[test]
    fn an_old_claim_gives_nothing_up() {
        let mut claims = Claims::new(id(1));
        let old = claims.want(MODEL);
        claims.hold(MODEL, old, 3).unwrap();
        assert_eq!(claims.held_since(MODEL), Some(3));
        let new = claims.want(MODEL);
        claims.release(MODEL, old);
        assert_eq!(claims.hold(MODEL, old, 4), Err(id(1)));
        assert_eq!(claims.held_since(MODEL), None);
        assert!(claims.is_wanted(MODEL));
        // What is had gets no younger by being told so again.
        for now in [5, 6] {
            claims.hold(MODEL, new, now).unwrap();
            assert_eq!(claims.held().collect::<Vec<_>>(), [(MODEL, 5)]);
        }
        claims.release(MODEL, new);
        assert!(!claims.is_wanted(MODEL));
    }
}
