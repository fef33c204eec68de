//! How a token is drawn from logits.
//!
//! Drawing runs inside the executor's last stage, so that only token ids travel; the arithmetic is
//! here so that every executor without a sampler of its own draws the same token. Random numbers
//! are counter-based: they depend on the request's seed and the position alone, so any machine
//! draws the same one, in any batch, after any recovery.

use crate::executor::TokenId;

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
