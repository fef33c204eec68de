//! One file: fetched into `HASH.NAME.part`, resumed where it broke off, verified, renamed to `HASH.NAME`.
//!
//! The name says what the content must be, so a file without `.part` is one that was verified, whichever
//! revision it was fetched for. Disk and hash work runs on blocking threads, a megabyte at a time.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::time::Duration;

use cap_std::fs::{Dir, File, OpenOptions};
use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};

use crate::client::{Client, accepted};
use crate::hash::Hasher;
use crate::manifest::WantedFile;
use crate::{Digest, HubError, HubOptions, RepoId};

/// Bytes handed to a blocking thread at once.
const BLOCK: usize = 1 << 20;
/// Longest pause between attempts, whatever the hub asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A folder that is ours as long as this lives. All disk work has a share in it: work that goes on after its
/// download was given up keeps the next one out until it is through.
pub(crate) struct Locked {
    pub dir: Dir,
    pub _lock: std::fs::File,
}

impl std::ops::Deref for Locked {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.dir
    }
}

/// Where the files of one model are gathered.
#[derive(Clone)]
pub(crate) struct Staging {
    pub dir: Arc<Locked>,
    pub repo: RepoId,
    pub revision: String,
}

/// The name of a verified file in the staging folder.
pub(crate) fn staged_name(file: &WantedFile) -> String {
    format!("{}.{}", file.digest.hex(), file.name)
}

fn part_name(file: &WantedFile) -> String {
    format!("{}.part", staged_name(file))
}

/// Bytes of `file` that are in the staging folder already.
pub(crate) fn staged_bytes(dir: &Dir, file: &WantedFile) -> u64 {
    let length = |name: String| dir.metadata(name).ok().map(|metadata| metadata.len());
    length(staged_name(file))
        .or_else(|| length(part_name(file)))
        .map_or(0, |length| length.min(file.size))
}

/// Makes sure that `file` is in the staging folder, verified. `report` hears how many bytes are there.
pub(crate) async fn fetch(
    client: &Client,
    options: &HubOptions,
    staging: &Staging,
    file: &WantedFile,
    report: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), HubError> {
    if staging.dir.exists(staged_name(file)) {
        return Ok(());
    }
    let mut part = open(staging, file).await?;
    // What an earlier pull left may be damaged; then, and only then, a wrong hash is tried again.
    let mut may_be_damaged = part.have > 0;
    loop {
        part = complete(client, options, staging, file, part, report).await?;
        let actual = part.hasher.clone().finish();
        if actual == file.digest {
            return publish(staging, file, part).await;
        }
        part = restart(file, part).await?;
        if !may_be_damaged {
            let name = part_name(file);
            let dir = Arc::clone(&staging.dir);
            blocking(move || dir.remove_file(&name).map_err(HubError::disk(name))).await?;
            return Err(HubError::WrongHash {
                repo: staging.repo.to_string(),
                file: file.name.clone(),
                expected: file.digest.to_string(),
                actual: actual.to_string(),
            });
        }
        may_be_damaged = false;
    }
}

/// An open `.part` file and the hash of what is in it.
struct Part {
    file: File,
    hasher: Hasher,
    have: u64,
    _folder: Arc<Locked>,
}

/// Opens the part and hashes what it has.
async fn open(staging: &Staging, file: &WantedFile) -> Result<Part, HubError> {
    let dir = Arc::clone(&staging.dir);
    let name = part_name(file);
    let (size, digest) = (file.size, file.digest.clone());
    blocking(move || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let disk = |error| HubError::disk(name.clone())(error);
        let mut open = dir.open_with(&name, &options).map_err(disk)?;
        let mut hasher = Hasher::of(&digest, size);
        let mut have = 0u64;
        let mut buffer = vec![0; BLOCK];
        loop {
            let count = open.read(&mut buffer).map_err(disk)?;
            if count == 0 {
                break;
            }
            have += count as u64;
            if have > size {
                break;
            }
            hasher.update(buffer.get(..count).unwrap_or_default());
        }
        let part = Part {
            file: open,
            hasher,
            have,
            _folder: dir,
        };
        if have > size {
            emptied(part, &digest, size).map_err(disk)
        } else {
            Ok(part)
        }
    })
    .await
}

/// Fetches until all bytes are there. An attempt that brings bytes costs nothing.
async fn complete(
    client: &Client,
    options: &HubOptions,
    staging: &Staging,
    file: &WantedFile,
    mut part: Part,
    report: &(dyn Fn(u64) + Send + Sync),
) -> Result<Part, HubError> {
    let mut failures = 0;
    report(part.have);
    while part.have < file.size {
        let before = part.have;
        let broke = match request(client, staging, file, part.have).await {
            Ok((response, from)) => {
                if from != part.have {
                    part = restart(file, part).await?;
                }
                let (rest, result) = receive(file, part, response, report).await?;
                part = rest;
                result
            }
            Err(error) => Err(error),
        };
        let Err(error) = broke else { continue };
        failures = if part.have > before { 0 } else { failures + 1 };
        let pause = pause(&error, options.first_pause, failures);
        match pause {
            Some(pause) if failures < options.attempts => {
                tracing::debug!(file = file.name, have = part.have, %error, ?pause, "going on");
                tokio::time::sleep(pause).await;
            }
            _ => return Err(error),
        }
    }
    Ok(part)
}

