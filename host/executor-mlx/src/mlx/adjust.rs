//! Penalties and bias on the device: the few logits that change before a draw.
//!
//! Which they are and how they change is the engine's rule ([`SamplingParams::adjustments`]); here it is
//! the same arithmetic, in the same order, on the logits' own device. A step that begins ahead draws
//! after a token that only the device knows; what that token adds is worked out there too.
//!
//! [`SamplingParams::adjustments`]: atoll_engine::sampling::SamplingParams::adjustments

use atoll_engine::sampling::{Adjustment, Adjustments, SamplingParams};
use mlx_rs::error::Exception;
use mlx_rs::ops::{concatenate, minimum, select};
use mlx_rs::{Array, Dtype};

use super::attention::index;
use super::draw::{Pick, column};

/// Adjustments of a row are filled up to a multiple of this, so that buffers are of few sizes.
const ROUND: usize = 64;

/// The logits `[rows, vocabulary]` after penalties and bias, in f32; nothing if no pick has any. `last`
/// holds each row's newest token, `[rows]`, where the picks do not know it.
pub(super) fn adjusted(
    logits: &Array,
    picks: &[Pick<'_>],
    last: Option<&Array>,
) -> Result<Option<Array>, Exception> {
    if !picks.iter().any(|pick| pick.sampling.adjusts()) {
        return Ok(None);
    }
    let vocabulary = logits.dim(-1);
    let logits = logits.as_dtype(Dtype::Float32)?;
    let adjustments: Vec<Adjustments> = picks
        .iter()
        .map(|pick| pick.adjustments(vocabulary, last.is_some()))
        .collect();
    let rules = Rules::new(picks)?;
    let known = Table::new(&adjustments)?;
    let Some(last) = last else {
        let values = rules.apply(
            &logits.take_along_axis(&known.tokens, -1)?,
            &known.repeated,
            &known.counts,
            Some(&known.biases),
        )?;
        return Ok(Some(logits.put_along_axis(&known.tokens, values, -1)?));
    };

    let last = last.as_dtype(Dtype::Int32)?.reshape(&[-1, 1])?;
    let unknown = |of: &dyn Fn(&Adjustment) -> f32| {
        let numbers = adjustments
            .iter()
            .map(|row| row.unknown.as_ref().map_or(0.0, of));
        let numbers: Vec<f32> = numbers.collect();
        Ok::<_, Exception>(Array::from_slice(&numbers, &[index(numbers.len())?, 1]))
    };
    let repeated = unknown(&|token| f32::from(token.repeated))?.gt(Array::from_f32(0.0))?;
    let count = unknown(&|token| token.count as f32)?;
    // Where the last token was there before, its adjustment grows; else it has one of its own.
    let again = known.tokens.eq(&last)?;
    let none = Array::from_f32(0.0);
    let values = rules.apply(
        &logits.take_along_axis(&known.tokens, -1)?,
        &known.repeated.logical_or(again.logical_and(&repeated)?)?,
        &known.counts.add(select(&again, &count, none)?)?,
        Some(&known.biases),
    )?;
    let new = rules.apply(&logits.take_along_axis(&last, -1)?, &repeated, &count, None)?;
    let grown = select(&again, &values, Array::from_f32(f32::NEG_INFINITY))?;
    let own = select(again.any_axis(-1, true)?, grown.max_axis(-1, true)?, new)?;
    let tokens = concatenate(&[known.tokens, last], 1)?;
    let values = concatenate(&[values, own], 1)?;
    Ok(Some(logits.put_along_axis(tokens, values, -1)?))
}

/// Adjustments of all rows, `[rows, most]` each. A shorter row is filled with its first one again: to
/// write the same value twice changes nothing.
struct Table {
    tokens: Array,
    repeated: Array,
    counts: Array,
    biases: Array,
}

impl Table {
    fn new(rows: &[Adjustments]) -> Result<Self, Exception> {
        let most = rows.iter().map(|row| row.tokens.len()).max().unwrap_or(0);
        let most = most.max(1).next_multiple_of(ROUND);
        // Of a row without any.
        let nothing = Adjustment {
            token: 0,
            repeated: false,
            count: 0,
            bias: 0.0,
        };
        let filled: Vec<Adjustment> = rows
            .iter()
            .flat_map(|row| {
                let first = row.tokens.first().copied().unwrap_or(nothing);
                let filling = std::iter::repeat_n(first, most - row.tokens.len());
                row.tokens.iter().copied().chain(filling)
            })
            .collect();
        let shape = [index(rows.len())?, index(most)?];
        let tokens = filled.iter().map(|a| index(a.token as usize));
        let tokens: Vec<i32> = tokens.collect::<Result<_, _>>()?;
        let floats = |of: &dyn Fn(&Adjustment) -> f32| {
            let floats: Vec<f32> = filled.iter().map(of).collect();
            Array::from_slice(&floats, &shape)
        };
        Ok(Self {
            tokens: Array::from_slice(&tokens, &shape),
            repeated: floats(&|a| f32::from(a.repeated)).gt(Array::from_f32(0.0))?,
            counts: floats(&|a| a.count as f32),
            biases: floats(&|a| a.bias),
        })
    }
}

/// Penalties of each row, `[rows, 1]`.
struct Rules {
    repetition: Array,
    presence: Array,
    frequency: Array,
}

impl Rules {
    fn new(picks: &[Pick<'_>]) -> Result<Self, Exception> {
        let of = |number: fn(&SamplingParams) -> f32| column(picks, |pick| number(pick.sampling));
        Ok(Self {
            repetition: of(|sampling| sampling.repetition_penalty)?,
            presence: of(|sampling| sampling.presence_penalty)?,
            frequency: of(|sampling| sampling.frequency_penalty)?,
        })
    }

    /// Some logits of each row after their adjustments, as the engine's sampler makes them. An overflow
    /// stays at the largest finite number.
    fn apply(
        &self,
        logits: &Array,
        repeated: &Array,
        counts: &Array,
        biases: Option<&Array>,
    ) -> Result<Array, Exception> {
        let (zero, most) = (Array::from_f32(0.0), Array::from_f32(f32::MAX));
        let smaller = logits.divide(&self.repetition)?;
        let larger = logits.multiply(&self.repetition)?;
        let penalised = minimum(select(logits.gt(&zero)?, smaller, larger)?, &most)?;
        let values = select(repeated, penalised, logits)?;
        let penalty = self.presence.add(self.frequency.multiply(counts)?)?;
        let values = values.subtract(select(counts.gt(&zero)?, penalty, zero)?)?;
        match biases {
            Some(biases) => minimum(values.add(biases)?, most),
            None => minimum(values, most),
        }
    }
}
