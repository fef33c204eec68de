//! Undoing a request body's `Content-Encoding`: `gzip`, `deflate` and `zstd`, alone or one over the other.
//!
//! Invariants: what a body decodes to is held to the limit of a body that came as it is, and memory follows what was
//! really decoded, never what a header claims. A stream that ends early, whose checksum is wrong or that has anything
//! behind its end is refused whole: half a request is no request.

use std::io::{self, BufRead, Read};

use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

/// Most codings laid over one another. Nobody has a use for two.
const MOST_CODINGS: usize = 3;

/// Most gzip members or zstd frames of one body: each costs a decoder set up anew, however little is in it.
const MOST_PIECES: usize = 4096;

/// The largest zstd window of a `Content-Encoding` (RFC 9659); memory is taken for it before anything is decoded.
const MOST_ZSTD_WINDOW: u64 = 8 << 20;

/// What was done to a body on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 1952; `x-gzip` is the same.
    Gzip,
    /// RFC 1950, or, as many senders understand the word, RFC 1951 without a wrapper.
    Deflate,
    /// RFC 8878.
    Zstd,
}

/// Why a list of codings is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownCoding {
    /// One that this host cannot undo.
    #[error(
        "the request body is encoded as {0:?}, which this host cannot undo; send it with Content-Encoding gzip, \
         deflate or zstd, or as it is and without that header"
    )]
    Name(String),
    /// A list that no honest client sends.
    #[error(
        "the request body has more than {MOST_CODINGS} codings laid over one another; send it with one, or as it is \
         and without Content-Encoding"
    )]
    TooMany,
}

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodingError {
    /// More comes out of it than a body may have.
    #[error("more than a body may have comes out of it")]
    TooLarge,
    /// It is not what its coding says it is.
    #[error(
        "the request body is not valid {coding} ({why}); Content-Encoding must name what was done to the body, and \
         nothing may be missing or follow"
    )]
    Malformed {
        /// The coding's name.
        coding: &'static str,
        /// The decoder's words.
        why: String,
    },
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    /// What `bytes` decode to, at most `most` of them.
    fn undo(self, bytes: &[u8], most: usize) -> Result<Vec<u8>, CodingError> {
        let mut out = Output {
            bytes: Vec::new(),
            most,
        };
        let done = match self {
            Self::Gzip => gzip(bytes, &mut out),
            Self::Deflate => deflate(bytes, &mut out),
            Self::Zstd => zstd(bytes, &mut out),
        };
        match done {
            // The decoder may have stopped in the middle because of it, so this comes first.
            _ if out.bytes.len() > most => Err(CodingError::TooLarge),
            Ok(()) => Ok(out.bytes),
            Err(why) => Err(CodingError::Malformed {
                coding: self.name(),
                why: why.to_string(),
            }),
        }
    }
}

/// The body's codings in the order in which they were applied; `identity` is none.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, UnknownCoding> {
    let mut codings = Vec::new();
    for line in headers.get_all(CONTENT_ENCODING) {
        for name in String::from_utf8_lossy(line.as_bytes()).split(',') {
            let name = name.trim().to_ascii_lowercase();
            codings.push(match name.as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "zstd" => Coding::Zstd,
                _ => return Err(UnknownCoding::Name(name)),
            });
            if codings.len() > MOST_CODINGS {
                return Err(UnknownCoding::TooMany);
            }
        }
    }
    Ok(codings)
}

/// The body before `codings` were applied to it, at most `most` bytes at every stage.
pub(crate) fn decode(
    mut body: Vec<u8>,
    codings: &[Coding],
    most: usize,
) -> Result<Vec<u8>, CodingError> {
    for coding in codings.iter().rev() {
        body = coding.undo(&body, most)?;
    }
    Ok(body)
}

/// What has come out so far.
struct Output {
    bytes: Vec<u8>,
    most: usize,
}

impl Output {
    /// Takes all that `decoder` has, but no more than one byte over the limit.
    fn take(&mut self, decoder: impl Read) -> io::Result<()> {
        let room = self.most.saturating_add(1).saturating_sub(self.bytes.len());
        decoder.take(room as u64).read_to_end(&mut self.bytes)?;
        if self.bytes.len() > self.most {
            // Said better by whoever asked; this only ends it.
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }
}

fn gzip(mut rest: &[u8], out: &mut Output) -> io::Result<()> {
    for _ in 0..MOST_PIECES {
        let mut decoder = GzDecoder::new(rest);
        out.take(&mut decoder)?;
        rest = decoder.into_inner();
        if rest.is_empty() {
            return Ok(());
        }
    }
    Err(io::Error::other("it has too many members"))
}

fn deflate(bytes: &[u8], out: &mut Output) -> io::Result<()> {
    // The wrapper's two bytes name the method and are a multiple of 31 (RFC 1950, section 2.2).
    let wrapped = match bytes {
        [method, check, ..] => {
            method & 0x0f == 8 && u16::from_be_bytes([*method, *check]) % 31 == 0
        }
        _ => false,
    };
    let rest = if wrapped {
        let mut decoder = ZlibDecoder::new(bytes);
        out.take(&mut decoder)?;
        decoder.into_inner()
    } else {
        let mut decoder = DeflateDecoder::new(bytes);
        out.take(&mut decoder)?;
        decoder.into_inner()
    };
    if rest.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other("something follows its end"))
    }
}

fn zstd(mut rest: &[u8], out: &mut Output) -> io::Result<()> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MOST_ZSTD_WINDOW);
    for _ in 0..MOST_PIECES {
        match StreamingDecoder::new_with_decoder(&mut rest, &mut decoder) {
            Ok(mut frame) => {
                let before = out.bytes.len();
                out.take(&mut frame)?;
                whole(&decoder, out.bytes.len() - before)?;
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if rest.len() < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                rest.consume(length);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        if rest.is_empty() {
            return Ok(());
        }
    }
    Err(io::Error::other("it has too many frames"))
}

/// Checks what the decoder leaves to its user: the frame's checksum and length, where it has them.
fn whole(decoder: &FrameDecoder, length: usize) -> io::Result<()> {
    if decoder.get_checksum_from_data().is_some()
        && decoder.get_checksum_from_data() != decoder.get_calculated_checksum()
    {
        return Err(io::Error::other("its checksum is wrong"));
    }
    // 0 is also what a frame has that does not say.
    match decoder.content_size() {
        0 => Ok(()),
        said if said == length as u64 => Ok(()),
        _ => Err(io::Error::other("its length is not what it says")),
    }
}

#[cfg(test)]
mod tests;
