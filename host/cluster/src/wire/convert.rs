//! Between the engine's types and those on the wire.

use std::sync::Arc;

use atoll_engine::executor::{
    BlockCopy, BlockId, Epoch, Row, RowError, RowOutput, SampleRequest, SampledToken, SequenceId,
    Step, StepId, TokenMask,
};
use atoll_engine::sampling::SamplingParams;

use super::{RowFault, RowResult, Sample, Sampled, Sampling, WireError};

/// A number that this machine can count to.
fn size(value: u64) -> Result<usize, WireError> {
    usize::try_from(value).map_err(WireError::malformed)
}

impl super::Step {
    /// A step for a stage. Masks only go along to the last, and are waited for here.
    #[must_use]
    pub fn new(step: &Step, masks: bool) -> Self {
        let copies = step.block_copies.iter();
        let rows = step.rows.iter();
        Self {
            id: step.id.0,
            copies: copies.map(|copy| (copy.from.0, copy.to.0)).collect(),
            rows: rows.map(|row| super::Row::new(row, masks)).collect(),
        }
    }

    /// The engine's step.
    ///
    /// # Errors
    /// [`WireError::Malformed`].
    pub fn into_engine(self, epoch: Epoch) -> Result<Step, WireError> {
        let copy = |(from, to)| BlockCopy {
            from: BlockId(from),
            to: BlockId(to),
        };
        let rows = self.rows.into_iter().map(super::Row::into_engine);
        Ok(Step {
            id: StepId(self.id),
            epoch,
            block_copies: self.copies.into_iter().map(copy).collect(),
            rows: rows.collect::<Result<_, _>>()?,
        })
    }
}

impl super::Row {
    fn new(row: &Row, masks: bool) -> Self {
        let bytes = |mask: &Arc<TokenMask>| {
            let words = mask.words().iter();
            words.flat_map(|word| word.to_le_bytes()).collect()
        };
        Self {
            sequence: row.sequence.0,
            start: row.start as u64,
            tokens: row.tokens.clone(),
            blocks: row.block_table.iter().map(|block| block.0).collect(),
            sample: row.sample.as_ref().map(|sample| Sample {
                positions: sample.positions as u64,
                mask: sample.mask.as_ref().filter(|_| masks).map(bytes),
            }),
        }
    }

    fn into_engine(self) -> Result<Row, WireError> {
        Ok(Row {
            sequence: SequenceId(self.sequence),
            start: size(self.start)?,
            tokens: self.tokens,
            block_table: self.blocks.into_iter().map(BlockId).collect(),
            sample: self.sample.map(Sample::into_engine).transpose()?,
        })
    }
}

impl Sample {
    fn into_engine(self) -> Result<SampleRequest, WireError> {
        let mask = self.mask.map(|bytes| {
            let (words, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(WireError::malformed("a mask of a fraction of words"));
            }
            let words = words.iter().map(|word| u32::from_le_bytes(*word));
            Ok(Arc::new(TokenMask::from_words(words.collect())))
        });
        Ok(SampleRequest {
            positions: size(self.positions)?,
            mask: mask.transpose()?,
        })
    }
}

impl From<&SamplingParams> for Sampling {
    fn from(params: &SamplingParams) -> Self {
        // Named one by one, so that a new parameter cannot be forgotten.
        let SamplingParams {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            repeat_last_n,
            presence_penalty,
            frequency_penalty,
            logit_bias,
            seed,
            logprobs,
        } = params;
        Self {
            temperature: *temperature,
            top_k: *top_k,
            top_p: *top_p,
            min_p: *min_p,
            repetition_penalty: *repetition_penalty,
            repeat_last_n: repeat_last_n.map(|n| n as u64),
            presence_penalty: *presence_penalty,
            frequency_penalty: *frequency_penalty,
            logit_bias: logit_bias.clone(),
            seed: *seed,
            logprobs: *logprobs,
        }
    }
}

impl Sampling {
    /// The engine's parameters, checked against the vocabulary: executors rely on their ranges.
    ///
    /// # Errors
    /// [`WireError::Malformed`] naming the parameter.
    pub fn into_engine(self, vocab_size: usize) -> Result<SamplingParams, WireError> {
        let params = SamplingParams {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            repeat_last_n: self.repeat_last_n.map(size).transpose()?,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            logit_bias: self.logit_bias,
            seed: self.seed,
            logprobs: self.logprobs,
        };
        params.validate(vocab_size).map_err(WireError::malformed)?;
        Ok(params)
    }
}

impl From<RowOutput> for RowResult {
    fn from(row: RowOutput) -> Self {
        let sampled = |token: SampledToken| Sampled {
            token: token.token,
            logprob: token.logprob,
            top: token.top_logprobs,
        };
        let tokens = |tokens: Vec<SampledToken>| tokens.into_iter().map(sampled).collect();
        Self {
            sequence: row.sequence.0,
            result: row.result.map(tokens).map_err(RowFault::from),
        }
    }
}

impl From<RowResult> for RowOutput {
    fn from(row: RowResult) -> Self {
        let sampled = |token: Sampled| SampledToken {
            token: token.token,
            logprob: token.logprob,
            top_logprobs: token.top,
        };
        let tokens = |tokens: Vec<Sampled>| tokens.into_iter().map(sampled).collect();
        Self {
            sequence: SequenceId(row.sequence),
            result: row.result.map(tokens).map_err(RowError::from),
        }
    }
}

impl From<RowError> for RowFault {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Invalid(reason) => Self::Invalid(reason),
            RowError::NotFinite => Self::NotFinite,
            RowError::EmptyMask => Self::EmptyMask,
            // Errors that this version of the wire has no name for keep their words.
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl From<RowFault> for RowError {
    fn from(fault: RowFault) -> Self {
        match fault {
            RowFault::Invalid(reason) => Self::Invalid(reason),
            RowFault::NotFinite => Self::NotFinite,
            RowFault::EmptyMask => Self::EmptyMask,
        }
    }
}
