//! Which rows of a step may run: every rule that an executor's memory safety relies on, checked per
//! row, once for all executors.

use super::{Capabilities, Row, RowError, SequenceId, Step};

/// Positions whose token is known, of an open sequence.
type Known<'a> = &'a dyn Fn(SequenceId) -> Option<usize>;

/// Checks rows; holds marks of who writes which block in the current step, reused between steps.
#[derive(Debug)]
pub struct RowCheck {
    /// By block: the mark of the last row that was allowed to write it.
    writers: Vec<u64>,
    /// Sequences seen in this step.
    seen: Vec<SequenceId>,
    /// Increases with every row.
    mark: u64,
}

impl RowCheck {
    /// For an executor of `num_blocks` blocks; takes 8 bytes for each.
    #[must_use]
    pub fn new(num_blocks: usize) -> Self {
        Self {
            writers: vec![0; num_blocks],
            seen: Vec::new(),
            mark: 0,
        }
    }

    /// One verdict per row, appended to `verdicts`.
    ///
    /// A row may run if its numbers are in range, its sequence is open and not in the step twice,
    /// and no earlier row writes a block that it writes.
    pub fn check(
        &mut self,
        rows: &[Row],
        known: Known<'_>,
        limits: &Capabilities,
        verdicts: &mut Vec<Result<(), RowError>>,
    ) {
        self.seen.clear();
        let first_mark = self.mark + 1;
        let mut tokens = 0;
        for (index, row) in rows.iter().enumerate() {
            self.mark += 1;
            let verdict = self
                .row(row, index, tokens, first_mark, known, limits)
                .map_err(RowError::Invalid);
            if verdict.is_ok() {
                tokens += row.tokens.len();
                self.seen.push(row.sequence);
            }
            verdicts.push(verdict);
        }
    }

    fn row(
        &mut self,
        row: &Row,
        index: usize,
        tokens_before: usize,
        first_mark: u64,
        known: Known<'_>,
        limits: &Capabilities,
    ) -> Result<(), String> {
        let count = row.tokens.len();
        if index >= limits.max_rows {
            return Err(format!("more than {} rows in a step", limits.max_rows));
        }
        if count == 0 {
            return Err("it feeds no tokens".to_owned());
        }
        if count > limits.max_tokens.saturating_sub(tokens_before) {
            return Err(format!("more than {} tokens in a step", limits.max_tokens));
        }
        let known = known(row.sequence).ok_or_else(|| format!("{:?} is not open", row.sequence))?;
        if self.seen.contains(&row.sequence) {
            return Err(format!("{:?} has two rows in one step", row.sequence));
        }
        if row.start > known {
            return Err(format!(
                "starts at position {} but only {known} tokens are known",
                row.start
            ));
        }
        let end = row
            .start
            .checked_add(count)
            .filter(|&end| end <= limits.max_positions)
            .ok_or_else(|| format!("ends beyond position {}", limits.max_positions))?;
        if let Some(token) = row
            .tokens
            .iter()
            .find(|&&token| token as usize >= limits.vocab_size)
        {
            return Err(format!("token {token} is outside the vocabulary"));
        }
        if let Some(sample) = &row.sample {
            if sample.positions == 0 || sample.positions > count {
                return Err(format!(
                    "samples {} positions of {count} tokens",
                    sample.positions
                ));
            }
            if sample.mask.is_some() && sample.positions != 1 {
                return Err("a mask needs exactly one sampled position".to_owned());
            }
        }
        let blocks = end.div_ceil(limits.block_size);
        let table = row.block_table.get(..blocks).ok_or_else(|| {
            format!(
                "{} blocks do not hold {end} positions",
                row.block_table.len()
            )
        })?;
        if let Some(block) = table.iter().find(|b| b.0 as usize >= limits.num_blocks) {
            return Err(format!("block {} does not exist", block.0));
        }
        let written = table.get(row.start / limits.block_size..).unwrap_or(&[]);
        for block in written {
            let writer = self.writers.get_mut(block.0 as usize);
            if let Some(writer) = writer {
                if *writer >= first_mark {
                    return Err(format!("block {} is written twice in one step", block.0));
                }
                *writer = self.mark;
            }
        }
        Ok(())
    }
}

/// Whether every block copy of `step` names blocks that exist.
#[must_use]
pub fn copies_valid(step: &Step, num_blocks: usize) -> bool {
    step.block_copies
        .iter()
        .all(|copy| (copy.from.0 as usize) < num_blocks && (copy.to.0 as usize) < num_blocks)
}
