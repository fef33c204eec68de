//! RMSNorm and the gated activation.

use crate::simd::{LANES, Simd, load_partial};

/// `out = x / sqrt(mean(x^2) + epsilon) * weight` over `size` elements; `out` may be `x`.
pub(crate) struct NormTask {
    pub(crate) x: *const f32,
    pub(crate) weight: *const f32,
    pub(crate) out: *mut f32,
    pub(crate) size: usize,
    pub(crate) epsilon: f32,
}

/// RMSNorm (Zhang & Sennrich 2019) of one vector.
///
/// # Safety
/// The task's pointers are valid for `size` elements.
#[inline(always)]
pub(crate) unsafe fn rms_norm<S: Simd>(task: &NormTask) {
    let whole = task.size / LANES * LANES;
    let tail = task.size - whole;
    // SAFETY: indices stay below size.
    unsafe {
        let mut squares = S::splat(0.0);
        for k in (0..whole).step_by(LANES) {
            let x = S::load(task.x.add(k));
            squares = S::fma(x, x, squares);
        }
        if tail > 0 {
            let x = load_partial::<S, f32>(task.x.add(whole), tail);
            squares = S::fma(x, x, squares);
        }
        let mean = S::reduce_add(squares) / task.size as f32;
        let factor = 1.0 / (mean + task.epsilon).sqrt();
        let factors = S::splat(factor);
        for k in (0..whole).step_by(LANES) {
            let scaled = S::mul(S::load(task.x.add(k)), factors);
            S::store(task.out.add(k), S::mul(scaled, S::load(task.weight.add(k))));
        }
        for k in whole..task.size {
            *task.out.add(k) = *task.x.add(k) * factor * *task.weight.add(k);
        }
    }
}

/// `gate[i] = silu(gate[i]) * up[i]` over `size` elements.
pub(crate) struct SiluTask {
    pub(crate) gate: *mut f32,
    pub(crate) up: *const f32,
    pub(crate) size: usize,
}

/// The gated unit `silu(gate) * up`, `silu(x) = x / (1 + e^-x)`.
///
/// # Safety
/// The task's pointers are valid for `size` elements.
#[inline(always)]
pub(crate) unsafe fn silu_mul<S: Simd>(task: &SiluTask) {
    let whole = task.size / LANES * LANES;
    // SAFETY: indices stay below size; the tail goes through whole vectors on the stack.
    unsafe {
        for k in (0..whole).step_by(LANES) {
            let gate = task.gate.add(k);
            S::store(gate, silu::<S>(S::load(gate), S::load(task.up.add(k))));
        }
        let tail = task.size - whole;
        if tail > 0 {
            let gate = load_partial::<S, f32>(task.gate.add(whole), tail);
            let up = load_partial::<S, f32>(task.up.add(whole), tail);
            let mut lanes = [0.0_f32; LANES];
            S::store(lanes.as_mut_ptr(), silu::<S>(gate, up));
            for (i, lane) in lanes.into_iter().enumerate().take(tail) {
                *task.gate.add(whole + i) = lane;
            }
        }
    }
}

#[inline(always)]
unsafe fn silu<S: Simd>(gate: S::F, up: S::F) -> S::F {
    // SAFETY: same contract as the caller's.
    unsafe {
        let negative = S::sub(S::splat(0.0), gate);
        let denominator = S::add(S::splat(1.0), S::exp(negative));
        S::mul(S::div(gate, denominator), up)
    }
}
