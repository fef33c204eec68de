//! [`Hidden`]: the residual stream between two stages, the one message whose size matters.

use atoll_engine::executor::{Activations, RowError};
use half::bf16;
use serde::{Deserialize, Serialize};

use super::{RowFault, VERSION, WireError, decode_head};

/// How hidden states travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As they are: the pipeline's tokens equal one machine's.
    #[default]
    F32,
    /// Half the bytes. Answers are as good, but not the same token by token.
    Bf16,
}

impl Precision {
    /// Of one number.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// From one stage to the next: what it made of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Hidden {
    /// The plan it belongs to.
    pub epoch: u64,
    /// The step's number.
    pub step: u64,
    /// The hidden states.
    pub activations: Activations,
}

/// What stands before the numbers.
#[derive(Serialize, Deserialize)]
struct Head {
    epoch: u64,
    step: u64,
    precision: Precision,
    /// How many rows the step has.
    rows: u32,
    /// Those that failed: index, why.
    failed: Vec<(u32, RowFault)>,
    numbers: u64,
}

/// Most rows of a step, far above any executor's: bounds what a frame can make this node allocate.
const MAX_ROWS: u32 = 1 << 16;

impl Hidden {
    /// Its frame.
    ///
    /// # Errors
    /// [`WireError::Malformed`] if there are more rows than a frame can count.
    pub fn encode(&self, precision: Precision) -> Result<Vec<u8>, WireError> {
        let Activations { rows, hidden } = &self.activations;
        let failed = |(index, row): (u32, &Result<(), RowError>)| {
            let error = row.as_ref().err()?;
            Some((index, RowFault::from(error.clone())))
        };
        let head = Head {
            epoch: self.epoch,
            step: self.step,
            precision,
            rows: u32::try_from(rows.len()).map_err(WireError::malformed)?,
            failed: (0..).zip(rows).filter_map(failed).collect(),
            numbers: hidden.len() as u64,
        };
        let mut frame = Vec::with_capacity(64 + hidden.len() * precision.bytes());
        frame.push(VERSION);
        let mut frame = postcard::to_extend(&head, frame).map_err(WireError::malformed)?;
        // In place and in whole numbers, which the compiler makes one copy of; byte by byte it took
        // longer than the network.
        let head = frame.len();
        frame.resize(head + hidden.len() * precision.bytes(), 0);
        let (_, numbers) = frame.split_at_mut(head);
        match precision {
            Precision::F32 => {
                let (slots, _) = numbers.as_chunks_mut::<4>();
                for (slot, number) in slots.iter_mut().zip(hidden) {
                    *slot = number.to_le_bytes();
                }
            }
            Precision::Bf16 => {
                let (slots, _) = numbers.as_chunks_mut::<2>();
                for (slot, &number) in slots.iter_mut().zip(hidden) {
                    *slot = bf16::from_f32(number).to_le_bytes();
                }
            }
        }
        Ok(frame)
    }

    /// What a frame says.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let (head, numbers): (Head, _) = decode_head(frame)?;
        let expected = usize::try_from(head.numbers)
            .ok()
            .and_then(|count| count.checked_mul(head.precision.bytes()));
        if expected != Some(numbers.len()) || head.rows > MAX_ROWS {
            return Err(WireError::Malformed(format!(
                "{} bytes of hidden states for {} numbers of {} rows",
                numbers.len(),
                head.numbers,
                head.rows
            )));
        }
        let mut rows = vec![Ok(()); head.rows as usize];
        for (index, fault) in head.failed {
            let row = rows.get_mut(index as usize);
            let row = row.ok_or_else(|| WireError::malformed("a fault of no row"))?;
            *row = Err(RowError::from(fault));
        }
        let hidden = match head.precision {
            Precision::F32 => {
                let (numbers, _) = numbers.as_chunks::<4>();
                numbers.iter().map(|x| f32::from_le_bytes(*x)).collect()
            }
            Precision::Bf16 => {
                let (numbers, _) = numbers.as_chunks::<2>();
                let number = |x: &[u8; 2]| bf16::from_le_bytes(*x).to_f32();
                numbers.iter().map(number).collect()
            }
        };
        Ok(Self {
            epoch: head.epoch,
            step: head.step,
            activations: Activations { rows, hidden },
        })
    }
}
