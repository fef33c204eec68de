//! The functions of mlx-c that mlx-rs does not wrap, each behind a safe signature.
//!
//! mlx-c's functions return zero or report through a handler that mlx-rs installs before its first
//! operation ([`init`] makes one). What a caller passes has been validated: shapes fit their data.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::{CStr, c_void};
use std::ops::Range;
use std::ptr::NonNull;

use mlx_rs::error::Exception;
use mlx_rs::{Array, Dtype, Stream};

/// Alignment that lets Metal use host memory in place: a page of Apple silicon.
const ALIGNMENT: usize = 16 * 1024;

/// Memory for one tensor's bytes, which MLX can take over without copying.
pub(crate) struct TensorBytes {
    data: NonNull<u8>,
    layout: Layout,
    /// Bytes of the tensor; the layout has whole pages.
    len: usize,
}

impl TensorBytes {
    /// `len` bytes of unspecified content, at least one, or `None` if there is no memory.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let pages = len.max(1).checked_next_multiple_of(ALIGNMENT)?;
        let layout = Layout::from_size_align(pages, ALIGNMENT).ok()?;
        // SAFETY: the layout has at least one page.
        let data = NonNull::new(unsafe { alloc(layout) })?;
        // Zeroing makes every byte readable whatever is written later; the pages are touched either way.
        // SAFETY: just allocated with this size.
        unsafe { data.write_bytes(0, pages) };
        Some(Self { data, layout, len })
    }

    /// The bytes, to be filled.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: owned, initialised, `len` bytes or more.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }

    /// An array over this memory, which is freed with the last use of the array.
    ///
    /// # Errors
    /// If `shape` does not describe exactly these bytes.
    pub(crate) fn into_array(self, shape: &[i32], dtype: Dtype) -> Result<Array, Exception> {
        let elements = shape.iter().try_fold(1_usize, |product, &axis| {
            product.checked_mul(usize::try_from(axis).ok()?)
        });
        let bytes = elements.and_then(|count| count.checked_mul(size_of(dtype)));
        let dim = i32::try_from(shape.len()).ok();
        let (Some(dim), true) = (dim, bytes == Some(self.len)) else {
            return Err(Exception::custom("a shape that does not fit its bytes"));
        };
        unsafe extern "C" fn free(payload: *mut c_void) {
            // SAFETY: `payload` is the box made below, given to MLX once, which calls this once.
            drop(unsafe { Box::from_raw(payload.cast::<TensorBytes>()) });
        }
        let data = self.data.as_ptr().cast::<c_void>();
        let payload = Box::into_raw(Box::new(self)).cast::<c_void>();
        // SAFETY: `data` has as many bytes as `shape` and `dtype` say and lives until `free`.
        Ok(unsafe {
            Array::from_ptr(mlx_sys::mlx_array_new_data_managed_payload(
                data,
                shape.as_ptr(),
                dim,
                dtype.into(),
                payload,
                Some(free),
            ))
        })
    }
}

impl Drop for TensorBytes {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.data.as_ptr(), self.layout) };
    }
}

// SAFETY: plain owned memory.
unsafe impl Send for TensorBytes {}

/// Bytes of an element of the types that checkpoints have here.
fn size_of(dtype: Dtype) -> usize {
    match dtype {
        Dtype::Float32 | Dtype::Uint32 => 4,
        Dtype::Float16 | Dtype::Bfloat16 => 2,
        // Not used; a shape never fits zero-sized elements.
        _ => 0,
    }
}

/// Makes mlx-rs install its error handler: mlx-c's own ends the process.
pub(crate) fn init() -> Result<(), Exception> {
    Array::from_f32(0.0).eval()
}

/// Waits for everything that was submitted on this thread's default stream, completion handlers
/// included: from then on no buffer is held by work in flight, and buffers may be written in place.
pub(crate) fn synchronize() -> Result<(), Exception> {
    let stream = Stream::thread_local_or_default();
    // SAFETY: the stream lives through the call.
    check("synchronize", unsafe {
        mlx_sys::mlx_synchronize(stream.as_ptr())
    })
}

/// `array` with `values` at `range` of `axis`, all of the other axes: a new array, in the same memory if
/// nobody else holds it. (mlx-rs' indexing does the same by way of several more operations.)
pub(crate) fn put(
    array: &Array,
    values: &Array,
    axis: usize,
    range: Range<i32>,
) -> Result<Array, Exception> {
    let (start, stop, strides) = bounds(array, axis, range)?;
    let stream = Stream::thread_local_or_default();
    let mut result = Handle::new();
    // SAFETY: live arrays; as many bounds as `array` has axes, inside its shape; a shape of `values` that
    // does not fit is an error of MLX.
    let status = unsafe {
        mlx_sys::mlx_slice_update(
            &mut result.0,
            array.as_ptr(),
            values.as_ptr(),
            start.as_ptr(),
            start.len(),
            stop.as_ptr(),
            stop.len(),
            strides.as_ptr(),
            strides.len(),
            stream.as_ptr(),
        )
    };
    check("write a part of an array", status)?;
    Ok(result.into_array())
}

