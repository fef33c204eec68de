//! Weights of a draw: exponentials, their sum, and the inverse of their running sum.
//!
//! These run over a whole vocabulary for every token, so they are written in blocks that compile to
//! vector code on any machine, and in an order of additions that is the same on every machine.

/// `e^x` for `x <= 0` within 2 units in the last place, the same on every machine: only IEEE
/// additions and multiplications. Below -87 (where f32 would turn subnormal) it is 0.
pub(super) fn exp_nonpositive(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: the first has few bits, so its product with an integer is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let exponent = shifted - ROUND;
    let r = x - exponent * LN_2_HIGH - exponent * LN_2_LOW;
    // Taylor to degree 7: |r| <= ln(2) / 2 leaves an error below 6e-9.
    let mut p = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = p * r + coefficient;
    }
    let integer = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    let value = p * f32::from_bits(integer.wrapping_add(127) << 23);
    // A choice at the end instead of a branch at the start. False for NaN.
    if x >= -87.0 { value } else { 0.0 }
}

/// Independent sums within a block; more than any machine's vector has.
const LANES: usize = 8;
/// Weights per block.
const BLOCK: usize = 512;

/// The sum of `weights`.
pub(super) fn mass(weights: &[f32]) -> f64 {
    weights.chunks(BLOCK).map(block_mass).sum()
}

fn block_mass(block: &[f32]) -> f64 {
    let (chunks, rest) = block.as_chunks::<LANES>();
    let mut sums = [0.0_f64; LANES];
    for chunk in chunks {
        for (sum, &weight) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(weight);
        }
    }
    let rest: f64 = rest.iter().map(|&weight| f64::from(weight)).sum();
    sums.iter().sum::<f64>() + rest
}

/// The index at which the running sum of `weights` passes `uniform` of the total. `None` if no
/// weight is positive.
pub(super) fn invert(weights: &[f32], uniform: f64) -> Option<usize> {
    let goal = uniform * mass(weights);
    let mut sum = 0.0;
    let mut last_possible = None;
    for (number, block) in weights.chunks(BLOCK).enumerate() {
        let first = number * BLOCK;
        let after = sum + block_mass(block);
        if after > goal {
            let mut inside = sum;
            for (index, &weight) in block.iter().enumerate() {
                if weight > 0.0 {
                    inside += f64::from(weight);
                    last_possible = Some(first + index);
                    if inside > goal {
                        return last_possible;
                    }
                }
            }
            // Rounding only: the block's sum in another order passed the goal.
            return last_possible;
        }
        sum = after;
        let last = block.iter().rposition(|&weight| weight > 0.0);
        last_possible = last.map(|index| first + index).or(last_possible);
    }
    last_possible
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Small integers are added exactly in any order, so the blocks must not show.
        #[test]
        fn inversion_equals_a_plain_running_sum(
            weights in prop::collection::vec(0_u8..4, 1..3 * BLOCK), uniform in 0.0_f64..1.0,
        ) {
            let weights: Vec<f32> = weights.into_iter().map(f32::from).collect();
            let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
            prop_assert_eq!(mass(&weights), total);
            let mut sum = 0.0;
            let expected = weights.iter().position(|&weight| {
                sum += f64::from(weight);
                sum > uniform * total
            });
            prop_assert_eq!(invert(&weights, uniform), expected);
        }

        #[test]
        fn what_cannot_be_drawn_is_never_drawn(
            weights in prop::collection::vec(prop_oneof![4 => Just(0.0_f32), 1 => 1e-30_f32..1.0], 1..2 * BLOCK),
            uniform in prop_oneof![Just(0.0), Just(1.0 - f64::EPSILON), 0.0_f64..1.0],
        ) {
            match invert(&weights, uniform) {
                Some(index) => prop_assert!(weights[index] > 0.0),
                None => prop_assert!(weights.iter().all(|&w| w == 0.0)),
            }
        }
    }
}
