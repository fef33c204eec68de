//! Weights from a checkpoint: mapped where kernels can read them in place, repacked where not.

use crate::LoadError;
use crate::kernels::FloatType;
use crate::linear::{Linear, Weights, read_float, units};
use crate::memory::{Buffer, Bytes, FileMap, Shared};
use crate::pool::{Pool, share};
use crate::simd::LANES;
use crate::weights::Tensors;
use atoll_engine::model::checkpoint::{Checkpoint, Dtype, TensorEntry};
use atoll_engine::model::{NormSpec, Quantization, Stack, WeightSpec};

/// Reads tensors of one checkpoint.
pub(crate) struct CheckpointSource<'a> {
    checkpoint: &'a Checkpoint,
    maps: Vec<Option<FileMap>>,
    pool: &'a mut Pool,
}

impl<'a> CheckpointSource<'a> {
    pub(crate) fn new(checkpoint: &'a Checkpoint, pool: &'a mut Pool) -> Self {
        let maps = checkpoint.files().iter().map(|_| None).collect();
        Self {
            checkpoint,
            maps,
            pool,
        }
    }

    /// The entry of tensor `name`, which must have `shape`, and its bytes; of a member of a stack, the
    /// member's.
    fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        stack: Option<Stack>,
    ) -> Result<(&'a TensorEntry, Bytes), LoadError> {
        let fault = |reason: String| LoadError::Tensor {
            name: name.to_owned(),
            reason,
        };
        let entry = self
            .checkpoint
            .get(name)
            .ok_or_else(|| fault("is missing from the checkpoint".to_owned()))?;
        let stacked: Vec<usize> = stack
            .map(|s| s.count)
            .into_iter()
            .chain(shape.iter().copied())
            .collect();
        if entry.shape != stacked {
            return Err(fault(format!(
                "has shape {:?} instead of {stacked:?}",
                entry.shape
            )));
        }
        if stack.is_some_and(|stack| stack.index >= stack.count) {
            return Err(fault("has no such member".to_owned()));
        }
        let elements = shape.iter().try_fold(1_usize, |a, &b| a.checked_mul(b));
        let bytes = elements.and_then(|n| n.checked_mul(entry.dtype.size()));
        let range = usize::try_from(entry.offset)
            .ok()
            .zip(bytes)
            .and_then(|(start, len)| {
                let index = stack.map_or(0, |stack| stack.index);
                let start = start.checked_add(len.checked_mul(index)?)?;
                Some(start..start.checked_add(len)?)
            });
        let range = range.ok_or_else(|| fault("is too large".to_owned()))?;
        let data = self
            .map(entry.file)?
            .slice(range)
            .ok_or_else(|| fault("lies outside its file, which changed".to_owned()))?;
        Ok((entry, data))
    }

    fn map(&mut self, file: usize) -> Result<FileMap, LoadError> {
        let missing =
            || LoadError::Checkpoint("a tensor names a file that is not there".to_owned());
        let slot = self.maps.get_mut(file).ok_or_else(missing)?;
        if let Some(map) = slot {
            return Ok(map.clone());
        }
        let path = &self.checkpoint.files().get(file).ok_or_else(missing)?.path;
        let map = FileMap::open(path).map_err(|error| LoadError::Map {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(slot.insert(map).clone())
    }

    /// A tensor of floats.
    fn floats(
        &mut self,
        name: &str,
        shape: &[usize],
        stack: Option<Stack>,
    ) -> Result<(FloatType, Bytes), LoadError> {
        let (entry, bytes) = self.tensor(name, shape, stack)?;
        let float = match entry.dtype {
            Dtype::F32 => FloatType::F32,
            Dtype::F16 => FloatType::F16,
            Dtype::Bf16 => FloatType::Bf16,
            other => {
                return Err(LoadError::Tensor {
                    name: name.to_owned(),
                    reason: format!("has type {other:?}; this executor reads F32, F16 and BF16"),
                });
            }
        };
        Ok((float, bytes))
    }

    /// A short vector, converted.
    fn vector(
        &mut self,
        name: &str,
        size: usize,
        stack: Option<Stack>,
    ) -> Result<Vec<f32>, LoadError> {
        let (float, bytes) = self.floats(name, &[size], stack)?;
        let bytes = bytes.as_slice();
        Ok((0..size).map(|i| read_float(bytes, float, i)).collect())
    }

    fn affine(&mut self, spec: &WeightSpec, format: Quantization) -> Result<Weights, LoadError> {
        let (n, k) = (spec.out_features, spec.in_features);
        check_affine(spec, format)?;
        let Quantization { bits, group_size } = format;
        let row_words = k * bits as usize / 32;
        let name = format!("{}.weight", spec.name);
        let (entry, words) = self.tensor(&name, &[n, row_words], spec.stack)?;
        if entry.dtype != Dtype::U32 {
            return Err(LoadError::Tensor {
                name,
                reason: format!("has type {:?} instead of U32", entry.dtype),
            });
        }
        let groups = k / group_size;
        let name = |suffix| format!("{}.{suffix}", spec.name);
        let (float, scales) = self.floats(&name("scales"), &[n, groups], spec.stack)?;
        let (bias_float, biases) = self.floats(&name("biases"), &[n, groups], spec.stack)?;
        if float != bias_float {
            return Err(LoadError::Tensor {
                name: name("biases"),
                reason: "has another type than the scales".to_owned(),
            });
        }
        let widened = widen(words.as_slice(), format)?;
        let source = AffineSource {
            n,
            k,
            format: Quantization {
                bits: packed_bits(bits),
                group_size,
            },
            float,
            words: widened.as_ref().map_or(words.as_slice(), Buffer::as_slice),
            scales: scales.as_slice(),
            biases: biases.as_slice(),
        };
        Ok(pack(&source, self.pool)?)
    }
}

/// MLX's three tensors of one matrix; lengths fit the sizes.
pub(crate) struct AffineSource<'a> {
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) format: Quantization,
    /// Type of scales and biases.
    pub(crate) float: FloatType,
    pub(crate) words: &'a [u8],
    pub(crate) scales: &'a [u8],
    pub(crate) biases: &'a [u8],
}

