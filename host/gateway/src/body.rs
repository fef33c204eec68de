//! Reading a request's body, within its limits, and undoing what was done to it on its way.

mod coding;

use axum::body::Body;
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;

use atoll_plugin_runtime::types::{Error, ErrorKind};

use crate::failure;
use crate::options::Limits;
use coding::CodingError;

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The client is to be told.
    Refused(Error),
    /// The client is not there any more.
    Gone,
}

/// The whole body, decoded.
///
/// A body over the limit is read on and thrown away, as much again and for as long as a body may
/// take: answering while a client still sends resets its connection, and the client would never see
/// why. A client that waits for `100 Continue` is told at once.
pub(crate) async fn read(parts: &Parts, body: Body, limits: &Limits) -> Result<Vec<u8>, BodyError> {
    let declared = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    let too_large = declared.is_some_and(|length| length > limits.max_body_bytes);
    if too_large && parts.headers.contains_key(EXPECT) {
        return Err(BodyError::Refused(refusal(limits)));
    }
    let most = limits.max_body_bytes;
    // Trust the declared length for small bodies only: memory follows what really arrives.
    let capacity = declared.unwrap_or(0).min(most).min(1 << 20);
    let reading = async {
        let mut bytes = Vec::with_capacity(capacity);
        let mut seen = 0usize;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| BodyError::Gone)?;
            seen = seen.saturating_add(chunk.len());
            if seen <= most {
                bytes.extend_from_slice(&chunk);
            } else if seen > most.saturating_mul(2) {
                break;
            } else {
                bytes = Vec::new();
            }
        }
        if seen > most {
            Err(BodyError::Refused(refusal(limits)))
        } else {
            Ok(bytes)
        }
    };
    match tokio::time::timeout(limits.read_timeout, reading).await {
        Ok(Ok(bytes)) => decoded(parts, bytes, most).await,
        Ok(result) => result,
        Err(_) if too_large => Err(BodyError::Refused(refusal(limits))),
        Err(_) => {
            let seconds = limits.read_timeout.as_secs();
            let message = format!("the request body did not arrive within {seconds} s");
            Err(BodyError::Refused(failure::error(
                ErrorKind::Timeout,
                message,
            )))
        }
    }
}

/// The body as its sender wrote it. Which codings there are is looked at only now: who still sends would not hear.
async fn decoded(parts: &Parts, bytes: Vec<u8>, most: usize) -> Result<Vec<u8>, BodyError> {
    if bytes.is_empty() {
        return Ok(bytes);
    }
    let invalid =
        |message: String| BodyError::Refused(failure::error(ErrorKind::InvalidArgument, message));
    let codings = coding::codings(&parts.headers).map_err(|error| invalid(error.to_string()))?;
    if codings.is_empty() {
        return Ok(bytes);
    }
    // Tens of milliseconds for the largest body, which no other request is to wait for; and a decoder that breaks
    // on what a stranger sent takes nothing with it.
    let work = tokio::task::spawn_blocking(move || coding::decode(bytes, &codings, most));
    match work.await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(CodingError::TooLarge)) => {
            let message = format!("the request body, once decoded, is larger than {most} bytes");
            Err(BodyError::Refused(failure::error(
                ErrorKind::TooLarge,
                message,
            )))
        }
        Ok(Err(error)) => Err(invalid(error.to_string())),
        Err(error) => {
            tracing::warn!(%error, "a decoder broke on a request's body");
            let message = "the request body cannot be decoded as its Content-Encoding says";
            Err(invalid(message.to_owned()))
        }
    }
}

fn refusal(limits: &Limits) -> Error {
    let message = format!(
        "the request body is larger than {} bytes",
        limits.max_body_bytes
    );
    failure::error(ErrorKind::TooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut builder = http::Request::builder();
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn limits(bytes: usize) -> Limits {
        Limits {
            max_body_bytes: bytes,
            ..Limits::default()
        }
    }

    fn chunks(sizes: &[usize]) -> Body {
        let chunks: Vec<_> = sizes
            .iter()
            .map(|&size| Ok::<_, std::io::Error>(vec![b'x'; size]))
            .collect();
        Body::from_stream(futures::stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let body = read(&parts(&[]), chunks(&[3, 5]), &limits(8))
            .await
            .unwrap();
        assert_eq!(body.len(), 8);
        for sizes in [&[3, 6][..], &[9], &[8, 1, 1], &[100, 100]] {
            let error = read(&parts(&[]), chunks(sizes), &limits(8))
                .await
                .unwrap_err();
            let BodyError::Refused(error) = error else {
                panic!("{error:?}")
            };
            assert!(matches!(error.kind, ErrorKind::TooLarge));
        }
    }

    #[tokio::test]
    async fn an_unknown_coding_is_refused_by_its_name() {
        for coding in ["snappy", "identity, BR"] {
            let parts = parts(&[("content-encoding", coding)]);
            let error = read(&parts, chunks(&[3]), &limits(8)).await.unwrap_err();
            let BodyError::Refused(error) = error else {
                panic!("{error:?}")
            };
            let named = coding.rsplit(' ').next().unwrap().to_lowercase();
            assert!(error.message.contains(&named), "{}", error.message);
            assert!(matches!(error.kind, ErrorKind::InvalidArgument));
            let nothing = read(&parts, chunks(&[]), &limits(8)).await.unwrap();
            assert!(nothing.is_empty());
        }
        let parts = parts(&[("content-encoding", "identity")]);
        assert_eq!(
            read(&parts, chunks(&[3]), &limits(8)).await.unwrap(),
            b"xxx"
        );
    }

    #[tokio::test]
    async fn the_limit_is_that_of_the_decoded_body() {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&[b'x'; 1000]).unwrap();
        let small = encoder.finish().unwrap();
        assert!(small.len() < 100, "{}", small.len());
        let parts = parts(&[("content-encoding", "gzip")]);
        let body = read(&parts, Body::from(small.clone()), &limits(1000)).await;
        assert_eq!(body.unwrap(), [b'x'; 1000]);
        let error = read(&parts, Body::from(small), &limits(999)).await;
        let BodyError::Refused(error) = error.unwrap_err() else {
            panic!("the client is there")
        };
        assert!(matches!(error.kind, ErrorKind::TooLarge));
        assert!(error.message.contains("999"), "{}", error.message);
    }

    #[tokio::test]
    async fn who_waits_for_continue_is_refused_without_reading() {
        let parts = parts(&[("content-length", "9"), ("expect", "100-continue")]);
        let never =
            Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let error = read(&parts, never, &limits(8)).await.unwrap_err();
        assert!(matches!(error, BodyError::Refused(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_times_out() {
        let never =
            Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let error = read(&parts(&[]), never, &limits(8)).await.unwrap_err();
        let BodyError::Refused(error) = error else {
            panic!("{error:?}")
        };
        assert!(matches!(error.kind, ErrorKind::Timeout));
    }
}