/// `range` of `axis` of an array, in its memory.
pub(crate) fn part(array: &Array, axis: usize, range: Range<i32>) -> Result<Array, Exception> {
    let (start, stop, strides) = bounds(array, axis, range)?;
    let stream = Stream::thread_local_or_default();
    let mut result = Handle::new();
    // SAFETY: a live array; as many bounds as it has axes, inside its shape.
    let status = unsafe {
        mlx_sys::mlx_slice(
            &mut result.0,
            array.as_ptr(),
            start.as_ptr(),
            start.len(),
            stop.as_ptr(),
            stop.len(),
            strides.as_ptr(),
            strides.len(),
            stream.as_ptr(),
        )
    };
    check("take a part of an array", status)?;
    Ok(result.into_array())
}

type Bounds = (Vec<i32>, Vec<i32>, Vec<i32>);

/// First, end and stride of every axis.
fn bounds(array: &Array, axis: usize, range: Range<i32>) -> Result<Bounds, Exception> {
    let mut start = vec![0; array.ndim()];
    let mut stop = array.shape().to_vec();
    let strides = vec![1; array.ndim()];
    match (start.get_mut(axis), stop.get_mut(axis)) {
        (Some(start), Some(stop)) if (0..=*stop).contains(&range.end) && range.start >= 0 => {
            (*start, *stop) = (range.start, range.end);
        }
        _ => return Err(Exception::custom("a part outside its array")),
    }
    Ok((start, stop, strides))
}

/// An array of mlx-c that is not wrapped yet; freed if it never is.
struct Handle(mlx_sys::mlx_array);

impl Handle {
    fn new() -> Self {
        // SAFETY: an empty handle, owned here.
        Self(unsafe { mlx_sys::mlx_array_new() })
    }

    fn into_array(self) -> Array {
        let handle = std::mem::ManuallyDrop::new(self);
        // SAFETY: filled by a call that succeeded, and owned by the array from here on.
        unsafe { Array::from_ptr(handle.0) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: owned, and not given away.
        unsafe { mlx_sys::mlx_array_free(self.0) };
    }
}

/// Switches off run-time compilation of fused operations, which on the CPU starts a C++ compiler.
pub(crate) fn disable_compile() -> Result<(), Exception> {
    // SAFETY: no arguments.
    check("disable compilation", unsafe {
        mlx_sys::mlx_disable_compile()
    })
}

/// Whether Apple's GPU can be used.
pub(crate) fn metal_available() -> bool {
    let mut available = false;
    // SAFETY: writes one bool.
    unsafe { mlx_sys::mlx_metal_is_available(&mut available) == 0 && available }
}

/// Whether an NVIDIA GPU can be used.
pub(crate) fn cuda_available() -> bool {
    let mut available = false;
    // SAFETY: writes one bool.
    unsafe { mlx_sys::mlx_cuda_is_available(&mut available) == 0 && available }
}

/// MLX's version.
pub(crate) fn version() -> String {
    // SAFETY: a new empty string, filled by mlx-c, read before it is freed.
    unsafe {
        let mut text = mlx_sys::mlx_string_new();
        let version = if mlx_sys::mlx_version(&mut text) == 0 {
            let data = mlx_sys::mlx_string_data(text);
            CStr::from_ptr(data).to_string_lossy().into_owned()
        } else {
            String::new()
        };
        mlx_sys::mlx_string_free(text);
        version
    }
}

/// Facts about the default device.
pub(crate) struct DeviceInfo(mlx_sys::mlx_device_info);

impl DeviceInfo {
    pub(crate) fn of_default_device() -> Option<Self> {
        // SAFETY: new objects, each freed once; `info` is kept only if it was filled.
        unsafe {
            let mut device = mlx_sys::mlx_device_new();
            let mut info = mlx_sys::mlx_device_info_new();
            let found = mlx_sys::mlx_get_default_device(&mut device) == 0
                && mlx_sys::mlx_device_info_get(&mut info, device) == 0;
            mlx_sys::mlx_device_free(device);
            if found {
                return Some(Self(info));
            }
            mlx_sys::mlx_device_info_free(info);
            None
        }
    }

    /// A number by its key.
    pub(crate) fn number(&self, key: &CStr) -> Option<u64> {
        let mut value = 0_usize;
        // SAFETY: the info is alive; writes one number.
        let found = unsafe { mlx_sys::mlx_device_info_get_size(&mut value, self.0, key.as_ptr()) };
        (found == 0).then_some(value as u64)
    }

    /// A text by its key.
    pub(crate) fn text(&self, key: &CStr) -> Option<String> {
        let mut value = std::ptr::null();
        // SAFETY: the info is alive and owns the text, which is copied at once.
        unsafe {
            let found = mlx_sys::mlx_device_info_get_string(&mut value, self.0, key.as_ptr());
            (found == 0 && !value.is_null())
                .then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
        }
    }
}

impl Drop for DeviceInfo {
    fn drop(&mut self) {
        // SAFETY: made by `of_default_device`, freed once.
        unsafe { mlx_sys::mlx_device_info_free(self.0) };
    }
}

fn check(what: &str, status: i32) -> Result<(), Exception> {
    if status == 0 {
        return Ok(());
    }
    Err(Exception::custom(format!("cannot {what}")))
}
