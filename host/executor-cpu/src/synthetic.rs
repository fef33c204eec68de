//! Invented weights of a model's exact shapes, for benchmarks: made in the packed layout itself,
//! so that memory holds what a loaded model would hold and nothing more.

use crate::LoadError;
use crate::kernels::FloatType;
use crate::linear::{Linear, Weights, units};
use crate::load::{check_affine, packed_bits};
use crate::memory::{Buffer, Bytes, Shared};
use crate::pool::{Pool, share};
use crate::simd::LANES;
use crate::weights::Tensors;
use atoll_engine::model::{NormSpec, Quantization, WeightSpec};
use half::bf16;

/// Counter-based numbers: a seed, and one stream per tensor. A tensor's stream comes from its name,
/// so that a range of layers has the same weights as the whole model.
pub(crate) struct SyntheticSource<'a> {
    seed: u64,
    /// Of the tensor that is being made.
    stream: u64,
    pool: &'a mut Pool,
}

/// SplitMix64 (Steele, Lea & Flood 2014) at `counter`.
fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in -1..1.
fn uniform(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

impl<'a> SyntheticSource<'a> {
    pub(crate) fn new(seed: u64, pool: &'a mut Pool) -> Self {
        Self {
            seed,
            stream: 0,
            pool,
        }
    }

    /// Begins the tensors of this name.
    fn begin(&mut self, name: &str) {
        let fold = |hash, byte: &u8| mix(hash, u64::from(*byte));
        self.stream = name.as_bytes().iter().fold(self.seed, fold);
    }

    /// Fills `out` in parallel, `T` by `T`.
    fn fill<T: Copy + Send>(&mut self, out: &mut [T], value: impl Fn(u64) -> T + Sync) {
        self.stream = mix(self.stream, 1);
        let seed = self.stream;
        let len = out.len();
        let out = Shared::new(out);
        let threads = self.pool.threads();
        self.pool.run(&|thread| {
            let range = share(len, threads, thread);
            // SAFETY: threads have disjoint ranges.
            let part = unsafe { out.slice(range.clone()) };
            for (i, element) in range.zip(part) {
                *element = value(mix(seed, i as u64));
            }
        });
    }

    fn affine(&mut self, spec: &WeightSpec, format: Quantization) -> Result<Weights, LoadError> {
        check_affine(spec, format)?;
        let (n, k) = (spec.out_features, spec.in_features);
        let group_size = format.group_size;
        // Memory holds what a loaded model's would.
        let bits = packed_bits(format.bits);
        let groups = k / group_size;
        let mut words = Buffer::<u32>::zeroed(units(n) * k * bits as usize / 32 * LANES)?;
        self.fill(words.as_mut_slice(), |bits| bits as u32);
        // Values within 1.7 / sqrt(k) of zero, as a trained matrix has: 2^bits steps, centred.
        let steps = (1_u32 << bits) as f32;
        let scale = 2.0 * 1.7 / (k as f32).sqrt() / steps;
        let mut meta = Buffer::<u8>::zeroed(units(n) * groups * 2 * LANES * 2)?;
        let numbers: &mut [u16] = bytemuck::cast_slice_mut(meta.as_mut_slice());
        for pair in numbers.chunks_exact_mut(2 * LANES) {
            let (scales, biases) = pair.split_at_mut(LANES);
            scales.fill(bf16::from_f32(scale).to_bits());
            biases.fill(bf16::from_f32(-scale * (steps - 1.0) / 2.0).to_bits());
        }
        Ok(Weights::Affine {
            words,
            meta,
            float: FloatType::Bf16,
            bits,
            group: group_size,
        })
    }
}

impl Tensors for SyntheticSource<'_> {
    fn linear(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError> {
        match spec.stack {
            Some(stack) => self.begin(&format!("{}.{}", spec.name, stack.index)),
            None => self.begin(&spec.name),
        }
        let (n, k) = (spec.out_features, spec.in_features);
        let weights = match spec.quantization {
            Some(format) => self.affine(spec, format)?,
            None => {
                let mut buffer = Buffer::<u8>::zeroed(n * k * 2)?;
                let amplitude = 1.7 / (k as f32).sqrt();
                let numbers: &mut [u16] = bytemuck::cast_slice_mut(buffer.as_mut_slice());
                self.fill(numbers, |bits| {
                    bf16::from_f32(uniform(bits) * amplitude).to_bits()
                });
                Weights::Dense {
                    bytes: Bytes::from_buffer(buffer),
                    float: FloatType::Bf16,
                }
            }
        };
        let mut bias = spec.bias.then(|| vec![0.0; n]);
        if let Some(bias) = &mut bias {
            self.fill(bias, |bits| uniform(bits) * 0.1);
        }
        Ok(Linear {
            n,
            k,
            bias,
            weights,
        })
    }

    fn norm_weight(&mut self, spec: &NormSpec) -> Result<Vec<f32>, LoadError> {
        self.begin(&spec.name);
        let mut weight = vec![0.0; spec.size];
        self.fill(&mut weight, |bits| 1.0 + uniform(bits) * 0.1);
        Ok(weight)
    }
}