/// Interleaves rows into panels of 16 ([`crate::kernels::affine`]), each panel by one thread.
pub(crate) fn pack(source: &AffineSource<'_>, pool: &mut Pool) -> std::io::Result<Weights> {
    let Quantization { bits, group_size } = source.format;
    let (n, groups) = (source.n, source.k / group_size);
    let row_words = source.k * bits as usize / 32;
    let size = source.float.bytes();
    let mut packed = Buffer::<u32>::zeroed(units(n) * row_words * LANES)?;
    let mut meta = Buffer::<u8>::zeroed(units(n) * groups * 2 * LANES * size)?;
    let words_out = Shared::new(bytemuck::cast_slice_mut(packed.as_mut_slice()));
    let meta_out = Shared::new(meta.as_mut_slice());
    let (words, scales, biases) = (source.words, source.scales, source.biases);
    let threads = pool.threads();
    pool.run(&|thread| {
        for panel in share(units(n), threads, thread) {
            // SAFETY: each panel is one thread's.
            let (words_out, meta_out) = unsafe {
                let bytes = row_words * LANES * 4;
                let meta_bytes = groups * 2 * LANES * size;
                (
                    words_out.slice(panel * bytes..(panel + 1) * bytes),
                    meta_out.slice(panel * meta_bytes..(panel + 1) * meta_bytes),
                )
            };
            let rows = panel * LANES..((panel + 1) * LANES).min(n);
            interleave::<4>(words, row_words, rows.clone(), words_out, LANES, 0);
            match size {
                4 => {
                    interleave::<4>(scales, groups, rows.clone(), meta_out, 2 * LANES, 0);
                    interleave::<4>(biases, groups, rows, meta_out, 2 * LANES, LANES);
                }
                _ => {
                    interleave::<2>(scales, groups, rows.clone(), meta_out, 2 * LANES, 0);
                    interleave::<2>(biases, groups, rows, meta_out, 2 * LANES, LANES);
                }
            }
        }
    });
    Ok(Weights::Affine {
        words: packed,
        meta,
        float: source.float,
        bits,
        group: group_size,
    })
}

