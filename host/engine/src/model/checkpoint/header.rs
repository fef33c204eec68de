//! The header of one safetensors file: untrusted bytes to checked tensor ranges.
//!
//! Layout: `u64` little-endian header length, that many bytes of JSON
//! (`{"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}`), then the
//! data that the offsets are relative to.
//!
//! A header that passes has: every range inside the data, ranges that neither overlap nor leave
//! holes, `product(shape) * size(dtype)` equal to the range's length without overflow, and no name
//! twice. These are the format's own rules; keeping all of them means that a file is read the same
//! way here as everywhere else.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::Dtype;

/// Longest header read, as in the reference implementation. A 1000-layer model needs about 2 MB.
pub(super) const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Most tensors in one file. The largest mixture-of-experts checkpoints have about 100,000 in all.
const MAX_TENSORS: usize = 1 << 20;

/// Most axes of a tensor. Transformers use up to 3, convolutions 5.
const MAX_RANK: usize = 8;

/// One tensor, its range relative to the start of the data.
#[derive(Debug, PartialEq)]
pub(super) struct HeaderTensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub begin: u64,
    pub len: u64,
}

/// Parses the JSON part of a header whose file has `data_len` bytes of data.
///
/// The error is the rule that is broken, for people.
pub(super) fn parse(json: &[u8], data_len: u64) -> Result<Vec<HeaderTensor>, String> {
    // Nesting cannot exhaust the stack: serde_json skips `__metadata__` without recursion, and stops
    // at a depth of 128 elsewhere.
    let Header(raw) = serde_json::from_slice(json).map_err(|error| format!("header: {error}"))?;
    let mut tensors = raw.into_iter().map(check).collect::<Result<Vec<_>, _>>()?;
    tensors.sort_by_key(|tensor| (tensor.begin, tensor.len));
    let mut end = 0;
    for tensor in &tensors {
        if tensor.begin != end {
            let what = if tensor.begin < end {
                "overlaps another"
            } else {
                "leaves a hole before it"
            };
            return Err(format!(
                "tensor `{}` {what} (it begins at {}, not {end})",
                tensor.name, tensor.begin
            ));
        }
        end = tensor
            .begin
            .checked_add(tensor.len)
            .ok_or("offsets overflow")?;
    }
    if end != data_len {
        return Err(format!(
            "the header describes {end} bytes of data, the file has {data_len} (truncated download?)"
        ));
    }
    Ok(tensors)
}

fn check((name, raw): (String, RawTensor)) -> Result<HeaderTensor, String> {
    if raw.shape.len() > MAX_RANK {
        return Err(format!(
            "tensor `{name}` has {} axes, more than {MAX_RANK}",
            raw.shape.len()
        ));
    }
    let [begin, end] = raw.data_offsets;
    let len = end
        .checked_sub(begin)
        .ok_or_else(|| format!("tensor `{name}` ends before it begins"))?;
    let expected = raw
        .shape
        .iter()
        .try_fold(raw.dtype.size() as u64, |bytes, &axis| {
            bytes.checked_mul(axis)
        });
    if expected != Some(len) {
        return Err(format!(
            "tensor `{name}` of type {} and shape {:?} cannot have {len} bytes",
            raw.dtype, raw.shape
        ));
    }
    let shape = raw
        .shape
        .iter()
        .map(|&axis| usize::try_from(axis))
        .collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| format!("tensor `{name}` is too large for this machine"))?;
    Ok(HeaderTensor {
        name,
        dtype: raw.dtype,
        shape,
        begin,
        len,
    })
}

#[derive(Deserialize)]
struct RawTensor {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The header's entries in file order. A map type would let a second tensor of the same name
/// silently replace the first.
struct Header(Vec<(String, RawTensor)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut names = HashSet::new();
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!(
                            "tensor `{name}` appears twice"
                        )));
                    }
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    if tensors.len() == MAX_TENSORS {
                        return Err(A::Error::custom(format_args!(
                            "more than {MAX_TENSORS} tensors"
                        )));
                    }
                    let tensor = map.next_value()?;
                    tensors.push((name, tensor));
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"F32","shape":[2,3],"data_offsets":[4,28]},
        "a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},
        "empty":{"dtype":"U32","shape":[0,7],"data_offsets":[28,28]}}"#;

    #[test]
    fn reads_a_good_header() {
        let tensors = parse(GOOD.as_bytes(), 28).unwrap();
        let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "empty"]);
        assert_eq!(
            (tensors[1].begin, tensors[1].len, tensors[1].dtype),
            (4, 24, Dtype::F32)
        );
    }

    #[test]
    fn each_broken_rule_is_named() {
        let tensor = |dtype: &str, shape: &str, begin: u64, end: u64| {
            format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
        };
        let one = |t: String| format!(r#"{{"a":{t}}}"#);
        let two = |a: String, b: String| format!(r#"{{"a":{a},"b":{b}}}"#);
        let cases = [
            (one(tensor("F32", "[2]", 0, 8)), 9, "truncated"),
            (one(tensor("F32", "[2]", 0, 8)), 7, "truncated"),
            (one(tensor("F32", "[3]", 0, 8)), 8, "cannot have"),
            (one(tensor("F32", "[2]", 8, 0)), 8, "ends before"),
            (one(tensor("F32", "[2]", 4, 12)), 12, "hole"),
            (
                two(tensor("U8", "[8]", 0, 8), tensor("U8", "[8]", 4, 12)),
                12,
                "overlaps",
            ),
            (
                one(tensor("F32", "[9223372036854775808,4]", 0, 0)),
                0,
                "cannot have",
            ),
            (
                one(tensor(
                    "F32",
                    "[18446744073709551615,18446744073709551615]",
                    0,
                    4,
                )),
                4,
                "cannot have",
            ),
            (one(tensor("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1)), 1, "axes"),
            (one(tensor("F4", "[2]", 0, 1)), 1, "unknown variant"),
            (one(tensor("U8", "[-1]", 0, 1)), 1, "invalid"),
            (
                format!(r#"{{"a":{0},"a":{0}}}"#, tensor("U8", "[0]", 0, 0)),
                0,
                "twice",
            ),
            ("[]".to_owned(), 0, "object of tensors"),
            // Skipped values cost no stack, others are limited to a depth of 128.
            (
                "{\"__metadata__\":".to_owned() + &"[".repeat(10_000),
                0,
                "EOF",
            ),
        ];
        for (json, data_len, expected) in cases {
            let error = parse(json.as_bytes(), data_len).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        /// Whatever is done to the bytes of a header, what passes still keeps every rule.
        #[test]
        fn mutated_headers_never_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6), data_len in 0_u64..64,
        ) {
            let mut bytes = GOOD.as_bytes().to_vec();
            for (index, byte, kind) in edits {
                let at = index.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, b"0123456789{}[],:\""[byte as usize % 17]),
                    _ => { bytes.remove(at); }
                }
            }
            if let Ok(tensors) = parse(&bytes, data_len) {
                let mut end = 0;
                for tensor in tensors {
                    prop_assert_eq!(tensor.begin, end);
                    end += tensor.len;
                    prop_assert_eq!(tensor.shape.iter().product::<usize>() * tensor.dtype.size(), tensor.len as usize);
                }
                prop_assert_eq!(end, data_len);
            }
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), data_len in any::<u64>()) {
            let _ = parse(&bytes, data_len);
        }
    }
}
