//! What one strategy says to a question, and what its plan costs.

use std::sync::Arc;

use atoll_plugin_placement_common::Problem;
use atoll_plugin_placement_common::predict::Prediction;
use atoll_plugin_runtime::Placement;
use atoll_sdk::placement::Plan;

use super::describe::Question;
use crate::strategies::convert::{asked, described};

/// One strategy's answer.
pub struct Outcome {
    /// Its name.
    pub strategy: String,
    /// Its best plan that holds, or why there is none.
    pub found: Result<Found, String>,
}

/// A plan with its costs.
pub struct Found {
    /// The plan.
    pub plan: Plan,
    /// What it costs.
    pub prediction: Prediction,
    /// Prompt tokens a second; nothing where a matrix rate is not known.
    pub prefill: Option<f64>,
    /// The names of each stage's machines.
    pub machines: Vec<String>,
}

/// Asks a strategy; the first of its plans that holds counts, as in a running host.
pub async fn ask(strategy: &Arc<Placement>, question: &Question, prompt: u64) -> Outcome {
    let answer = strategy
        .propose(
            &asked::topology(&question.topology),
            &asked::model(&question.model),
            &asked::options(&question.options),
            None,
        )
        .await;
    let found = match answer {
        Ok(Ok(plans)) => {
            let plans = plans.iter().map(described);
            cost(question, plans, prompt)
        }
        Ok(Err(error)) => Err(error.message),
        Err(fault) => Err(fault.to_string()),
    };
    Outcome {
        strategy: strategy.info().name.clone(),
        found,
    }
}

/// The first plan that holds, with its costs.
fn cost(
    question: &Question,
    plans: impl Iterator<Item = Plan>,
    prompt: u64,
) -> Result<Found, String> {
    let problem = problem(question)?;
    let mut plans = plans.filter_map(|plan| {
        let stages = problem.placed(&plan)?;
        let prediction = problem.predict(&stages)?;
        let names = stages.iter().map(|stage| {
            let names = stage.machines.iter();
            let names = names.filter_map(|&at| problem.cluster.machines.get(at));
            let names: Vec<&str> = names.map(|machine| machine.name.as_str()).collect();
            names.join("+")
        });
        Some(Found {
            machines: names.collect(),
            prefill: problem.prefill(&stages, prompt),
            prediction,
            plan,
        })
    });
    plans
        .next()
        .ok_or_else(|| "none of its plans can be carried out".to_owned())
}

/// The question in the cost model's terms.
pub fn problem(question: &Question) -> Result<Problem, String> {
    let problem = Problem::new(&question.topology, &question.model, &question.options);
    problem.map_err(|error| error.message)
}
