//! Two 256-bit registers for the sixteen lanes; needs AVX2, FMA and F16C.
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "every body is a few intrinsics under the trait's own contract"
)]

use super::Simd;
use std::arch::x86_64::*;

/// AVX2 with FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Sum of eight lanes: `i` with `i + 4`, `i + 2`, `i + 1`.
///
/// # Safety
/// AVX is available.
#[inline(always)]
pub(super) unsafe fn sum8(a: __m256) -> f32 {
    let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps::<0b01>(a, a)))
}

/// Largest of eight lanes.
///
/// # Safety
/// AVX is available.
#[inline(always)]
pub(super) unsafe fn max8(a: __m256) -> f32 {
    let a = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps::<0b01>(a, a)))
}

type F2 = [__m256; 2];
type I2 = [__m256i; 2];

impl Simd for Avx2 {
    type F = F2;
    type I = I2;
    type Pair = __m256i;
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn prefetch<T>(p: *const T) {
        _mm_prefetch::<_MM_HINT_T1>(p.cast());
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> F2 {
        [_mm256_set1_ps(x); 2]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> F2 {
        [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))]
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> F2 {
        [
            _mm256_cvtph_ps(_mm_loadu_si128(p.cast())),
            _mm256_cvtph_ps(_mm_loadu_si128(p.add(8).cast())),
        ]
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> F2 {
        let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
        let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.add(8).cast()));
        [
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
        ]
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, x: F2) {
        _mm256_storeu_ps(p, x[0]);
        _mm256_storeu_ps(p.add(8), x[1]);
    }
    #[inline(always)]
    unsafe fn add(a: F2, b: F2) -> F2 {
        [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn sub(a: F2, b: F2) -> F2 {
        [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn mul(a: F2, b: F2) -> F2 {
        [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn div(a: F2, b: F2) -> F2 {
        [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn fma(a: F2, b: F2, c: F2) -> F2 {
        [
            _mm256_fmadd_ps(a[0], b[0], c[0]),
            _mm256_fmadd_ps(a[1], b[1], c[1]),
        ]
    }
    #[inline(always)]
    unsafe fn max(a: F2, b: F2) -> F2 {
        [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn abs(a: F2) -> F2 {
        let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fff_ffff));
        [_mm256_and_ps(a[0], mask), _mm256_and_ps(a[1], mask)]
    }
    #[inline(always)]
    unsafe fn round(a: F2) -> F2 {
        const MODE: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        [_mm256_round_ps::<MODE>(a[0]), _mm256_round_ps::<MODE>(a[1])]
    }
    #[inline(always)]
    unsafe fn exp2_integral(a: F2) -> F2 {
        let bias = _mm256_set1_epi32(127);
        let low = _mm256_add_epi32(_mm256_cvtps_epi32(a[0]), bias);
        let high = _mm256_add_epi32(_mm256_cvtps_epi32(a[1]), bias);
        [
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)),
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high)),
        ]
    }
    #[inline(always)]
    unsafe fn reduce_add(a: F2) -> f32 {
        sum8(_mm256_add_ps(a[0], a[1]))
    }
    #[inline(always)]
    unsafe fn reduce_max(a: F2) -> f32 {
        max8(_mm256_max_ps(a[0], a[1]))
    }
    #[inline(always)]
    unsafe fn int_zero() -> I2 {
        [_mm256_setzero_si256(); 2]
    }
    #[inline(always)]
    unsafe fn int_splat(x: i32) -> I2 {
        [_mm256_set1_epi32(x); 2]
    }
    #[inline(always)]
    unsafe fn int_load(p: *const u32) -> I2 {
        [
            _mm256_loadu_si256(p.cast()),
            _mm256_loadu_si256(p.add(8).cast()),
        ]
    }
    #[inline(always)]
    unsafe fn int_store(p: *mut i32, x: I2) {
        _mm256_storeu_si256(p.cast(), x[0]);
        _mm256_storeu_si256(p.add(8).cast(), x[1]);
    }
    #[inline(always)]
    unsafe fn int_and(a: I2, b: I2) -> I2 {
        [_mm256_and_si256(a[0], b[0]), _mm256_and_si256(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn int_add(a: I2, b: I2) -> I2 {
        [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn int_shr<const N: u32>(a: I2) -> I2 {
        // A count known at compile time: the variable shift becomes an immediate one.
        let count = _mm256_set1_epi32(N as i32);
        [
            _mm256_srlv_epi32(a[0], count),
            _mm256_srlv_epi32(a[1], count),
        ]
    }
    #[inline(always)]
    unsafe fn pair(p: *const i32) -> __m256i {
        _mm256_set1_epi32(p.read_unaligned())
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: I2, w: I2, x: __m256i) -> I2 {
        [
            _mm256_add_epi32(acc[0], _mm256_madd_epi16(w[0], x)),
            _mm256_add_epi32(acc[1], _mm256_madd_epi16(w[1], x)),
        ]
    }
    #[inline(always)]
    unsafe fn int_to_float(a: I2) -> F2 {
        [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])]
    }
    #[inline(always)]
    unsafe fn float_to_int(a: F2) -> I2 {
        [_mm256_cvtps_epi32(a[0]), _mm256_cvtps_epi32(a[1])]
    }
}
