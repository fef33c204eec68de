//! Whether two nodes have the same weights under one name: a hash that takes a moment, not minutes.
//!
//! `config.json` and `tokenizer.json` whole; of each checkpoint file its length, its header (names,
//! types, shapes and places of all tensors) and evenly spaced samples. Another quantisation, another
//! fine-tune or a file cut short give another hash. A few flipped bytes between two samples do not:
//! whole files are verified when they are downloaded.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Bytes read from the beginning of a checkpoint file: headers of the largest models are smaller.
const HEAD: u64 = 8 << 20;

/// Samples of a file, and the bytes of each.
const SAMPLES: u64 = 256;
const SAMPLE: u64 = 4096;

/// The hash of a model's folder, in hex.
///
/// # Errors
/// A file that cannot be read.
pub fn of(folder: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    for name in ["config.json", "tokenizer.json"] {
        let mut file = File::open(folder.join(name))?;
        absorb(&mut hash, &mut file, HEAD)?;
    }
    for path in checkpoint(folder)? {
        let mut file = File::open(&path)?;
        let len = file.metadata()?.len();
        hash.update(len.to_le_bytes());
        absorb(&mut hash, &mut file, HEAD)?;
        for sample in 0..SAMPLES {
            // In u128, because lengths are another's to choose.
            let at = u128::from(len.saturating_sub(SAMPLE)) * u128::from(sample);
            let at = at / u128::from(SAMPLES - 1);
            file.seek(SeekFrom::Start(u64::try_from(at).unwrap_or(u64::MAX)))?;
            absorb(&mut hash, &mut file, SAMPLE)?;
        }
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn checkpoint(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
        })
        .collect();
    files.sort();
    Ok(files)
}

fn absorb(hash: &mut Sha256, file: &mut File, most: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(&bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_counts_and_names_of_folders_do_not() {
        let make = |weights: &[u8], config: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
            std::fs::write(folder.path().join("model.safetensors"), weights).unwrap();
            of(folder.path()).unwrap()
        };
        let weights = vec![7_u8; (HEAD + 3 * SAMPLES * SAMPLE) as usize];
        let usual = make(&weights, "{}");
        assert_eq!(make(&weights, "{}"), usual);
        assert_ne!(make(&weights, "{ }"), usual);
        assert_ne!(make(&weights[1..], "{}"), usual);
        let mut last = weights.clone();
        *last.last_mut().unwrap() = 8;
        assert_ne!(make(&last, "{}"), usual);
        let mut beyond_the_head = weights;
        beyond_the_head[HEAD as usize..].fill(9);
        assert_ne!(make(&beyond_the_head, "{}"), usual);
    }
}
