//! The kernels, written once over [`Simd`] and compiled once per instruction set.
//!
//! [`Kernels`] is a table of function pointers chosen at load ([`Kernels::detect`]); nothing above
//! it knows what machine it runs on. Each entry takes a task of raw pointers and computes one slice
//! of an operation, so that threads can share a task's output.
//!
//! # Batch invariance
//!
//! Every kernel reduces each output element in one order that depends on the element alone: along
//! `k` in blocks of 16 lanes (dense), group by group (affine), position by position from absolute
//! position 0 modulo 16 (attention). How many rows share a tile only changes how often a weight is
//! loaded.

pub(crate) mod affine;
pub(crate) mod attention;
pub(crate) mod dense;
pub(crate) mod elementwise;

use crate::simd::portable::Portable;
use affine::{AffineTask, QuantizeTask};
use attention::AttentionTask;
use dense::DenseTask;
use elementwise::{NormTask, SiluTask};
use half::{bf16, f16};

/// How numbers are stored: weights, scales, or cached keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FloatType {
    F32,
    F16,
    Bf16,
}

impl FloatType {
    /// Bytes of one number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// One function per [`FloatType`].
#[derive(Clone, Copy)]
pub(crate) struct PerFloat<T> {
    f32: T,
    f16: T,
    bf16: T,
}

impl<T: Copy> PerFloat<T> {
    pub(crate) fn get(self, float: FloatType) -> T {
        match float {
            FloatType::F32 => self.f32,
            FloatType::F16 => self.f16,
            FloatType::Bf16 => self.bf16,
        }
    }
}

/// The kernels of one instruction set. Calling one is unsafe: the task's pointers must be valid as
/// its fields say.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    /// For logs and [`crate::CpuExecutor::kernel_name`].
    pub(crate) name: &'static str,
    /// Rows of one tile of quantised activations.
    pub(crate) affine_rows: usize,
    /// Dense weights times `f32` activations.
    pub(crate) dense: PerFloat<unsafe fn(&DenseTask)>,
    /// Affine 4-bit weights, by the type of their scales.
    pub(crate) affine4: PerFloat<unsafe fn(&AffineTask)>,
    /// Affine 8-bit weights, by the type of their scales.
    pub(crate) affine8: PerFloat<unsafe fn(&AffineTask)>,
    /// Activations to 16-bit integers for the affine kernels.
    pub(crate) quantize: unsafe fn(&QuantizeTask),
    /// RMSNorm of one vector.
    pub(crate) rms_norm: unsafe fn(&NormTask),
    /// `gate = silu(gate) * up`.
    pub(crate) silu_mul: unsafe fn(&SiluTask),
    /// Attention, by the type of the cache.
    pub(crate) attention: PerFloat<unsafe fn(&AttentionTask)>,
}

/// Compiles every kernel for `$simd` with the target features `$features` into a `Kernels`.
/// `$m` and `$n` are the dense tile, `$rows` the affine tile, `$q` the attention tile.
macro_rules! kernel_set {
    ($module:ident, $simd:ty, $name:literal, $(#[$attribute:meta])?,
     dense: $m:literal x $n:literal, affine: $rows:literal, attention: $q:literal) => {
        mod $module {
            use super::*;

            macro_rules! entry {
                ($function:ident, $task:ty, $body:expr) => {
                    $(#[$attribute])?
                    unsafe fn $function(task: &$task) {
                        // SAFETY: the caller vouches for the task's pointers, and detection for
                        // the instruction set.
                        unsafe { $body(task) }
                    }
                };
            }

            entry!(dense_f32, DenseTask, dense::dense::<$simd, f32, $m, $n>);
            entry!(dense_f16, DenseTask, dense::dense::<$simd, f16, $m, $n>);
            entry!(dense_bf16, DenseTask, dense::dense::<$simd, bf16, $m, $n>);
            entry!(affine4_f32, AffineTask, affine::affine::<$simd, f32, 4, 4, $rows>);
            entry!(affine4_f16, AffineTask, affine::affine::<$simd, f16, 4, 4, $rows>);
            entry!(affine4_bf16, AffineTask, affine::affine::<$simd, bf16, 4, 4, $rows>);
            entry!(affine8_f32, AffineTask, affine::affine::<$simd, f32, 8, 2, $rows>);
            entry!(affine8_f16, AffineTask, affine::affine::<$simd, f16, 8, 2, $rows>);
            entry!(affine8_bf16, AffineTask, affine::affine::<$simd, bf16, 8, 2, $rows>);
            entry!(quantize, QuantizeTask, affine::quantize::<$simd>);
            entry!(rms_norm, NormTask, elementwise::rms_norm::<$simd>);
            entry!(silu_mul, SiluTask, elementwise::silu_mul::<$simd>);
            entry!(attention_f32, AttentionTask, attention::attention::<$simd, f32, $q>);
            entry!(attention_f16, AttentionTask, attention::attention::<$simd, f16, $q>);
            entry!(attention_bf16, AttentionTask, attention::attention::<$simd, bf16, $q>);

            pub(super) const KERNELS: Kernels = Kernels {
                name: $name,
                affine_rows: $rows,
                dense: PerFloat { f32: dense_f32, f16: dense_f16, bf16: dense_bf16 },
                affine4: PerFloat { f32: affine4_f32, f16: affine4_f16, bf16: affine4_bf16 },
                affine8: PerFloat { f32: affine8_f32, f16: affine8_f16, bf16: affine8_bf16 },
                quantize,
                rms_norm,
                silu_mul,
                attention: PerFloat {
                    f32: attention_f32,
                    f16: attention_f16,
                    bf16: attention_bf16,
                },
            };
        }
    };
}

kernel_set!(portable, Portable, "portable", , dense: 2 x 4, affine: 4, attention: 4);

#[cfg(target_arch = "x86_64")]
kernel_set!(
    avx512, crate::simd::avx512::Avx512, "avx512-vnni",
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")],
    dense: 6 x 4, affine: 8, attention: 8
);

#[cfg(target_arch = "x86_64")]
kernel_set!(
    avx2, crate::simd::avx2::Avx2, "avx2",
    #[target_feature(enable = "avx2,fma,f16c")],
    dense: 3 x 2, affine: 2, attention: 2
);

#[cfg(target_arch = "aarch64")]
kernel_set!(
    neon, crate::simd::neon::Neon, "neon",
    #[target_feature(enable = "neon")],
    dense: 2 x 2, affine: 2, attention: 2
);

impl Kernels {
    /// Every set this machine can run, fastest first; the last one is the portable one.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
            {
                sets.push(avx512::KERNELS);
            }
            if avx2 {
                sets.push(avx2::KERNELS);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            sets.push(neon::KERNELS);
        }
        sets.push(portable::KERNELS);
        sets
    }

    /// The fastest set of this machine, or the one called `name`.
    pub(crate) fn detect(name: Option<&str>) -> Option<Self> {
        Self::available()
            .into_iter()
            .find(|set| name.is_none_or(|name| set.name == name))
    }
}

#[cfg(test)]
mod tests;
