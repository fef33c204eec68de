//! What is looked at after the last layer, on its way to the host.

use mlx_rs::error::Exception;
use mlx_rs::ops::{concatenate, select};
use mlx_rs::{Array, Dtype};

use super::adjust;
use super::draw::{self, Pick};
use super::forward;
use super::weights::Model;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Logits, or tokens drawn from them.
    Logits,
    /// Hidden states after the last norm.
    Normed,
}

/// One position's result.
pub(super) enum Seen {
    /// The drawn token, and the logarithm of the sum of exponentials: finite if the logits are.
    Token(u32, f32),
    /// Logits or hidden states.
    Values(Vec<f32>),
}

impl Seen {
    /// The drawn token, where that is what was looked for.
    pub(super) fn token(&self) -> Option<u32> {
        match self {
            Self::Token(token, _) => Some(*token),
            Self::Values(_) => None,
        }
    }
}

/// Results of some positions, as arrays.
pub(super) enum Results {
    /// Drawn tokens.
    Drawn {
        /// As the next step takes them. The host does not read this array: on CUDA that would move
        /// its buffer away under a step that uses it.
        tokens: Array,
        /// Tokens, then the sums of [`Seen::Token`], as floats: one transfer. (A vocabulary is far smaller than 2^24.)
        both: Array,
    },
    /// One row of numbers for each position.
    Values(Array),
}

impl Results {
    /// The graph of what is looked at in normed hidden states `[positions, hidden]`: tokens if there are
    /// `picks`, one for each position, else numbers. `last` holds the token of each position where the
    /// picks' sequences do not have it yet.
    pub(super) fn new(
        model: &Model,
        normed: &Array,
        look: Look,
        picks: Option<&[Pick<'_>]>,
        last: Option<&Array>,
    ) -> Result<Self, Exception> {
        if look == Look::Normed {
            return Ok(Self::Values(normed.as_dtype(Dtype::Float32)?));
        }
        let logits = forward::logits(model, normed)?;
        let Some(picks) = picks else {
            return Ok(Self::Values(logits.as_dtype(Dtype::Float32)?));
        };
        // Not the largest: a sum shows a NaN however a maximum treats it.
        let mut sums = logits.as_dtype(Dtype::Float32)?.logsumexp_axis(-1, None)?;
        let adjusted = adjust::adjusted(&logits, picks, last)?;
        if let Some(adjusted) = &adjusted {
            // Nor is there a token to draw where the bias forbids all.
            let none = Array::from_f32(f32::NEG_INFINITY);
            sums = select(adjusted.max_axis(-1, None)?.gt(&none)?, sums, none)?;
        }
        let tokens = draw::tokens(adjusted.as_ref().unwrap_or(&logits), picks)?;
        let both = concatenate(&[tokens.as_dtype(Dtype::Float32)?, sums], 0)?;
        Ok(Self::Drawn { tokens, both })
    }

    /// What has to be computed.
    pub(super) fn array(&self) -> &Array {
        match self {
            Self::Drawn { both, .. } => both,
            Self::Values(values) => values,
        }
    }

    /// Waits for the results and fetches them, one for each position.
    pub(super) fn read(&self) -> Result<Vec<Seen>, Exception> {
        let shape = self.array().shape();
        let width = shape.last().copied().unwrap_or(1);
        let width = usize::try_from(width).unwrap_or(1).max(1);
        let numbers = to_vec(self.array())?;
        Ok(match self {
            Self::Drawn { .. } => {
                let (tokens, sums) = numbers.split_at(numbers.len() / 2);
                let pairs = tokens.iter().zip(sums);
                // A float that came from a 32-bit token below 2^24.
                pairs.map(|(&t, &l)| Seen::Token(t as u32, l)).collect()
            }
            Self::Values(_) => {
                let rows = numbers.chunks_exact(width);
                rows.map(|row| Seen::Values(row.to_vec())).collect()
            }
        })
    }
}

/// An array's floats on the host.
pub(super) fn to_vec(array: &Array) -> Result<Vec<f32>, Exception> {
    let read = array.to_vec_exact::<f32>();
    read.map_err(|error| Exception::custom(format!("a result cannot be read: {error}")))
}