/// Bits that a value takes in panels: kernels read 4 and 8.
pub(crate) fn packed_bits(bits: u32) -> u32 {
    if bits <= 4 { 4 } else { 8 }
}

/// Values of other widths in the next larger one that kernels read: the same numbers in more memory.
/// `None` where they have it already. `words` are whole rows, and rows have whole words, so all rows are
/// one stream of bits.
fn widen(words: &[u8], format: Quantization) -> std::io::Result<Option<Buffer<u8>>> {
    let (bits, wide) = (format.bits as usize, packed_bits(format.bits) as usize);
    if bits == wide {
        return Ok(None);
    }
    let values = words.len() * 8 / bits;
    let mut widened = Buffer::<u8>::zeroed(values * wide / 8)?;
    let mask = (1_u32 << bits) - 1;
    for (at, out) in widened.as_mut_slice().iter_mut().enumerate() {
        for part in 0..8 / wide {
            let first = (at * 8 / wide + part) * bits;
            let byte = |index: usize| u32::from(words.get(index).copied().unwrap_or(0));
            // A value of at most 8 bits is in two bytes.
            let both = byte(first / 8) | byte(first / 8 + 1) << 8;
            let value = both >> (first % 8) & mask;
            *out |= (value << (part * wide)) as u8;
        }
    }
    Ok(Some(widened))
}

/// Rules of the format that kernels rely on.
pub(crate) fn check_affine(spec: &WeightSpec, format: Quantization) -> Result<(), LoadError> {
    let Quantization { bits, group_size } = format;
    let known =
        Quantization::BITS.contains(&bits) && Quantization::GROUP_SIZES.contains(&group_size);
    if known && spec.in_features.is_multiple_of(group_size) {
        return Ok(());
    }
    Err(LoadError::Tensor {
        name: format!("{}.weight", spec.name),
        reason: format!(
            "is quantised with {bits} bits in groups of {group_size} over {} columns; this executor \
             runs 2, 3, 4, 5, 6 and 8 bits in groups of 32, 64 or 128 that divide the columns",
            spec.in_features
        ),
    })
}

/// Transposes `rows` of a matrix of `SIZE`-byte elements with `columns` columns: element
/// `(row, column)` goes to slot `column * step + offset + (row - rows.start)` of `out`.
fn interleave<const SIZE: usize>(
    source: &[u8],
    columns: usize,
    rows: std::ops::Range<usize>,
    out: &mut [u8],
    step: usize,
    offset: usize,
) {
    for (lane, row) in rows.enumerate() {
        let source = source[row * columns * SIZE..(row + 1) * columns * SIZE].as_chunks::<SIZE>();
        let (out, _) = out.as_chunks_mut::<SIZE>();
        for (column, element) in source.0.iter().enumerate() {
            out[column * step + offset + lane] = *element;
        }
    }
}

impl Tensors for CheckpointSource<'_> {
    fn linear(&mut self, spec: &WeightSpec) -> Result<Linear, LoadError> {
        let (n, k) = (spec.out_features, spec.in_features);
        let weights = match spec.quantization {
            Some(format) => self.affine(spec, format)?,
            None => {
                let (float, bytes) =
                    self.floats(&format!("{}.weight", spec.name), &[n, k], spec.stack)?;
                Weights::Dense { bytes, float }
            }
        };
        let bias = spec
            .bias
            .then(|| self.vector(&format!("{}.bias", spec.name), n, spec.stack))
            .transpose()?;
        Ok(Linear {
            n,
            k,
            bias,
            weights,
        })
    }

    fn norm_weight(&mut self, spec: &NormSpec) -> Result<Vec<f32>, LoadError> {
        self.vector(&format!("{}.weight", spec.name), spec.size, None)
    }
}
