//! Where an answer's events come from on this host: a model that is loaded first, then its generations.
//!
//! Dropping [`Running`] cancels everything behind it: the engine's streams end with their receivers.
//! [`Running::next`] may be dropped at any await without losing an event.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atoll_engine::engine::{
    AnswerPlan, ContextWindow, EngineError, GenerateRequest, GenerationEvent, PreparedPrompt,
    PromptInput,
};
use atoll_engine::executor::ExecutorError;
use atoll_plugin_runtime::types::{Error, ErrorKind, Event, Started};
use futures::stream::{BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};

use crate::events::{Elapsed, Splitting, Translator};
use crate::generate::{self, Plan};
use crate::loss::Stopped;
use crate::models::{Models, TextEngine};
use crate::ranking::Ranking;
use crate::remarks::Remarks;
use crate::{failure, fit, rules};

/// Most events handed to one encode call. Enough that a burst (a fast model, a slow plugin) costs
/// one crossing; small enough that no batch holds a client's text for long.
const MAX_BATCH: usize = 64;

/// What identifies a request on its way into the engine.
#[derive(Debug, Clone)]
pub(crate) struct RequestFacts {
    /// The request's id, for logs and for the client.
    pub id: String,
    /// The answer's id. A stored answer is found by it, so it cannot be chosen by the client.
    pub answer_id: String,
    /// Unix time in seconds at which the request arrived.
    pub received_at: u64,
    /// The same moment on a clock that never goes back.
    pub arrived: Instant,
    /// The name of the key it came with; empty without one.
    pub owner: Arc<str>,
    /// Random, and the same however often and wherever the request is begun: what the host chooses by chance.
    pub chance: u128,
}

/// Generations behind one answer.
pub(crate) struct Running {
    streams: SelectAll<BoxStream<'static, (usize, Option<GenerationEvent>)>>,
    translator: Translator,
    load: Duration,
    arrived: Instant,
    /// More candidates were asked for than answers.
    ranking: Option<Ranking>,
    /// A generation ended because a machine was lost.
    lost: bool,
    /// Keeps the model from being unloaded while it answers.
    _engine: Arc<dyn TextEngine>,
}

impl Running {
    /// Whether the terminal event is out.
    pub(crate) fn ended(&self) -> bool {
        self.translator.ended()
    }

    /// Whether it ended because a machine was lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The next events, at least one; see [`Feed::next`](crate::feed::Feed::next).
    pub(crate) async fn next(&mut self) -> Vec<Event> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            let Some(first) = self.streams.next().await else {
                let message = "the engine ended the answer without saying why";
                // Of candidates there is nothing to hold back any more.
                self.translator
                    .fail(failure::error(ErrorKind::Internal, message), &mut batch);
                break;
            };
            self.push(first, &mut batch);
            while batch.len() < MAX_BATCH && !self.translator.ended() {
                // What is queued already goes into the same batch.
                let Some(Some(event)) = self.streams.next().now_or_never() else {
                    break;
                };
                self.push(event, &mut batch);
            }
            if let Some(ranking) = &mut self.ranking {
                batch = ranking.hold(batch);
            }
        }
        batch
    }

    fn push(&mut self, (input, event): (usize, Option<GenerationEvent>), batch: &mut Vec<Event>) {
        let elapsed = Elapsed {
            load: self.load,
            total: self.arrived.elapsed(),
        };
        self.lost |= matches!(
            &event,
            Some(GenerationEvent::Failed(EngineError::Executor(
                ExecutorError::Lost(_)
            )))
        );
        if let (Some(ranking), Some(event)) = (&mut self.ranking, &event) {
            ranking.hear(input, event);
        }
        self.translator.push(input, event, elapsed, batch);
    }
}

/// The number of tokens `generate` would report for the prompts of a plan.
pub(crate) async fn count(models: Arc<dyn Models>, plan: Plan) -> Result<u32, Stopped> {
    let engine = models.engine(&plan.model).await;
    let engine = engine.map_err(|error| Stopped::by_engine(&error))?;
    let prompts = prepare(&engine, plan.inputs, plan.window, plan.remarks).await?;
    Ok(prompts
        .iter()
        .fold(0u32, |sum, prompt| sum.saturating_add(prompt.token_count())))
}

