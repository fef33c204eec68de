//! One vocabulary of 16-lane vector operations, so that every kernel is written once.
//!
//! A [`Simd`] implementation maps the 16 logical lanes to what the machine has: one AVX-512
//! register, two AVX2 registers, four NEON registers, or an array. Reductions over lanes use the
//! same tree everywhere, so implementations differ only by whether a multiply-add is fused.
//!
//! Invariant: every method is `#[inline(always)]` and only ever inlined into a function that was
//! compiled for the implementation's instruction set (the wrappers that [`crate::kernels`] makes)
//! after detection found it. That is the safety contract shared by all methods; those that take a
//! pointer also need it valid for 16 elements (no alignment needed).

pub(crate) mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Logical lanes of every vector.
pub(crate) const LANES: usize = 16;

/// Sixteen `f32` lanes and sixteen `i32` lanes. See the [module documentation](self) for safety.
pub(crate) trait Simd: Copy {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `i32`.
    type I: Copy;
    /// Two signed 16-bit numbers, the same for all lanes.
    type Pair: Copy;
    /// Whether some thirty vectors fit in registers.
    const MANY_REGISTERS: bool;

    /// Asks for the cache line at `p`, which need not be valid, for soon.
    #[inline(always)]
    unsafe fn prefetch<T>(p: *const T) {
        let _ = p;
    }

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn load_f16(p: *const u16) -> Self::F;
    unsafe fn load_bf16(p: *const u16) -> Self::F;
    unsafe fn store(p: *mut f32, x: Self::F);
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, fused where the machine can.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger lane; a NaN in `b` is kept.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn abs(a: Self::F) -> Self::F;
    /// Nearest integer, ties to even, as a float.
    unsafe fn round(a: Self::F) -> Self::F;
    /// `2^a` for integral `a` in `-127..=127`; `-127` gives 0.
    unsafe fn exp2_integral(a: Self::F) -> Self::F;
    /// Sum of the lanes: `i` with `i + 8`, then `i + 4`, `i + 2`, `i + 1`.
    unsafe fn reduce_add(a: Self::F) -> f32;
    unsafe fn reduce_max(a: Self::F) -> f32;

    unsafe fn int_zero() -> Self::I;
    unsafe fn int_splat(x: i32) -> Self::I;
    unsafe fn int_load(p: *const u32) -> Self::I;
    unsafe fn int_store(p: *mut i32, x: Self::I);
    unsafe fn int_and(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn int_add(a: Self::I, b: Self::I) -> Self::I;
    /// Logical shift right of each lane by `N` (4 or 8).
    unsafe fn int_shr<const N: u32>(a: Self::I) -> Self::I;
    /// The pair in the one `i32` at `p`.
    unsafe fn pair(p: *const i32) -> Self::Pair;
    /// In every lane, `acc + w.lo * x.lo + w.hi * x.hi` on the signed 16-bit halves.
    unsafe fn dot_pairs(acc: Self::I, w: Self::I, x: Self::Pair) -> Self::I;
    unsafe fn int_to_float(a: Self::I) -> Self::F;
    /// Lanes converted after [`Simd::round`]; magnitudes stay below 2^31.
    unsafe fn float_to_int(a: Self::F) -> Self::I;

    /// `e^x` within 2 ulp over the range of a softmax or a sigmoid; exactly 0 below -88.02, clamped
    /// above 88; NaN stays NaN. Cody-Waite reduction and the degree-5 polynomial of Cephes `expf`.
    #[inline(always)]
    unsafe fn exp(x: Self::F) -> Self::F {
        // SAFETY: same contract as the caller's.
        unsafe {
            let x = Self::max(Self::splat(-88.029_69), x);
            // min(x, 88) with NaN kept: -max(-88, -x).
            let zero = Self::splat(0.0);
            let x = Self::sub(zero, Self::max(Self::splat(-88.0), Self::sub(zero, x)));
            let n = Self::round(Self::mul(x, Self::splat(std::f32::consts::LOG2_E)));
            let r = Self::fma(n, Self::splat(-0.693_359_4), x);
            let r = Self::fma(n, Self::splat(2.121_944_4e-4), r);
            let mut y = Self::splat(1.987_569_1e-4);
            for c in [
                1.398_199_9e-3,
                8.333_452e-3,
                4.166_579_6e-2,
                1.666_666_6e-1,
                0.5,
            ] {
                y = Self::fma(y, r, Self::splat(c));
            }
            y = Self::fma(Self::mul(y, r), r, Self::add(r, Self::splat(1.0)));
            Self::mul(y, Self::exp2_integral(n))
        }
    }
}

/// A stored number: a weight, a scale, or a cached key or value.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// Loads 16 consecutive elements.
    ///
    /// # Safety
    /// As all of [`Simd`]; `p` need not be aligned.
    unsafe fn load<S: Simd>(p: *const Self) -> S::F;
    fn to_f32(self) -> f32;
    fn from_f32(x: f32) -> Self;
    /// Stores `from` in `to`, which is as long.
    fn convert(from: &[f32], to: &mut [Self]);
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const Self) -> S::F {
        // SAFETY: same contract as the caller's.
        unsafe { S::load(p) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }
    fn convert(from: &[f32], to: &mut [Self]) {
        to.copy_from_slice(from);
    }
}

impl Element for f16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const Self) -> S::F {
        // SAFETY: same contract as the caller's; f16 is a transparent u16.
        unsafe { S::load_f16(p.cast()) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        f16::from_f32(x)
    }
    fn convert(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
}

impl Element for bf16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(p: *const Self) -> S::F {
        // SAFETY: same contract as the caller's; bf16 is a transparent u16.
        unsafe { S::load_bf16(p.cast()) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        bf16::to_f32(self)
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        bf16::from_f32(x)
    }
    fn convert(from: &[f32], to: &mut [Self]) {
        to.convert_from_f32_slice(from);
    }
}

/// Loads `n < 16` elements into the first lanes, zero in the others.
///
/// # Safety
/// As all of [`Simd`]; `p` is valid for `n` elements, aligned or not.
#[inline(always)]
pub(crate) unsafe fn load_partial<S: Simd, E: Element>(p: *const E, n: usize) -> S::F {
    let mut lanes = [0.0_f32; LANES];
    for (i, lane) in lanes.iter_mut().enumerate().take(n) {
        // SAFETY: i < n.
        *lane = unsafe { p.add(i).read_unaligned() }.to_f32();
    }
    // SAFETY: 16 lanes.
    unsafe { S::load(lanes.as_ptr()) }
}