/// How long to wait before going on, or `None` when asking again is no use.
fn pause(error: &HubError, first: Duration, failures: u32) -> Option<Duration> {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(10));
    match error {
        HubError::Transport { .. } => Some(doubled.min(LONGEST_PAUSE)),
        HubError::Status {
            status: 408 | 429 | 500..=599,
            retry_after,
            ..
        } => Some(retry_after.unwrap_or(doubled).min(LONGEST_PAUSE)),
        _ => None,
    }
}

/// Asks for the rest; gives the answer and the position at which its bytes begin.
async fn request(
    client: &Client,
    staging: &Staging,
    file: &WantedFile,
    have: u64,
) -> Result<(Response, u64), HubError> {
    let response = client
        .file(&staging.repo, &staging.revision, &file.name, have)
        .await?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && have > 0 {
        // The file is shorter than what we have of it: begin again, and let the hash decide.
        let whole = client
            .file(&staging.repo, &staging.revision, &file.name, 0)
            .await?;
        return Ok((accepted(&staging.repo, &file.name, whole)?, 0));
    }
    let response = accepted(&staging.repo, &file.name, response)?;
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok((response, 0));
    }
    let begins = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            value
                .strip_prefix("bytes ")?
                .split_once('-')?
                .0
                .parse()
                .ok()
        });
    if begins == Some(have) {
        return Ok((response, have));
    }
    Err(HubError::Transport {
        what: file.name.clone(),
        reason: "the hub sent another range than it was asked for".to_owned(),
    })
}

/// Writes what comes. The inner result says whether the answer ended well; the part is kept either way.
async fn receive(
    file: &WantedFile,
    mut part: Part,
    mut response: Response,
    report: &(dyn Fn(u64) + Send + Sync),
) -> Result<(Part, Result<(), HubError>), HubError> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut ended = false;
    let mut result = Ok(());
    while !ended {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let coming = part.have + block.len() as u64 + chunk.len() as u64;
                if coming > file.size {
                    result = Err(HubError::Transport {
                        what: file.name.clone(),
                        reason: "the hub sent more bytes than its listing says".to_owned(),
                    });
                    ended = true;
                } else {
                    block.extend_from_slice(&chunk);
                }
            }
            Ok(None) => {
                ended = true;
                if part.have + (block.len() as u64) < file.size {
                    result = Err(HubError::Transport {
                        what: file.name.clone(),
                        reason: "the answer ended early".to_owned(),
                    });
                }
            }
            Err(error) => {
                result = Err(HubError::transport(&file.name, &error));
                ended = true;
            }
        }
        if block.len() >= BLOCK || ended {
            part = append(file, part, std::mem::take(&mut block)).await?;
            report(part.have);
        }
    }
    Ok((part, result))
}

async fn append(file: &WantedFile, mut part: Part, block: Vec<u8>) -> Result<Part, HubError> {
    if block.is_empty() {
        return Ok(part);
    }
    let name = file.name.clone();
    blocking(move || {
        let written = part
            .file
            .seek(SeekFrom::Start(part.have))
            .and_then(|_| part.file.write_all(&block));
        written.map_err(HubError::disk(name))?;
        part.hasher.update(&block);
        part.have += block.len() as u64;
        Ok(part)
    })
    .await
}

/// Throws away what the part has.
async fn restart(file: &WantedFile, part: Part) -> Result<Part, HubError> {
    let (name, digest, size) = (file.name.clone(), file.digest.clone(), file.size);
    blocking(move || emptied(part, &digest, size).map_err(HubError::disk(name))).await
}

fn emptied(mut part: Part, digest: &Digest, size: u64) -> std::io::Result<Part> {
    part.file.set_len(0)?;
    part.file.rewind()?;
    part.hasher = Hasher::of(digest, size);
    part.have = 0;
    Ok(part)
}

/// On the disk for good, then under the name that says so.
async fn publish(staging: &Staging, file: &WantedFile, part: Part) -> Result<(), HubError> {
    let dir = Arc::clone(&staging.dir);
    let (from, to) = (part_name(file), staged_name(file));
    blocking(move || {
        let renamed = part
            .file
            .sync_all()
            .and_then(|()| dir.rename(&from, &dir.dir, &to));
        renamed.map_err(HubError::disk(to))
    })
    .await
}

/// Runs disk work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HubError> + Send + 'static,
) -> Result<T, HubError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(HubError::Disk {
            what: "disk work".to_owned(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let status = |status, seconds: Option<u64>| HubError::Status {
            status,
            what: "x".to_owned(),
            retry_after: seconds.map(Duration::from_secs),
        };
        let first = Duration::from_secs(1);
        assert_eq!(pause(&status(503, None), first, 1), Some(first));
        assert_eq!(pause(&status(503, None), first, 3), Some(first * 4));
        assert_eq!(pause(&status(503, None), first, 99), Some(LONGEST_PAUSE));
        assert_eq!(pause(&status(429, Some(7)), first, 1), Some(first * 7));
        assert_eq!(
            pause(&status(429, Some(99_999)), first, 1),
            Some(LONGEST_PAUSE)
        );
        assert_eq!(pause(&status(400, None), first, 1), None);
        let gone = HubError::NotFound {
            repo: "a/b".to_owned(),
        };
        assert_eq!(pause(&gone, first, 1), None);
    }
}
