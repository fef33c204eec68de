//! Sixteen lanes as an array: correct everywhere, and the reference the other sets are tested on.
//!
//! Multiply-add is not fused here unless the target always has it, because a software `fmaf` would
//! be slower than everything else together; results agree with the fused ones within rounding.

use super::{LANES, Simd};
use half::{bf16, f16};

/// The fallback instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn reduce(a: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = a;
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
    }
    lanes[0]
}

#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

impl Simd for Portable {
    type F = [f32; LANES];
    type I = [i32; LANES];
    type Pair = (i32, i32);
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: the caller gives 16 elements.
        unsafe { p.cast::<[f32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> Self::F {
        // SAFETY: the caller gives 16 elements.
        let bits = unsafe { p.cast::<[u16; LANES]>().read_unaligned() };
        bits.map(|b| f16::from_bits(b).to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> Self::F {
        // SAFETY: the caller gives 16 elements.
        let bits = unsafe { p.cast::<[u16; LANES]>().read_unaligned() };
        bits.map(|b| bf16::from_bits(b).to_f32())
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, x: Self::F) {
        // SAFETY: the caller gives 16 elements.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| multiply_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn abs(a: Self::F) -> Self::F {
        a.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn round(a: Self::F) -> Self::F {
        a.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn exp2_integral(a: Self::F) -> Self::F {
        a.map(|x| f32::from_bits(((x as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn reduce_add(a: Self::F) -> f32 {
        reduce(a, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn reduce_max(a: Self::F) -> f32 {
        reduce(a, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn int_zero() -> Self::I {
        [0; LANES]
    }
    #[inline(always)]
    unsafe fn int_splat(x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn int_load(p: *const u32) -> Self::I {
        // SAFETY: the caller gives 16 elements.
        unsafe { p.cast::<[i32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn int_store(p: *mut i32, x: Self::I) {
        // SAFETY: the caller gives 16 elements.
        unsafe { p.cast::<[i32; LANES]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn int_and(a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|i| a[i] & b[i])
    }
    #[inline(always)]
    unsafe fn int_add(a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    unsafe fn int_shr<const N: u32>(a: Self::I) -> Self::I {
        a.map(|x| ((x as u32) >> N) as i32)
    }
    #[inline(always)]
    unsafe fn pair(p: *const i32) -> (i32, i32) {
        // SAFETY: the caller gives one element.
        let x = unsafe { p.read_unaligned() };
        (i32::from(x as i16), x >> 16)
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: Self::I, w: Self::I, (low, high): (i32, i32)) -> Self::I {
        std::array::from_fn(|i| {
            let dot = i32::from(w[i] as i16) * low + (w[i] >> 16) * high;
            acc[i].wrapping_add(dot)
        })
    }
    #[inline(always)]
    unsafe fn int_to_float(a: Self::I) -> Self::F {
        a.map(|x| x as f32)
    }
    #[inline(always)]
    unsafe fn float_to_int(a: Self::F) -> Self::I {
        a.map(|x| x as i32)
    }
}
