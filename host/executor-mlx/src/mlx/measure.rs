//! How fast the device is: what a planner wants to know before it gives it layers.

use std::time::{Duration, Instant};

use mlx_rs::error::Exception;
use mlx_rs::memory::clear_cache;
use mlx_rs::ops::{arange, matmul};
use mlx_rs::transforms::eval;
use mlx_rs::{Array, Dtype};

use super::attention::index;
use super::worker::turn;
use super::{device, ffi};
use crate::{Backend, LoadError, Rates};

/// The best of so many; the first compiles kernels and wakes the device.
const ROUNDS: usize = 8;

/// Matrices, as a model's weights are read: one after the other, none twice.
struct Sizes {
    matrices: usize,
    rows: usize,
    columns: usize,
    /// Tokens that are multiplied together for the matrix rate.
    tokens: usize,
    dtype: Dtype,
}

/// 512 MiB of bf16: ten times a large GPU's cache, and little beside its memory.
const GPU: Sizes = Sizes {
    matrices: 8,
    rows: 8192,
    columns: 4096,
    tokens: 2048,
    dtype: Dtype::Bfloat16,
};

/// MLX's CPU backend is slow, and for tests.
const CPU: Sizes = Sizes {
    matrices: 4,
    rows: 1024,
    columns: 1024,
    tokens: 32,
    dtype: Dtype::Float32,
};

/// Multiplies invented matrices with one token, which is as fast as they come from memory, and with many,
/// which is as fast as the device multiplies. Takes well under a second on a GPU, and the memory of the
/// matrices. Waits while a model computes, where one at a time does.
///
/// # Errors
/// [`LoadError::Unavailable`] without MLX; the device's own.
pub fn measure() -> Result<Rates, LoadError> {
    let _turn = turn();
    let sizes = match device()?.backend {
        Backend::Cpu => &CPU,
        Backend::Metal | Backend::Cuda => &GPU,
    };
    let rates = rates(sizes);
    // Whatever came of it, nothing stays in flight or in memory.
    ffi::synchronize()?;
    clear_cache()?;
    Ok(rates?)
}

fn rates(sizes: &Sizes) -> Result<Rates, Exception> {
    let mut matrices = Vec::with_capacity(sizes.matrices);
    for matrix in 0..sizes.matrices {
        matrices.push(numbers(matrix, sizes.rows, sizes)?);
    }
    let token = numbers(sizes.matrices, 1, sizes)?;
    let tokens = numbers(sizes.matrices, sizes.tokens, sizes)?;
    eval(matrices.iter().chain([&token, &tokens]))?;
    let bytes: usize = matrices.iter().map(Array::nbytes).sum();
    let products = sizes.matrices * sizes.rows * sizes.columns * sizes.tokens;
    Ok(Rates {
        bytes_per_second: bytes as f64 / fastest(&matrices, &token)?.as_secs_f64(),
        multiply_adds_per_second: products as f64 / fastest(&matrices, &tokens)?.as_secs_f64(),
    })
}

/// The shortest time that a product with each matrix takes, at least a microsecond: clocks have an end.
fn fastest(matrices: &[Array], x: &Array) -> Result<Duration, Exception> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let products = matrices.iter().map(|matrix| matmul(x, matrix.transpose()?));
        let products = products.collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        eval(&products)?;
        ffi::synchronize()?;
        best = best.min(began.elapsed());
    }
    Ok(best.max(Duration::from_micros(1)))
}

/// Numbers that are not alike: GPUs multiply zeros faster.
fn numbers(matrix: usize, rows: usize, sizes: &Sizes) -> Result<Array, Exception> {
    let count = index(rows * sizes.columns)?;
    let numbers = arange::<i32, f32>(None, count, None)?.add(Array::from_f32(matrix as f32))?;
    numbers
        .sin()?
        .as_dtype(sizes.dtype)?
        .reshape(&[index(rows)?, index(sizes.columns)?])
}
