//! A guest's standard output and error, kept in a small buffer for the log.
//!
//! A guest that panics says why on standard error and then traps; the trap alone says only
//! `unreachable`. So the last bytes are kept. Writing beyond the buffer drops the oldest text rather
//! than failing: a chatty guest is not a faulty one. Writes land at once, not through a task, so that
//! the last words before a trap are there when the trap is reported.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes a guest may hand over in one write; the buffer keeps only the end of it.
const WRITE_BYTES: usize = 64 * 1024;

/// The shared buffer; clones write to the same one.
#[derive(Clone)]
pub(crate) struct Captured {
    limit: usize,
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl Captured {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: Arc::default(),
        }
    }

    /// What was written since the last call, as text; `None` when nothing was.
    pub fn take(&self) -> Option<String> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.is_empty() {
            return None;
        }
        let taken: Vec<u8> = bytes.drain(..).collect();
        Some(String::from_utf8_lossy(&taken).trim().to_owned())
    }

    fn push(&self, data: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = data
            .get(data.len().saturating_sub(self.limit)..)
            .unwrap_or(data);
        let surplus = (bytes.len() + tail.len()).saturating_sub(self.limit);
        bytes.drain(..surplus);
        bytes.extend(tail);
    }
}

impl AsyncWrite for Captured {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.push(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl OutputStream for Captured {
    fn write(&mut self, data: bytes::Bytes) -> StreamResult<()> {
        self.push(&data);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}
