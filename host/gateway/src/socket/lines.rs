//! Bytes as a dialect gives them, into the messages of a socket: one for each line that is not empty.

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};

/// Lines of a body. The last one needs no line break.
pub(super) struct Lines<S> {
    chunks: S,
    buffer: BytesMut,
    /// No line ends before this place of the buffer.
    searched: usize,
    ended: bool,
}

impl<S, E> Lines<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub(super) fn new(chunks: S) -> Self {
        Self {
            chunks,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        }
    }

    /// The next line without its end; `None` after the last. May be dropped at its await.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, E>> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|&byte| byte == b'\n') {
                let mut line = self.buffer.split_to(self.searched + at + 1);
                self.searched = 0;
                line.truncate(line.len() - 1);
                if line.is_empty() {
                    continue;
                }
                return Some(Ok(line.freeze()));
            }
            self.searched = self.buffer.len();
            if self.ended {
                self.searched = 0;
                let line = self.buffer.split();
                return (!line.is_empty()).then(|| Ok(line.freeze()));
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Some(Err(error)),
                None => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However the bytes are cut into chunks, the lines are those of the whole.
        #[test]
        fn chunks_do_not_change_lines(
            text in "[ab\n]{0,60}",
            cuts in proptest::collection::vec(0..60usize, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|cut| {
                Ok::<_, Infallible>(Bytes::copy_from_slice(&text.as_bytes()[cut[0]..cut[1]]))
            });
            let chunks: Vec<_> = chunks.collect();
            let found = futures::executor::block_on(async {
                let mut lines = Lines::new(stream::iter(chunks));
                let mut found = Vec::new();
                while let Some(Ok(line)) = lines.next().await {
                    found.push(String::from_utf8(line.to_vec()).unwrap());
                }
                found
            });
            let expected: Vec<&str> = text.split('\n').filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
