//! [`SamplingParams`]: what shapes one sequence's draws, and the ranges it must keep.

use crate::executor::TokenId;

/// Most alternatives a request may ask for per token. Each costs a partial selection over the
/// vocabulary and travels with every token; public APIs allow 5 to 20.
pub const MAX_LOGPROBS: u32 = 128;

/// Largest magnitude of a finite logit bias. Far above the differences real logits have (about
/// 100), far below where adding it in f32 would lose the logit.
pub const MAX_LOGIT_BIAS: f32 = 1000.0;

/// Everything that shapes one sequence's draws. Validated once by [`SamplingParams::validate`];
/// executors may rely on it.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; 0 means greedy (ties go to the lowest id). Range 0 to 100.
    pub temperature: f32,
    /// Keep only the `k` most likely tokens; `None` keeps all.
    pub top_k: Option<u32>,
    /// Nucleus sampling (Holtzman et al. 2020): keep the smallest set whose mass reaches `top_p`.
    /// In (0, 1]; 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than `min_p` times the most likely one. In [0, 1]; 0 keeps all.
    pub min_p: f32,
    /// CTRL's penalty (Keskar et al. 2019) on tokens of prompt and answer: positive logits are
    /// divided by it, negative ones multiplied. 1 is off. Range (0, 100].
    pub repetition_penalty: f32,
    /// How far back `repetition_penalty` looks, in tokens; `None` looks at everything.
    pub repeat_last_n: Option<usize>,
    /// Subtracted once from tokens the answer already has. Range -100 to 100; 0 is off.
    pub presence_penalty: f32,
    /// Subtracted per occurrence in the answer so far. Range -100 to 100; 0 is off.
    pub frequency_penalty: f32,
    /// Added to single logits; `-inf` forbids a token. Sorted by token, no duplicates.
    pub logit_bias: Vec<(TokenId, f32)>,
    /// Seed of the counter-based generator.
    pub seed: u64,
    /// Report the drawn token's log probability and this many alternatives; `None` reports nothing.
    pub logprobs: Option<u32>,
}

impl Default for SamplingParams {
    /// Plain sampling from the model's distribution, seed 0.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repeat_last_n: None,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
            logprobs: None,
        }
    }
}

/// Why sampling parameters were refused. Every variant names the parameter.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// A number outside its range (or NaN).
    #[error("{parameter} is {value}, but must be {allowed}")]
    OutOfRange {
        /// The field's name.
        parameter: &'static str,
        /// What was given.
        value: f64,
        /// The range, in words.
        allowed: &'static str,
    },
    /// A biased token is not in the vocabulary.
    #[error("logit_bias names token {token}, but the vocabulary has {vocab_size} tokens")]
    BiasToken {
        /// The token.
        token: TokenId,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// The bias list is not sorted by token, or has a token twice.
    #[error("logit_bias must be sorted by token without duplicates (at token {token})")]
    BiasOrder {
        /// The first token out of order.
        token: TokenId,
    },
}

impl SamplingError {
    /// The parameter at fault, as named in [`SamplingParams`].
    #[must_use]
    pub fn parameter(&self) -> &'static str {
        match self {
            Self::OutOfRange { parameter, .. } => parameter,
            Self::BiasToken { .. } | Self::BiasOrder { .. } => "logit_bias",
        }
    }
}

impl SamplingParams {
    /// Whether penalties or the bias may change a logit ([`adjustments`](Self::adjustments)).
    #[must_use]
    pub fn adjusts(&self) -> bool {
        self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
            || !self.logit_bias.is_empty()
    }

    /// The uniform number in [0, 1) that chooses the token at `position` (the number of tokens before
    /// it). It depends on nothing else than the seed, so it is known before those tokens are.
    #[must_use]
    pub fn uniform(&self, position: usize) -> f64 {
        super::random::uniform(self.seed, position as u64)
    }

