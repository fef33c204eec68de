//! [`Scheduler::complete`]: what a finished step changes.

use super::sequence::{InFlightRow, State};
use super::{Event, Finish, ProtocolError, Scheduler};
use crate::executor::{RowOutput, SampledToken, SequenceId, StepOutput};

impl Scheduler {
    /// Takes the output of the oldest step in flight.
    ///
    /// # Errors
    /// [`ProtocolError`] if the output does not answer that step; the scheduler's picture of the
    /// executor is then worthless, and both should be given up.
    pub fn complete(&mut self, output: StepOutput) -> Result<Vec<Event>, ProtocolError> {
        let Some(step) = self.in_flight.pop_front() else {
            return Err(ProtocolError("an output with no step in flight".into()));
        };
        if step.id != output.id || output.epoch != self.config.epoch {
            return Err(ProtocolError(format!(
                "an output of {:?} in {:?} for {:?} in {:?}",
                output.id, output.epoch, step.id, self.config.epoch
            )));
        }
        if step.rows.len() != output.rows.len() {
            return Err(ProtocolError(format!(
                "{} row outputs for {} rows",
                output.rows.len(),
                step.rows.len()
            )));
        }
        let mut events = Vec::new();
        for (row, output) in step.rows.into_iter().zip(output.rows) {
            self.complete_row(row, output, &mut events)?;
        }
        Ok(events)
    }

    fn complete_row(
        &mut self,
        row: InFlightRow,
        output: RowOutput,
        events: &mut Vec<Event>,
    ) -> Result<(), ProtocolError> {
        let id = row.sequence;
        if output.sequence != id {
            return Err(ProtocolError(format!(
                "an output of {:?} for a row of {id:?}",
                output.sequence
            )));
        }
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return Err(ProtocolError(format!("{id:?} vanished in flight")));
        };
        sequence.rows_in_flight = sequence.rows_in_flight.saturating_sub(1);
        if sequence.state == State::Ended {
            if sequence.rows_in_flight == 0 {
                self.remove_sequence(id);
            }
            return Ok(());
        }
        let (request, choice) = (sequence.request, sequence.choice);
        let drawn = match output.result {
            Ok(drawn) if drawn.len() == row.draws => drawn,
            Ok(drawn) => {
                return Err(ProtocolError(format!(
                    "{} tokens where {} were asked for",
                    drawn.len(),
                    row.draws
                )));
            }
            Err(error) => {
                self.fail_row(id, &error, events);
                return Ok(());
            }
        };
        sequence.computed = row.end;
        let prefilled = sequence.generated() == 0 && drawn.is_empty();
        self.publish(id);
        if prefilled {
            events.push(Event::Prefilled {
                request,
                done: row.end,
            });
        }
        for sampled in drawn {
            let finish = self.take_token(id, &sampled);
            events.push(Event::Token {
                request,
                choice,
                sampled,
                finish,
            });
        }
        Ok(())
    }

    /// Ends what a failed row belongs to: its choice, or all of them when they have not forked.
    fn fail_row(
        &mut self,
        id: SequenceId,
        error: &crate::executor::RowError,
        events: &mut Vec<Event>,
    ) {
        let Some(sequence) = self.sequences.get(&id) else {
            return;
        };
        let request = sequence.request;
        let mut failed = vec![sequence.choice];
        if let Some(group) = self.groups.get_mut(&request)
            && !group.forked
        {
            failed = (0u32..)
                .zip(&group.choices)
                .filter(|(_, choice)| !choice.ended)
                .map(|(index, _)| index)
                .collect();
            for choice in &mut group.choices {
                choice.ended = true;
            }
        }
        self.end_sequence(id);
        events.extend(failed.into_iter().map(|choice| Event::Failed {
            request,
            choice,
            error: error.clone(),
        }));
    }

    /// Gives the pool the names of blocks that became full.
    fn publish(&mut self, id: SequenceId) {
        if !self.config.prefix_cache {
            return;
        }
        let block_size = self.config.block_size;
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return;
        };
        while (sequence.published + 1) * block_size <= sequence.computed {
            let index = sequence.published;
            let Some(hash) = sequence.block_hash(index, block_size) else {
                return;
            };
            let Some(&block) = sequence.table.get(index) else {
                return;
            };
            self.pool.publish(block, hash);
            sequence.published += 1;
        }
    }

    /// Appends a drawn token and decides whether it was the last.
    fn take_token(&mut self, id: SequenceId, sampled: &SampledToken) -> Option<Finish> {
        let sequence = self.sequences.get_mut(&id)?;
        let group = self.groups.get(&sequence.request)?;
        sequence.tokens.push(sampled.token);
        sequence.awaiting = false;
        self.counters.output_tokens += 1;
        self.recent.count(&group.owner);
        let finish = if group.stop_tokens.contains(&sampled.token) {
            Some(Finish::StopToken(sampled.token))
        } else if sequence.generated() >= group.max_new {
            Some(group.at_max)
        } else {
            None
        };
        if finish.is_some() {
            self.end_sequence(id);
        }
        finish
    }
}