/// Loads the model if need be, and queues the generations of a plan.
///
/// # Errors
/// Why it was refused.
pub(crate) async fn start(
    models: Arc<dyn Models>,
    mut plan: Plan,
    facts: RequestFacts,
) -> Result<Running, Stopped> {
    let from_engine = |error: EngineError| Stopped::by_engine(&error);
    let before_load = Instant::now();
    let engine = models.engine(&plan.model).await.map_err(from_engine)?;
    let load = before_load.elapsed();
    if let Some(keep) = plan.keep_alive {
        models.keep(&plan.model, keep);
    }
    let model = engine.facts();
    let echoes = echo_texts(&engine, &plan).await?;
    if plan.rules.reasoning_budget.is_none() && !engine.features().reasoning_effort {
        plan.rules.reasoning_budget = plan.effort.as_deref().and_then(rules::budget_of);
    }
    let inputs = std::mem::take(&mut plan.inputs);
    if plan.reasons && !engine.features().output.can_reason() {
        plan.remarks.ignored("reasoning");
    }
    let prompts = prepare(&engine, inputs, plan.window, plan.remarks.clone()).await?;
    let answers = plan_answers(&engine, &plan, &prompts).await?;

    let started = Started {
        response_id: facts.answer_id.clone(),
        created_at: facts.received_at,
        model: model.name.clone(),
        prompt_tokens: 0,
        cached_tokens: 0,
        fingerprint: model.fingerprint.clone(),
    };
    let lengths = prompts
        .iter()
        .map(PreparedPrompt::token_count)
        .zip(echoes)
        .collect();
    let splitting = Splitting {
        plans: &answers,
        custom_tools: &plan.custom_tools,
        call_ids: facts.chance,
    };
    let translator = Translator::new(started, lengths, plan.choices, plan.logprobs.is_some())
        .splitting(&splitting);

    let ranking = (plan.choices > plan.wanted).then(|| Ranking::new(plan.choices, plan.wanted));
    // Candidates are ranked by them, whether the client sees them or not.
    let logprobs = plan.logprobs.or(ranking.is_some().then_some(0));
    let mut streams = SelectAll::new();
    for (index, (prompt, answer)) in prompts.into_iter().zip(answers).enumerate() {
        // A seed given by the client is every prompt's own, so that an answer in a batch equals the
        // same prompt's answer alone.
        let seed = plan
            .sampling
            .seed
            .unwrap_or_else(|| seed(facts.chance, index));
        let request = GenerateRequest {
            id: format!("{}-{index}", facts.id),
            prompt,
            sampling: generate::sampling(&plan.sampling, &model.defaults, seed, logprobs)?,
            choices: plan.choices,
            max_tokens: plan.max_tokens,
            stop: plan.stop.clone(),
            stop_tokens: Vec::new(),
            ignore_eos: plan.ignore_eos,
            constraint: answer.constraint,
            reasoning_budget: answer.reasoning_budget,
            shown_tokens: answer.shown_tokens,
            cache_salt: None,
            priority: 0,
            owner: facts.owner.clone(),
        };
        let stream = engine.generate(request).await.map_err(from_engine)?;
        let tagged = stream.map(Some).chain(futures::stream::iter([None]));
        streams.push(tagged.map(move |event| (index, event)).boxed());
    }
    Ok(Running {
        streams,
        translator,
        ranking,
        load,
        arrived: facts.arrived,
        lost: false,
        _engine: engine,
    })
}

/// Rendering and tokenizing a long prompt takes milliseconds: not on a thread that serves others.
async fn prepare(
    engine: &Arc<dyn TextEngine>,
    inputs: Vec<PromptInput>,
    window: ContextWindow,
    remarks: Remarks,
) -> Result<Vec<PreparedPrompt>, Error> {
    let engine = Arc::clone(engine);
    blocking(move || fit::prepare(engine.as_ref(), &inputs, window, &remarks)).await
}

/// Compiling a grammar for many tools takes longer still.
async fn plan_answers(
    engine: &Arc<dyn TextEngine>,
    plan: &Plan,
    prompts: &[PreparedPrompt],
) -> Result<Vec<AnswerPlan>, Error> {
    let (engine, rules, prompts) = (Arc::clone(engine), plan.rules.clone(), prompts.to_vec());
    blocking(move || {
        prompts
            .iter()
            .map(|prompt| engine.plan_answer(&rules, prompt))
            .collect()
    })
    .await
}

/// The prompts' own text, for clients that want it repeated before the answer.
async fn echo_texts(
    engine: &Arc<dyn TextEngine>,
    plan: &Plan,
) -> Result<Vec<Option<String>>, Error> {
    if !plan.echo {
        return Ok(vec![None; plan.inputs.len()]);
    }
    let inputs = plan.inputs.clone();
    let engine = Arc::clone(engine);
    blocking(move || {
        let text = |input: &PromptInput| match input {
            PromptInput::Text { text, .. } => Ok(Some(text.clone())),
            PromptInput::Tokens(tokens) => engine.decode(tokens).map(Some),
            PromptInput::Infill { prefix, .. } => Ok(Some(prefix.clone())),
            PromptInput::Chat(_) => Ok(None),
        };
        inputs.iter().map(text).collect()
    })
    .await
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| failure::from_engine(&error)),
        Err(panic) => {
            tracing::error!(%panic, "preparing a prompt failed");
            Err(failure::error(
                ErrorKind::Internal,
                "the prompt could not be prepared",
            ))
        }
    }
}

/// The seed of a request's prompt at `index`, where the client chose none. Prompts that are alike get answers
/// that are not.
fn seed(chance: u128, index: usize) -> u64 {
    let (high, low) = ((chance >> 64) as u64, chance as u64);
    // An odd multiplier gives every prompt a seed of its own.
    high ^ low
        .rotate_left(32)
        .wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_has_a_seed_of_its_own_and_the_same_again() {
        let seeds: std::collections::BTreeSet<u64> =
            (0..1000).map(|index| seed(7 << 80, index)).collect();
        assert_eq!(seeds.len(), 1000);
        assert_eq!(seed(7 << 80, 3), seed(7 << 80, 3));
        assert_ne!(seed(7 << 80, 3), seed(8 << 80, 3));
    }
}
