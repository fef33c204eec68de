//! The counter-based generator: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011).
//!
//! A draw is a pure function of (seed, position), so a draw has no state to ship, to checkpoint or
//! to lose: any machine draws the same number for the same token of the same request.
//!
//! Counter layout: words 0 and 1 are the position (or the choice), word 3 is the purpose, so that
//! numbers drawn for one purpose never repeat in another.

/// Numbers that choose a token.
const PURPOSE_DRAW: u32 = 0;
/// Numbers that become the seed of another choice.
const PURPOSE_SEED: u32 = 1;

/// Ten rounds of Philox over a counter of four words with a key of two.
fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIER_0: u64 = 0xD251_1F53;
    const MULTIPLIER_1: u64 = 0xCD9E_8D57;
    const WEYL_0: u32 = 0x9E37_79B9;
    const WEYL_1: u32 = 0xBB67_AE85;
    for _ in 0..10 {
        let product_0 = MULTIPLIER_0 * u64::from(counter[0]);
        let product_1 = MULTIPLIER_1 * u64::from(counter[2]);
        counter = [
            (product_1 >> 32) as u32 ^ counter[1] ^ key[0],
            product_1 as u32,
            (product_0 >> 32) as u32 ^ counter[3] ^ key[1],
            product_0 as u32,
        ];
        key = [key[0].wrapping_add(WEYL_0), key[1].wrapping_add(WEYL_1)];
    }
    counter
}

fn words(seed: u64, counter: u64, purpose: u32) -> [u32; 4] {
    philox4x32(
        [counter as u32, (counter >> 32) as u32, 0, purpose],
        [seed as u32, (seed >> 32) as u32],
    )
}

/// The uniform number in [0, 1) that chooses the token at `position`, with 53 random bits.
pub(super) fn uniform(seed: u64, position: u64) -> f64 {
    let [low, high, ..] = words(seed, position, PURPOSE_DRAW);
    let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
    bits as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// The seed of choice `choice` of a request with seed `seed`.
///
/// Choice 0 uses `seed` itself, so that asking for one choice and asking for several give the same
/// first answer.
#[must_use]
pub fn derive_seed(seed: u64, choice: u32) -> u64 {
    if choice == 0 {
        return seed;
    }
    let [low, high, ..] = words(seed, u64::from(choice), PURPOSE_SEED);
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the Random123 library.
    #[test]
    fn philox_matches_the_published_vectors() {
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_is_in_range_and_spreads() {
        let mut buckets = [0_u32; 16];
        for position in 0..16_000 {
            let value = uniform(7, position);
            assert!((0.0..1.0).contains(&value));
            buckets[(value * 16.0) as usize] += 1;
        }
        // 1000 expected per bucket, standard deviation 31: six of them.
        assert!(
            buckets.iter().all(|&count| (814..1186).contains(&count)),
            "{buckets:?}"
        );
    }

    #[test]
    fn choices_have_their_own_seeds_and_the_first_keeps_the_request_s() {
        assert_eq!(derive_seed(42, 0), 42);
        let seeds: std::collections::HashSet<u64> =
            (0..1000).map(|choice| derive_seed(42, choice)).collect();
        assert_eq!(seeds.len(), 1000);
    }
}
