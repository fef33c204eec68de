//! [`Feed`]: the canonical events of one answer, wherever they come from.
//!
//! It begins before the model is ready, so that a streamed answer can keep its connection alive
//! meanwhile. A machine that is lost before the first word costs nobody a request, nor does a model that
//! turns out to be on another host: the request is begun again (see [`loss`](crate::loss)). One whose client
//! waits for the whole answer is begun again later, too, and goes on where it was (see
//! [`replay`](crate::replay)). Dropping a feed cancels everything behind it: the engine's streams end with
//! their receivers. [`Feed::next`] may be dropped at any await without losing an event.

use std::sync::Arc;
use std::time::Instant;

use atoll_plugin_runtime::types::{Error, ErrorKind, Event, GenerateRequest};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryFutureExt as _};

use crate::failure;
use crate::forward::{self, Elsewhere};
use crate::generate::{self, Plan};
use crate::loss::{Repeats, Stopped};
use crate::models::Models;
use crate::options::Limits;
use crate::remarks::Remarks;
use crate::replay::{Differs, Replay};
use crate::source::{self, RequestFacts, Running};

/// Canonical events of one answer.
pub(crate) struct Feed {
    state: State,
    /// What it takes to begin again; nothing once a client has had a word, or where another host does it.
    again: Option<Box<Attempt>>,
    /// What was said of an answer that its client gets whole.
    replay: Option<Replay>,
    /// Why it was begun again, the last time.
    loss: Option<Error>,
    /// How often it may still be begun again.
    repeats: Repeats,
    /// It ended with a loss.
    lost: bool,
    /// The answer was announced.
    announced: bool,
}

