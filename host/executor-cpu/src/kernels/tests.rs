//! Element-wise kernels and attention against naive `f64` oracles, on every instruction set.

use super::*;
use crate::kernels::attention::{MAX_QUERIES, Query};
use crate::simd::{LANES, Simd};
use proptest::prelude::*;

fn exp16<S: Simd>(x: &[f32; LANES]) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    // SAFETY: called with the portable set only, and arrays of 16.
    unsafe { S::store(out.as_mut_ptr(), S::exp(S::load(x.as_ptr()))) };
    out
}

#[test]
fn exponentials_are_accurate_and_end_in_exact_zero() {
    let mut worst = 0.0_f64;
    for i in 0..20_000 {
        let x = -87.0 + i as f32 * (175.0 / 20_000.0);
        let y = exp16::<Portable>(&[x; LANES])[0];
        let expected = f64::from(x).exp();
        worst = worst.max((f64::from(y) - expected).abs() / expected);
    }
    assert!(worst < 4e-7, "{worst}");
    let mut x = [0.0; LANES];
    x[0] = f32::NEG_INFINITY;
    x[1] = -100.0;
    x[2] = f32::NAN;
    x[3] = f32::INFINITY;
    let y = exp16::<Portable>(&x);
    assert_eq!((y[0], y[1], y[4]), (0.0, 0.0, 1.0));
    assert!(y[2].is_nan() && y[3] > 1e38);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn norms_match_the_oracle(x in prop::collection::vec(-9.0_f32..9.0, 1..100), epsilon in 1e-6_f32..1e-2) {
        let weight: Vec<f32> = (0..x.len()).map(|i| 0.5 + i as f32 * 0.01).collect();
        let mean: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / x.len() as f64;
        for kernels in Kernels::available() {
            let mut out = vec![0.0; x.len()];
            let task = NormTask {
                x: x.as_ptr(),
                weight: weight.as_ptr(),
                out: out.as_mut_ptr(),
                size: x.len(),
                epsilon,
            };
            // SAFETY: all have `size` elements.
            unsafe { (kernels.rms_norm)(&task) };
            for ((y, x), w) in out.iter().zip(&x).zip(&weight) {
                let expected = f64::from(*x) / (mean + f64::from(epsilon)).sqrt() * f64::from(*w);
                prop_assert!((f64::from(*y) - expected).abs() <= expected.abs() * 1e-5 + 1e-7);
            }
        }
    }

    #[test]
    fn activations_match_the_oracle(gate in prop::collection::vec(-100.0_f32..100.0, 1..70)) {
        let up: Vec<f32> = gate.iter().map(|x| 1.0 - x * 0.3).collect();
        for kernels in Kernels::available() {
            let mut out = gate.clone();
            let task = SiluTask { gate: out.as_mut_ptr(), up: up.as_ptr(), size: out.len() };
            // SAFETY: both have `size` elements.
            unsafe { (kernels.silu_mul)(&task) };
            for ((y, g), u) in out.iter().zip(&gate).zip(&up) {
                let expected = f64::from(*g) / (1.0 + f64::from(-g).exp()) * f64::from(*u);
                prop_assert!((f64::from(*y) - expected).abs() <= expected.abs() * 1e-5 + 1e-6);
            }
        }
    }
}

