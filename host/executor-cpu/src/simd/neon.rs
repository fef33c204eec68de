//! Four 128-bit registers for the sixteen lanes; NEON is part of every AArch64 machine.
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "every body is a few intrinsics under the trait's own contract"
)]

use super::{LANES, Simd};
use half::f16;
use std::arch::aarch64::*;

/// NEON (Advanced SIMD).
#[derive(Clone, Copy)]
pub(crate) struct Neon;

type F4 = [float32x4_t; 4];
type I4 = [int32x4_t; 4];

/// `body` for each of the four registers.
macro_rules! each {
    ($i:ident => $body:expr) => {
        [
            {
                let $i = 0_usize;
                $body
            },
            {
                let $i = 1_usize;
                $body
            },
            {
                let $i = 2_usize;
                $body
            },
            {
                let $i = 3_usize;
                $body
            },
        ]
    };
}

impl Simd for Neon {
    type F = F4;
    type I = I4;
    type Pair = (int16x4_t, int16x4_t);
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> F4 {
        [vdupq_n_f32(x); 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> F4 {
        each!(i => vld1q_f32(p.add(4 * i)))
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> F4 {
        // `vcvt_f32_f16` is not stable yet; the compiler vectorises this loop.
        let bits = p.cast::<[u16; LANES]>().read_unaligned();
        let lanes = bits.map(|b| f16::from_bits(b).to_f32());
        Self::load(lanes.as_ptr())
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> F4 {
        each!(i => vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p.add(4 * i)))))
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, x: F4) {
        for (i, part) in x.into_iter().enumerate() {
            vst1q_f32(p.add(4 * i), part);
        }
    }
    #[inline(always)]
    unsafe fn add(a: F4, b: F4) -> F4 {
        each!(i => vaddq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn sub(a: F4, b: F4) -> F4 {
        each!(i => vsubq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn mul(a: F4, b: F4) -> F4 {
        each!(i => vmulq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn div(a: F4, b: F4) -> F4 {
        each!(i => vdivq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn fma(a: F4, b: F4, c: F4) -> F4 {
        each!(i => vfmaq_f32(c[i], a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn max(a: F4, b: F4) -> F4 {
        each!(i => vmaxq_f32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn abs(a: F4) -> F4 {
        each!(i => vabsq_f32(a[i]))
    }
    #[inline(always)]
    unsafe fn round(a: F4) -> F4 {
        each!(i => vrndnq_f32(a[i]))
    }
    #[inline(always)]
    unsafe fn exp2_integral(a: F4) -> F4 {
        let bias = vdupq_n_s32(127);
        each!(i => vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(a[i]), bias))))
    }
    #[inline(always)]
    unsafe fn reduce_add(a: F4) -> f32 {
        let s = vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]));
        let s = vadd_f32(vget_low_f32(s), vget_high_f32(s));
        vget_lane_f32::<0>(s) + vget_lane_f32::<1>(s)
    }
    #[inline(always)]
    unsafe fn reduce_max(a: F4) -> f32 {
        vmaxvq_f32(vmaxq_f32(vmaxq_f32(a[0], a[2]), vmaxq_f32(a[1], a[3])))
    }
    #[inline(always)]
    unsafe fn int_zero() -> I4 {
        [vdupq_n_s32(0); 4]
    }
    #[inline(always)]
    unsafe fn int_splat(x: i32) -> I4 {
        [vdupq_n_s32(x); 4]
    }
    #[inline(always)]
    unsafe fn int_load(p: *const u32) -> I4 {
        each!(i => vreinterpretq_s32_u32(vld1q_u32(p.add(4 * i))))
    }
    #[inline(always)]
    unsafe fn int_store(p: *mut i32, x: I4) {
        for (i, part) in x.into_iter().enumerate() {
            vst1q_s32(p.add(4 * i), part);
        }
    }
    #[inline(always)]
    unsafe fn int_and(a: I4, b: I4) -> I4 {
        each!(i => vandq_s32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn int_add(a: I4, b: I4) -> I4 {
        each!(i => vaddq_s32(a[i], b[i]))
    }
    #[inline(always)]
    unsafe fn int_shr<const N: u32>(a: I4) -> I4 {
        let count = vdupq_n_s32(-(N as i32));
        each!(i => vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a[i]), count)))
    }
    #[inline(always)]
    unsafe fn pair(p: *const i32) -> (int16x4_t, int16x4_t) {
        let x = p.read_unaligned();
        (vdup_n_s16(x as i16), vdup_n_s16((x >> 16) as i16))
    }
    #[inline(always)]
    unsafe fn dot_pairs(acc: I4, w: I4, (low, high): (int16x4_t, int16x4_t)) -> I4 {
        // Narrow the even and the odd halves, then widening multiply-accumulate each.
        each!(i => {
            let even = vmovn_s32(w[i]);
            let odd = vshrn_n_s32::<16>(w[i]);
            vmlal_s16(vmlal_s16(acc[i], even, low), odd, high)
        })
    }
    #[inline(always)]
    unsafe fn int_to_float(a: I4) -> F4 {
        each!(i => vcvtq_f32_s32(a[i]))
    }
    #[inline(always)]
    unsafe fn float_to_int(a: F4) -> I4 {
        each!(i => vcvtnq_s32_f32(a[i]))
    }
}
