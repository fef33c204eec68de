//! Bytes that weights and caches live in: read-only file maps and anonymous buffers.
//!
//! Both are page-aligned and go back to the system when dropped. Anonymous buffers start as zeros
//! that occupy no memory until written, and ask for huge pages, because a forward pass streams all
//! of the weights and would otherwise miss the TLB every 4 KiB.
//!
//! # The risk of a map
//!
//! A file that is cut short or rewritten while it is mapped changes under the reader: reading past
//! its new end is a bus error that stops the process. Model files are written once, under another
//! name, and renamed into place; whoever edits one in place while it is loaded breaks that
//! contract. Sizes were checked against the file when it was mapped, and dense weights are only
//! ever read as plain numbers, so changed contents give wrong logits and nothing worse.

use memmap2::{Mmap, MmapMut};
use std::fs::File;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A read-only map of one file.
#[derive(Clone)]
pub(crate) struct FileMap {
    map: Arc<Mmap>,
}

impl FileMap {
    /// Maps all of `path`.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the contents are only read as numbers of any bit pattern; the module
        // documentation says what happens if the file changes meanwhile.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { map: Arc::new(map) })
    }

    /// `range` of the file, or `None` if it ends before.
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        self.map.get(range.clone())?;
        Some(Bytes(Source::File {
            map: Arc::clone(&self.map),
            range,
        }))
    }
}

/// Shared, immutable bytes: a part of a file map, or a buffer.
#[derive(Clone)]
pub(crate) struct Bytes(Source);

#[derive(Clone)]
enum Source {
    File { map: Arc<Mmap>, range: Range<usize> },
    Memory(Arc<Buffer<u8>>),
}

impl Bytes {
    /// Bytes that live in `buffer`.
    pub(crate) fn from_buffer(buffer: Buffer<u8>) -> Self {
        Self(Source::Memory(Arc::new(buffer)))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Source::File { map, range } => map.get(range.clone()).unwrap_or(&[]),
            Source::Memory(buffer) => buffer.as_slice(),
        }
    }
}

/// Anonymous, page-aligned, zero-initialised memory for `len` elements.
pub(crate) struct Buffer<T> {
    map: Option<MmapMut>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: bytemuck::Pod> Buffer<T> {
    /// Room for `len` zeros.
    pub(crate) fn zeroed(len: usize) -> std::io::Result<Self> {
        let bytes = len
            .checked_mul(size_of::<T>())
            .ok_or(std::io::ErrorKind::OutOfMemory)?;
        let map = if bytes == 0 {
            None
        } else {
            let map = MmapMut::map_anon(bytes)?;
            #[cfg(target_os = "linux")]
            if let Err(error) = map.advise(memmap2::Advice::HugePage) {
                tracing::debug!(%error, "no huge pages");
            }
            Some(map)
        };
        Ok(Self {
            map,
            len,
            element: PhantomData,
        })
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        self.map
            .as_ref()
            .map_or(&[], |map| bytemuck::cast_slice(map))
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        self.map
            .as_mut()
            .map_or(&mut [], |map| bytemuck::cast_slice_mut(map))
    }

    /// Elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// A slice that several threads write at once, each its own elements.
///
/// It only hands out raw pointers; whoever writes through them says why no two threads touch the
/// same element.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a mutable borrow of plain numbers split by its users; every access through the
// pointer is in an unsafe block that argues for itself.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            borrow: PhantomData,
        }
    }

    /// Pointer to element `index`, which is at most the length.
    pub(crate) fn at(&self, index: usize) -> *mut T {
        assert!(index <= self.len, "a kernel's slice is out of bounds");
        // SAFETY: checked on the line above.
        unsafe { self.start.add(index) }
    }

    /// Elements `range`, to write.
    ///
    /// # Safety
    /// No other thread touches these elements while the result lives.
    #[expect(clippy::mut_from_ref, reason = "the caller promises disjoint ranges")]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "out of bounds"
        );
        // SAFETY: inside the borrow, and unique by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
