//! Products against a naive `f64` oracle, for every instruction set of this machine.

use super::*;
use crate::load::{AffineSource, pack};
use atoll_engine::model::Quantization;
use proptest::prelude::*;

/// Deterministic numbers in -1..1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn many(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn bytes(float: FloatType, values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|&x| match float {
            FloatType::F32 => x.to_le_bytes().to_vec(),
            FloatType::F16 => f16::from_f32(x).to_le_bytes().to_vec(),
            FloatType::Bf16 => bf16::from_f32(x).to_le_bytes().to_vec(),
        })
        .collect()
}

/// A matrix with what its numbers are exactly, row-major.
struct Known {
    linear: Linear,
    exact: Vec<f64>,
}

fn dense(n: usize, k: usize, float: FloatType, seed: u64) -> Known {
    let mut numbers = Numbers(seed);
    let data = bytes(float, &numbers.many(n * k));
    // One byte in front: kernels must not assume alignment.
    let mut buffer = Buffer::zeroed(data.len() + 1).unwrap();
    buffer.as_mut_slice()[1..].copy_from_slice(&data);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), buffer.as_slice()).unwrap();
    let map = crate::memory::FileMap::open(file.path()).unwrap();
    let exact = (0..n * k)
        .map(|i| f64::from(read_float(&data, float, i)))
        .collect();
    let weights = Weights::Dense {
        bytes: map.slice(1..data.len() + 1).unwrap(),
        float,
    };
    Known {
        linear: linear(n, k, weights, &mut numbers),
        exact,
    }
}

fn affine(n: usize, k: usize, format: Quantization, float: FloatType, seed: u64) -> Known {
    let mut numbers = Numbers(seed);
    let Quantization { bits, group_size } = format;
    let (row_words, groups) = (k * bits as usize / 32, k / group_size);
    let words: Vec<u8> = (0..n * row_words)
        .flat_map(|_| ((numbers.next().to_bits() << 9) ^ numbers.next().to_bits()).to_le_bytes())
        .collect();
    let scales = bytes(float, &numbers.many(n * groups));
    let biases = bytes(float, &numbers.many(n * groups));
    let mut exact = Vec::new();
    for row in 0..n {
        for column in 0..k {
            let per_word = 32 / bits as usize;
            let at = (row * row_words + column / per_word) * 4;
            let word = u32::from_le_bytes(words[at..at + 4].try_into().unwrap());
            let q = (word >> (bits as usize * (column % per_word))) & ((1 << bits) - 1);
            let group = row * groups + column / group_size;
            let scale = f64::from(read_float(&scales, float, group));
            let bias = f64::from(read_float(&biases, float, group));
            exact.push(scale * f64::from(q) + bias);
        }
    }
    let source = AffineSource {
        n,
        k,
        format,
        float,
        words: &words,
        scales: &scales,
        biases: &biases,
    };
    let weights = pack(&source, &mut Pool::new(2).unwrap()).unwrap();
    Known {
        linear: linear(n, k, weights, &mut numbers),
        exact,
    }
}

fn linear(n: usize, k: usize, weights: Weights, numbers: &mut Numbers) -> Linear {
    let bias = (numbers.next() > 0.0).then(|| numbers.many(n));
    Linear {
        n,
        k,
        bias,
        weights,
    }
}

fn project(compute: &mut Compute, linear: &Linear, x: &[f32], start: &[f32]) -> Vec<f32> {
    let mut out = start.to_vec();
    let target = Target {
        linear,
        out: Shared::new(&mut out),
        column: 0,
        stride: linear.n,
        accumulate: true,
    };
    compute.project(x, x.len() / linear.k, &[target]);
    out
}

/// Every instruction set: close to the oracle, and each row the same bits as alone.
fn check(known: &Known, rows: usize, threads: usize, seed: u64) -> Result<(), TestCaseError> {
    let linear = &known.linear;
    let (n, k) = (linear.n, linear.k);
    let mut numbers = Numbers(seed ^ 0x5eed);
    let x = numbers.many(rows * k);
    let start = numbers.many(rows * n);
    for kernels in Kernels::available() {
        let mut compute = Compute::new(Pool::new(threads).unwrap(), kernels, rows * k);
        let out = project(&mut compute, linear, &x, &start);
        for row in 0..rows {
            let x = &x[row * k..(row + 1) * k];
            let start = &start[row * n..(row + 1) * n];
            let alone = project(&mut compute, linear, x, start);
            for column in 0..n {
                let weights = &known.exact[column * k..(column + 1) * k];
                let products = || x.iter().zip(weights).map(|(&x, w)| f64::from(x) * w);
                let bias = linear.bias.as_ref().map_or(0.0, |b| f64::from(b[column]));
                let expected = products().sum::<f64>() + f64::from(start[column]) + bias;
                let magnitude = products().map(f64::abs).sum::<f64>() + 2.0;
                let step = match &linear.weights {
                    Weights::Dense { .. } => 0.0,
                    // Half a step of the group's largest activation, at most 1, per weight.
                    Weights::Affine { group, .. } => weights
                        .chunks(*group)
                        .zip(x.chunks(*group))
                        .map(|(w, x)| {
                            let largest = x.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                            let sum: f64 = w.iter().map(|w| w.abs()).sum();
                            sum * f64::from(largest) / 32767.0 * 0.51
                        })
                        .sum(),
                };
                // Cancellation between scale and bias terms of up to 255 times the weight.
                let rounding = if step > 0.0 { 2e-4 } else { 1e-5 };
                let actual = out[row * n + column];
                let error = (f64::from(actual) - expected).abs();
                prop_assert!(
                    error <= step + rounding * magnitude,
                    "{} row {row} column {column}: {actual} instead of {expected}",
                    kernels.name
                );
                prop_assert_eq!(
                    actual.to_bits(),
                    alone[column].to_bits(),
                    "{}",
                    kernels.name
                );
            }
        }
    }
    Ok(())
}