enum State {
    /// The model is loading, the prompt is being tokenized, the queue is being entered.
    Starting(BoxFuture<'static, Result<Begun, Stopped>>),
    /// Generations are running.
    Running(Box<Running>),
    /// Another host answers.
    There(BoxStream<'static, Result<Vec<Event>, Error>>),
    /// The terminal event is out.
    Ended,
}

/// An answer that has begun.
enum Begun {
    /// On this host.
    Here(Box<Running>),
    /// On another. An error there means that the host is lost.
    There(BoxStream<'static, Result<Vec<Event>, Error>>),
}

/// A request on its way: what it takes to begin it.
#[derive(Clone)]
pub(crate) struct Attempt {
    /// Where its model may be.
    pub models: Arc<dyn Models>,
    /// What is asked.
    pub request: GenerateRequest,
    /// What may be asked.
    pub limits: Limits,
    /// What identifies it.
    pub facts: RequestFacts,
    /// What its client should know.
    pub remarks: Remarks,
    /// Whether its client gets the whole answer, and nothing before.
    pub whole: bool,
    /// Whether another host may answer, and the request is begun again here when a machine is lost.
    /// What comes from another host never goes to a third, and is begun again there.
    pub forwards: bool,
}

impl Attempt {
    fn elsewhere(&self) -> Option<Arc<dyn Elsewhere>> {
        let models = self.forwards.then_some(&self.models)?;
        models.elsewhere(&self.request.model)
    }

    async fn begin(self) -> Result<Begun, Stopped> {
        if let Some(there) = self.elsewhere() {
            let events = forward::generate(there, self.request, self.facts).await?;
            return Ok(Begun::There(events));
        }
        let mut plan = generate::plan(self.request, &self.limits)?;
        plan.remarks = self.remarks;
        let running = source::start(self.models, plan, self.facts).await?;
        Ok(Begun::Here(Box::new(running)))
    }
}

impl Feed {
    /// Begins a planned request; nothing runs until the feed is polled.
    pub(crate) fn start(attempt: Attempt, plan: Plan) -> Self {
        let facts = attempt.facts.clone();
        let begun = match attempt.elsewhere() {
            Some(there) => forward::generate(there, attempt.request.clone(), facts)
                .map_ok(Begun::There)
                .boxed(),
            None => source::start(Arc::clone(&attempt.models), plan, facts)
                .map_ok(|running| Begun::Here(Box::new(running)))
                .boxed(),
        };
        Self {
            state: State::Starting(begun),
            replay: (attempt.whole && attempt.forwards).then(Replay::default),
            again: attempt.forwards.then(|| Box::new(attempt)),
            ..Self::ended()
        }
    }

    /// A feed that has nothing more to give.
    pub(crate) fn ended() -> Self {
        Self {
            state: State::Ended,
            again: None,
            replay: None,
            loss: None,
            repeats: Repeats::new(),
            lost: false,
            announced: false,
        }
    }

    /// Waits until the request is queued in its engine.
    ///
    /// # Errors
    /// Why it was refused; the feed has ended then.
    pub(crate) async fn admitted(&mut self) -> Result<(), Stopped> {
        while let State::Starting(starting) = &mut self.state {
            match starting.await {
                Ok(Begun::Here(running)) => self.state = State::Running(running),
                Ok(Begun::There(events)) => self.state = State::There(events),
                Err(stopped) => self.stopped(stopped)?,
            }
        }
        Ok(())
    }

    /// The next events, waiting for at least one; all that is ready comes in one batch. Empty only
    /// after the terminal event.
    pub(crate) async fn next(&mut self) -> Vec<Event> {
        loop {
            if let Err(stopped) = self.admitted().await {
                return vec![Event::Failed(stopped.into_error())];
            }
            let (batch, lost) = match &mut self.state {
                State::Running(running) => {
                    let batch = running.next().await;
                    let lost = running.is_lost();
                    if running.ended() {
                        self.state = State::Ended;
                    }
                    (batch, lost)
                }
                State::There(events) => match events.next().await {
                    Some(Ok(batch)) => (batch, false),
                    Some(Err(error)) => {
                        self.state = State::Ended;
                        (vec![Event::Failed(error)], true)
                    }
                    None => {
                        self.state = State::Ended;
                        return Vec::new();
                    }
                },
                State::Starting(_) | State::Ended => return Vec::new(),
            };
            if self.replay.is_none() && batch.iter().any(says_something) {
                self.again = None;
            }
            if let (true, Some(Event::Failed(error))) = (lost, batch.last()) {
                // What came with the loss comes again.
                if self.begins_again(&Stopped::Lost(error.clone())) {
                    continue;
                }
                self.lost = true;
            }
            let batch = self.unrepeated(batch);
            let batch = self.announced_once(batch);
            if !batch.is_empty() {
                return batch;
            }
        }
    }

    /// Whether it ended because a machine was lost. The last of its events says so.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the engine has the request.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting(_))
    }

    /// Begins again what may be; ends the feed otherwise.
    fn stopped(&mut self, stopped: Stopped) -> Result<(), Stopped> {
        if self.begins_again(&stopped) {
            return Ok(());
        }
        self.state = State::Ended;
        Err(stopped)
    }

    /// Begins again, if that is still possible.
    fn begins_again(&mut self, stopped: &Stopped) -> bool {
        let Some(attempt) = self.again.clone() else {
            return false;
        };
        let Some(wait) = self.repeats.again(stopped, Instant::now()) else {
            return false;
        };
        if let Some(replay) = &mut self.replay {
            replay.again();
        }
        if let Stopped::Lost(error) = stopped {
            self.loss = Some(error.clone());
        }
        let begun = async move {
            tokio::time::sleep(wait).await;
            attempt.begin().await
        };
        self.state = State::Starting(begun.boxed());
        true
    }

    /// Without what was said by an attempt before. If this one says something else, the answer ends with the
    /// loss that it was begun again for.
    fn unrepeated(&mut self, batch: Vec<Event>) -> Vec<Event> {
        let Some(replay) = &mut self.replay else {
            return batch;
        };
        match replay.rest(batch) {
            Ok(rest) => rest,
            Err(Differs) => {
                tracing::warn!("an answer that was begun again is another one");
                self.state = State::Ended;
                let other = || failure::error(ErrorKind::Internal, "the answer was said twice");
                vec![Event::Failed(self.loss.take().unwrap_or_else(other))]
            }
        }
    }

    /// Without a second announcement of an answer that was begun twice.
    fn announced_once(&mut self, mut batch: Vec<Event>) -> Vec<Event> {
        if self.announced {
            batch.retain(|event| !matches!(event, Event::Started(_)));
        }
        self.announced |= batch.iter().any(|event| matches!(event, Event::Started(_)));
        batch
    }
}

/// Whether the client learns something of the answer by it.
fn says_something(event: &Event) -> bool {
    !matches!(
        event,
        Event::Started(_) | Event::Progress(_) | Event::Failed(_)
    )
}
