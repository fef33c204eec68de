//! Which node answers a request for a model: one rule, the same on every node.
//!
//! 1. The node that was asked, if it has the model in memory.
//! 2. The node that was asked, if the model fits there alone: nothing leaves the machine.
//! 3. A node that has it in memory, or is bringing it there; the lowest id if there are several.
//! 4. The lowest id among those that have its folder: it will coordinate. Nodes that have heard the
//!    same agree on it without talking; where they have not, [`claims`](crate::claims) settle it.
//! 5. The node that was asked, which then says that there is no such model.

use crate::identity::NodeId;
use crate::members::Member;

/// What the asked node knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Its id.
    pub node: NodeId,
    /// It has the model in memory, or coordinates it.
    pub serving: bool,
    /// It has the model's folder, and the model fits there alone.
    pub alone: bool,
}

/// The node that answers requests for `model`, if it is not the asked one.
#[must_use]
pub fn elsewhere<'a>(
    model: &str,
    asked: Asked,
    members: impl IntoIterator<Item = &'a Member>,
) -> Option<NodeId> {
    if asked.serving || asked.alone {
        return None;
    }
    let (mut serving, mut having) = (None, None);
    for member in members {
        let Some(facts) = member.facts.as_ref().filter(|_| member.usable()) else {
            continue;
        };
        let named = |names: &[String]| names.iter().any(|name| name == model);
        // What others hear of this node is older than what it knows.
        if named(&facts.serving) && member.id != asked.node {
            serving = lower(serving, member.id);
        }
        if named(&facts.models) {
            having = lower(having, member.id);
        }
    }
    serving.or(having).filter(|&node| node != asked.node)
}

fn lower(lowest: Option<NodeId>, id: NodeId) -> Option<NodeId> {
    Some(lowest.map_or(id, |lowest| lowest.min(id)))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::members::{Members, NodeFacts};

    fn id(number: usize) -> NodeId {
        format!("{number:032x}").parse().unwrap()
    }

    /// Node `i` has the model's folder, and has it in memory, as `nodes[i]` says.
    fn members(nodes: &[(bool, bool)]) -> Members {
        let mut members = Members::default();
        let names = |yes: bool| {
            if yes {
                vec!["m".to_owned()]
            } else {
                Vec::new()
            }
        };
        for (index, &(has, serving)) in nodes.iter().enumerate() {
            members.came(id(index), Instant::now());
            let facts = NodeFacts {
                models: names(has),
                serving: names(serving),
                ..NodeFacts::default()
            };
            let facts = serde_json::to_vec(&facts).unwrap();
            members.heard(id(index), &facts, Instant::now()).unwrap();
        }
        members
    }

    fn ask(asked: usize, serving: bool, alone: bool, nodes: &[(bool, bool)]) -> Option<NodeId> {
        let asked = Asked {
            node: id(asked),
            serving,
            alone,
        };
        elsewhere("m", asked, members(nodes).iter())
    }

    #[test]
    fn what_is_here_stays_here() {
        let nodes = [(true, true), (true, false)];
        assert_eq!(ask(1, true, false, &nodes), None);
        assert_eq!(ask(1, false, true, &nodes), None);
        assert_eq!(ask(1, false, false, &nodes), Some(id(0)));
    }

    #[test]
    fn all_nodes_agree_on_who_coordinates() {
        let nodes = [(false, false), (true, false), (true, false)];
        assert_eq!(ask(0, false, false, &nodes), Some(id(1)));
        assert_eq!(ask(1, false, false, &nodes), None);
        assert_eq!(ask(2, false, false, &nodes), Some(id(1)));
        // Whoever has it in memory comes first.
        let running = [(true, false), (true, false), (true, true)];
        assert_eq!(ask(0, false, false, &running), Some(id(2)));
        // What this node said before is no reason to send requests in a circle.
        assert_eq!(ask(2, false, false, &running), Some(id(0)));
    }

    #[test]
    fn a_model_that_nobody_has_is_refused_where_it_was_asked_for() {
        assert_eq!(
            ask(1, false, false, &[(false, false), (false, false)]),
            None
        );
        assert_eq!(ask(0, false, false, &[]), None);
    }

    #[test]
    fn silent_nodes_are_not_asked() {
        let mut members = members(&[(true, true), (true, false), (false, false)]);
        members.suspect(id(0), Instant::now());
        let asked = Asked {
            node: id(2),
            serving: false,
            alone: false,
        };
        assert_eq!(elsewhere("m", asked, members.iter()), Some(id(1)));
    }
}