    /// Checks every range against a vocabulary of `vocab_size` tokens.
    ///
    /// # Errors
    /// The first parameter that is out of its range, named.
    pub fn validate(&self, vocab_size: usize) -> Result<(), SamplingError> {
        let check = |parameter, value: f32, inside: bool, allowed| {
            if inside {
                Ok(())
            } else {
                Err(SamplingError::OutOfRange {
                    parameter,
                    value: f64::from(value),
                    allowed,
                })
            }
        };
        let Self {
            temperature,
            top_p,
            min_p,
            repetition_penalty,
            ..
        } = *self;
        let Self {
            presence_penalty,
            frequency_penalty,
            ..
        } = *self;
        // Comparisons with NaN are false, so NaN is outside every range.
        check(
            "temperature",
            temperature,
            (0.0..=100.0).contains(&temperature),
            "from 0 to 100",
        )?;
        check(
            "top_p",
            top_p,
            top_p > 0.0 && top_p <= 1.0,
            "above 0 and at most 1",
        )?;
        check("min_p", min_p, (0.0..=1.0).contains(&min_p), "from 0 to 1")?;
        check(
            "repetition_penalty",
            repetition_penalty,
            repetition_penalty > 0.0 && repetition_penalty <= 100.0,
            "above 0 and at most 100",
        )?;
        let penalty_range = -100.0..=100.0;
        check(
            "presence_penalty",
            presence_penalty,
            penalty_range.contains(&presence_penalty),
            "from -100 to 100",
        )?;
        check(
            "frequency_penalty",
            frequency_penalty,
            penalty_range.contains(&frequency_penalty),
            "from -100 to 100",
        )?;
        if self.top_k == Some(0) {
            return Err(SamplingError::OutOfRange {
                parameter: "top_k",
                value: 0.0,
                allowed: "at least 1",
            });
        }
        if let Some(count) = self.logprobs
            && count > MAX_LOGPROBS
        {
            let value = f64::from(count);
            return Err(SamplingError::OutOfRange {
                parameter: "logprobs",
                value,
                allowed: "at most 128",
            });
        }
        self.validate_bias(vocab_size)
    }

    fn validate_bias(&self, vocab_size: usize) -> Result<(), SamplingError> {
        let mut previous = None;
        for &(token, bias) in &self.logit_bias {
            if token as usize >= vocab_size {
                return Err(SamplingError::BiasToken { token, vocab_size });
            }
            if previous.is_some_and(|previous| previous >= token) {
                return Err(SamplingError::BiasOrder { token });
            }
            previous = Some(token);
            let allowed = bias == f32::NEG_INFINITY || bias.abs() <= MAX_LOGIT_BIAS;
            if !allowed {
                return Err(SamplingError::OutOfRange {
                    parameter: "logit_bias",
                    value: f64::from(bias),
                    allowed: "from -1000 to 1000, or -inf",
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(SamplingParams::default().validate(1), Ok(()));
    }

    #[test]
    fn each_refusal_names_its_parameter() {
        let base = SamplingParams::default;
        let cases = [
            (
                SamplingParams {
                    temperature: -0.1,
                    ..base()
                },
                "temperature",
            ),
            (
                SamplingParams {
                    temperature: f32::NAN,
                    ..base()
                },
                "temperature",
            ),
            (
                SamplingParams {
                    temperature: f32::INFINITY,
                    ..base()
                },
                "temperature",
            ),
            (
                SamplingParams {
                    top_k: Some(0),
                    ..base()
                },
                "top_k",
            ),
            (
                SamplingParams {
                    top_p: 0.0,
                    ..base()
                },
                "top_p",
            ),
            (
                SamplingParams {
                    top_p: 1.1,
                    ..base()
                },
                "top_p",
            ),
            (
                SamplingParams {
                    top_p: f32::NAN,
                    ..base()
                },
                "top_p",
            ),
            (
                SamplingParams {
                    min_p: -0.5,
                    ..base()
                },
                "min_p",
            ),
            (
                SamplingParams {
                    repetition_penalty: 0.0,
                    ..base()
                },
                "repetition_penalty",
            ),
            (
                SamplingParams {
                    repetition_penalty: f32::NAN,
                    ..base()
                },
                "repetition_penalty",
            ),
            (
                SamplingParams {
                    presence_penalty: 101.0,
                    ..base()
                },
                "presence_penalty",
            ),
            (
                SamplingParams {
                    frequency_penalty: f32::NEG_INFINITY,
                    ..base()
                },
                "frequency_penalty",
            ),
            (
                SamplingParams {
                    logprobs: Some(129),
                    ..base()
                },
                "logprobs",
            ),
            (
                SamplingParams {
                    logit_bias: vec![(9, 1.0)],
                    ..base()
                },
                "logit_bias",
            ),
            (
                SamplingParams {
                    logit_bias: vec![(2, 1.0), (2, 1.0)],
                    ..base()
                },
                "logit_bias",
            ),
            (
                SamplingParams {
                    logit_bias: vec![(2, 1.0), (1, 1.0)],
                    ..base()
                },
                "logit_bias",
            ),
            (
                SamplingParams {
                    logit_bias: vec![(2, f32::INFINITY)],
                    ..base()
                },
                "logit_bias",
            ),
            (
                SamplingParams {
                    logit_bias: vec![(2, f32::NAN)],
                    ..base()
                },
                "logit_bias",
            ),
        ];
        for (params, parameter) in cases {
            let error = params.validate(9).unwrap_err();
            assert_eq!(error.parameter(), parameter, "{error}");
            assert!(error.to_string().contains(parameter), "{error}");
        }
        let forbids = SamplingParams {
            logit_bias: vec![(2, f32::NEG_INFINITY)],
            ..base()
        };
        assert_eq!(forbids.validate(9), Ok(()));
    }
}