fn floats() -> impl Strategy<Value = FloatType> {
    prop_oneof![
        Just(FloatType::F32),
        Just(FloatType::F16),
        Just(FloatType::Bf16)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn dense_products_match_the_oracle(
        (n, k, rows, threads) in (1_usize..40, 1_usize..90, 1_usize..20, 1_usize..4),
        float in floats(),
        seed: u64,
    ) {
        check(&dense(n, k, float, seed), rows, threads, seed)?;
    }

    #[test]
    fn affine_products_match_the_oracle(
        (n, groups, rows, threads) in (1_usize..40, 1_usize..4, 1_usize..20, 1_usize..4),
        bits in prop_oneof![Just(4_u32), Just(8)],
        group_size in prop_oneof![Just(32_usize), Just(64), Just(128)],
        float in floats(),
        seed: u64,
    ) {
        let format = Quantization { bits, group_size };
        let known = affine(n, groups * group_size, format, float, seed);
        check(&known, rows, threads, seed)?;
    }
}

#[test]
fn the_largest_magnitudes_do_not_overflow() {
    // All weights 255, all activations equal: the integer sum is 128 * 255 * 32767.
    let (n, k) = (16, 128);
    let words = vec![0xff_u8; n * k];
    let ones = bytes(FloatType::F32, &vec![1.0; n]);
    let zeros = bytes(FloatType::F32, &vec![0.0; n]);
    let source = AffineSource {
        n,
        k,
        format: Quantization {
            bits: 8,
            group_size: 128,
        },
        float: FloatType::F32,
        words: &words,
        scales: &ones,
        biases: &zeros,
    };
    let weights = pack(&source, &mut Pool::new(1).unwrap()).unwrap();
    let linear = Linear {
        n,
        k,
        bias: None,
        weights,
    };
    for kernels in Kernels::available() {
        let mut compute = Compute::new(Pool::new(1).unwrap(), kernels, 9 * k);
        for x in [3.0_f32, -3.0] {
            let out = project(&mut compute, &linear, &vec![x; 9 * k], &vec![0.0; 9 * n]);
            for y in out {
                let expected = x * 255.0 * 128.0;
                assert!(
                    (y - expected).abs() <= expected.abs() * 1e-6,
                    "{}",
                    kernels.name
                );
            }
        }
    }
}

#[test]
fn broken_activations_stay_visible_and_tiny_ones_are_zero() {
    let format = Quantization {
        bits: 4,
        group_size: 32,
    };
    let mut known = affine(16, 64, format, FloatType::F32, 7);
    known.linear.bias = None;
    for kernels in Kernels::available() {
        let mut compute = Compute::new(Pool::new(1).unwrap(), kernels, 64);
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![0.5; 64];
            x[40] = broken;
            let out = project(&mut compute, &known.linear, &x, &[0.0; 16]);
            assert!(out.iter().all(|y| y.is_nan()), "{}", kernels.name);
        }
        let out = project(&mut compute, &known.linear, &[1e-38; 64], &[0.0; 16]);
        assert!(out.iter().all(|&y| y == 0.0), "{}", kernels.name);
    }
}

#[test]
fn embeddings_are_the_matrix_rows() {
    let format = Quantization {
        bits: 8,
        group_size: 64,
    };
    for known in [
        affine(21, 128, format, FloatType::F16, 3),
        dense(21, 70, FloatType::Bf16, 4),
    ] {
        let k = known.linear.k;
        let mut row = vec![0.0; k];
        for index in 0..21 {
            known.linear.row(index, &mut row);
            for (a, b) in row.iter().zip(&known.exact[index * k..]) {
                assert!((f64::from(*a) - b).abs() <= b.abs().max(1.0) * 3e-5);
            }
        }
    }
}

#[test]
fn a_gated_pair_is_silu_times_up() {
    let format = Quantization {
        bits: 8,
        group_size: 32,
    };
    let quantized = || affine(37, 64, format, FloatType::F32, 5).linear;
    let plain = || dense(37, 64, FloatType::F32, 6).linear;
    for (gate, up) in [
        (quantized(), quantized()),
        (plain(), plain()),
        (plain(), quantized()),
    ] {
        let rows = 5;
        let x = Numbers(9).many(rows * 64);
        for kernels in Kernels::available() {
            let mut compute = Compute::new(Pool::new(2).unwrap(), kernels, rows * 64);
            let zeros = vec![0.0; rows * 37];
            let g = project(&mut compute, &gate, &x, &zeros);
            let u = project(&mut compute, &up, &x, &zeros);
            let (mut a, mut b) = (zeros.clone(), zeros.clone());
            let part = |linear, out| Target {
                linear,
                out,
                column: 0,
                stride: 37,
                accumulate: false,
            };
            let target = part(&gate, Shared::new(&mut a));
            compute.gated(&x, rows, target, part(&up, Shared::new(&mut b)));
            for ((y, g), u) in a.iter().zip(&g).zip(&u) {
                let expected = f64::from(*g) / (1.0 + f64::from(-g).exp()) * f64::from(*u);
                let error = (f64::from(*y) - expected).abs();
                assert!(error <= expected.abs() * 1e-5 + 1e-6, "{}", kernels.name);
            }
        }
    }
}