/// One head's pages with random contents, in shuffled order.
struct Pages {
    head_dim: usize,
    block_size: usize,
    table: Vec<u32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Pages {
    fn new(head_dim: usize, block_size: usize, blocks: usize, seed: u64) -> Self {
        let mut state = seed | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        let stride = head_dim.next_multiple_of(LANES);
        Self {
            head_dim,
            block_size,
            table: (0..blocks as u32).rev().collect(),
            keys: (0..blocks * block_size * head_dim)
                .map(|_| next())
                .collect(),
            values: (0..blocks * block_size * stride).map(|_| next()).collect(),
        }
    }

    fn page(&self, position: usize) -> (usize, usize) {
        let page = self.table[position / self.block_size] as usize;
        (page, position % self.block_size)
    }

    fn key(&self, position: usize, d: usize) -> f64 {
        let (page, slot) = self.page(position);
        f64::from(self.keys[(page * self.head_dim + d) * self.block_size + slot])
    }

    fn value(&self, position: usize, d: usize) -> f64 {
        let (page, slot) = self.page(position);
        let stride = self.head_dim.next_multiple_of(LANES);
        f64::from(self.values[(page * self.block_size + slot) * stride + d])
    }

    fn expected(&self, q: &[f32], begin: usize, end: usize) -> Vec<f64> {
        let scores: Vec<f64> = (begin..end)
            .map(|p| {
                (0..self.head_dim)
                    .map(|d| f64::from(q[d]) * self.key(p, d))
                    .sum()
            })
            .collect();
        let largest = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        (0..self.head_dim)
            .map(|d| {
                let mixed: f64 = (begin..end)
                    .zip(&weights)
                    .map(|(p, w)| w * self.value(p, d))
                    .sum();
                mixed / sum
            })
            .collect()
    }

    /// Runs queries of these ranges together.
    fn run(&self, kernels: &Kernels, q: &[f32], ranges: &[(usize, usize)]) -> Vec<f32> {
        let d = self.head_dim;
        let stride = d.next_multiple_of(LANES);
        let mut out = vec![f32::NAN; ranges.len() * d];
        let mut queries = [Query {
            q: std::ptr::null(),
            out: std::ptr::null_mut(),
            begin: 0,
            end: 0,
        }; MAX_QUERIES];
        for (i, (query, &(begin, end))) in queries.iter_mut().zip(ranges).enumerate() {
            *query = Query {
                q: q[i * d..].as_ptr(),
                out: out[i * d..].as_mut_ptr(),
                begin,
                end,
            };
        }
        let longest = self.table.len() * self.block_size;
        let mut scores = vec![0.0; MAX_QUERIES * longest];
        let mut packed = vec![0.0; MAX_QUERIES * d];
        let task = AttentionTask {
            queries,
            count: ranges.len(),
            head_dim: d,
            value_stride: stride,
            block_size: self.block_size,
            table: self.table.as_ptr(),
            keys: self.keys.as_ptr().cast(),
            values: self.values.as_ptr().cast(),
            key_page: d * self.block_size,
            value_page: stride * self.block_size,
            scores: scores.as_mut_ptr(),
            packed: packed.as_mut_ptr(),
        };
        // SAFETY: the buffers above have the sizes the task names.
        unsafe { (kernels.attention.get(FloatType::F32))(&task) };
        out
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn attention_matches_the_oracle_and_ignores_its_neighbours(
        head_dim in prop_oneof![Just(8_usize), Just(16), Just(24), Just(32), Just(64), Just(80)],
        block_size in prop_oneof![Just(16_usize), Just(48)],
        ranges in prop::collection::vec((0_usize..90, 1_usize..60), 1..=MAX_QUERIES),
        seed: u64,
    ) {
        let pages = Pages::new(head_dim, block_size, 150_usize.div_ceil(block_size), seed);
        let ranges: Vec<_> = ranges.into_iter().map(|(begin, len)| (begin, begin + len)).collect();
        let q: Vec<f32> = (0..ranges.len() * head_dim).map(|i| (i as f32 * 0.7).sin()).collect();
        for kernels in Kernels::available() {
            let out = pages.run(&kernels, &q, &ranges);
            for (i, &range) in ranges.iter().enumerate() {
                let q = &q[i * head_dim..(i + 1) * head_dim];
                let out = &out[i * head_dim..(i + 1) * head_dim];
                let alone = pages.run(&kernels, q, &[range]);
                let expected = pages.expected(q, range.0, range.1);
                for d in 0..head_dim {
                    prop_assert!((f64::from(out[d]) - expected[d]).abs() < 1e-5, "{}", kernels.name);
                    prop_assert_eq!(out[d].to_bits(), alone[d].to_bits(), "{}", kernels.name);
                }
            }
        }
    }
}
