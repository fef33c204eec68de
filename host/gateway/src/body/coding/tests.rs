use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

const MOST: usize = 1 << 20;

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

type Encode = fn(&[u8]) -> Vec<u8>;

/// Every way to encode, with the coding that undoes it.
fn encodings() -> [(Coding, Encode); 4] {
    [
        (Coding::Gzip, gzipped),
        (Coding::Deflate, zlib),
        (Coding::Deflate, raw_deflate),
        (Coding::Zstd, zstandard),
    ]
}

fn malformed(coding: Coding, bytes: &[u8]) -> String {
    match coding.undo(bytes, MOST) {
        Err(error @ CodingError::Malformed { .. }) => error.to_string(),
        other => panic!("{coding:?}: {other:?}"),
    }
}

/// A zstd frame of one block that repeats a byte, without a length or a checksum: four bytes of it for any size.
fn repeated(byte: u8, times: u32) -> Vec<u8> {
    // Magic number; no flags; a window of 128 KiB; last block, kind RLE, size.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    frame.extend_from_slice(&(1 | 1 << 1 | times << 3).to_le_bytes()[..3]);
    frame.push(byte);
    frame
}

/// What the reference implementation made of forty questions, at its level 3, with a checksum and without a length.
const REFERENCE: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x00, 0xd5, 0x00, 0x00, 0x98, 0x57, 0x68, 0x61, 0x74, 0x20, 0x69,
    0x73, 0x20, 0x61, 0x20, 0x64, 0x69, 0x61, 0x6c, 0x65, 0x63, 0x74, 0x3f, 0x20, 0x01, 0x00, 0xc5,
    0x59, 0x35, 0xc3, 0xac, 0xee, 0x2c, 0x23,
];

#[test]
fn what_the_reference_implementation_encoded_is_read() {
    let text = "What is a dialect? ".repeat(40);
    assert_eq!(Coding::Zstd.undo(REFERENCE, MOST).unwrap(), text.as_bytes());
    // One bit of its checksum, which is its end.
    let mut wrong = REFERENCE.to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(malformed(Coding::Zstd, &wrong).contains("checksum"));
}

#[test]
fn nothing_may_be_missing_or_follow() {
    let text = b"{\"model\": \"atoll-demo\", \"input\": \"Hello hello hello hello\"}";
    for (coding, encode) in encodings() {
        let whole = encode(text);
        for length in 0..whole.len() {
            malformed(coding, &whole[..length]);
        }
        malformed(coding, &[&whole[..], b"garbage"].concat());
        malformed(coding, b"{\"model\": \"atoll-demo\"}");
    }
}

#[test]
fn members_and_frames_follow_one_another_but_not_without_end() {
    for (coding, encode) in [
        (Coding::Gzip, gzipped as fn(&[u8]) -> Vec<u8>),
        (Coding::Zstd, zstandard),
    ] {
        let two = [encode(b"one "), encode(b""), encode(b"two")].concat();
        assert_eq!(coding.undo(&two, MOST).unwrap(), b"one two");
        let many = encode(b"").repeat(MOST_PIECES + 1);
        assert!(malformed(coding, &many).contains("too many"));
    }
    // A skippable frame is skipped, wherever it stands.
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let body = [&skipped[..], &zstandard(b"text"), &skipped].concat();
    assert_eq!(Coding::Zstd.undo(&body, MOST).unwrap(), b"text");
    malformed(Coding::Zstd, &skipped[..10]);
}

#[test]
fn a_bomb_goes_off_nowhere() {
    for (coding, encode) in encodings() {
        let bomb = encode(&vec![0; MOST + 1]);
        assert!(bomb.len() < MOST / 20, "{coding:?}: {}", bomb.len());
        let error = coding.undo(&bomb, MOST).unwrap_err();
        assert!(matches!(error, CodingError::TooLarge), "{error}");
        assert_eq!(
            coding.undo(&encode(&vec![0; MOST]), MOST).unwrap().len(),
            MOST
        );
    }
    // 256 times 128 KiB from 2.5 KB.
    let many = repeated(b' ', 128 << 10).repeat(256);
    let error = Coding::Zstd.undo(&many, MOST).unwrap_err();
    assert!(matches!(error, CodingError::TooLarge), "{error}");
    // Small outside, large inside, larger inside that.
    let nested = gzipped(&zstandard(&vec![0; MOST + 1]));
    let error = decode(nested, &[Coding::Zstd, Coding::Gzip], MOST).unwrap_err();
    assert!(matches!(error, CodingError::TooLarge), "{error}");
}

#[test]
fn a_window_is_not_taken_at_its_word() {
    // The header claims a window of 3.75 TiB, then one of 16 MiB; the last is what may be.
    for (window, good) in [(0xff, false), (0x70, false), (0x68, true)] {
        let mut frame = repeated(b'x', 5);
        frame[5] = window;
        assert_eq!(Coding::Zstd.undo(&frame, MOST).is_ok(), good, "{window:x}");
    }
}

#[test]
fn a_length_that_is_not_true_is_refused() {
    // One segment whose length is in one byte.
    let mut frame = repeated(b'x', 5);
    frame[4] = 0x20;
    for (said, good) in [(4, false), (5, true), (6, false)] {
        frame[5] = said;
        assert_eq!(Coding::Zstd.undo(&frame, MOST).is_ok(), good, "{said}");
    }
}

#[test]
fn lists_of_codings() {
    let list = |lines: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
        }
        codings(&headers)
    };
    assert_eq!(list(&[]).unwrap(), []);
    assert_eq!(list(&["identity", ""]).unwrap(), []);
    assert_eq!(
        list(&["X-GZip , zstd", "deflate"]).unwrap(),
        [Coding::Gzip, Coding::Zstd, Coding::Deflate]
    );
    assert!(matches!(list(&["gzip, br"]), Err(UnknownCoding::Name(name)) if name == "br"));
    assert!(matches!(
        list(&["gzip, gzip", "gzip, gzip"]),
        Err(UnknownCoding::TooMany)
    ));
}

proptest! {
    #[test]
    fn what_was_encoded_comes_out(
        text in prop::collection::vec(prop::num::u8::ANY, 0..4000),
        ways in prop::collection::vec(0..4usize, 1..=MOST_CODINGS),
    ) {
        let encodings = encodings();
        let body = ways.iter().fold(text.clone(), |body, &way| encodings[way].1(&body));
        let codings: Vec<_> = ways.iter().map(|&way| encodings[way].0).collect();
        prop_assert_eq!(decode(body, &codings, MOST).unwrap(), text);
    }

    #[test]
    fn no_bytes_break_a_decoder(
        bytes in prop::collection::vec(prop::num::u8::ANY, 0..600),
        at in prop::num::usize::ANY,
        way in 0..4usize,
    ) {
        // Bytes of chance, and true ones with a stretch of chance in them.
        let (coding, encode) = encodings()[way];
        let _ = coding.undo(&bytes, MOST);
        let mut body = encode(&b"What is a dialect? ".repeat(50));
        let at = at % body.len();
        for (place, byte) in body[at..].iter_mut().zip(bytes.iter().take(4)) {
            *place = *byte;
        }
        let _ = coding.undo(&body, MOST);
    }
}
