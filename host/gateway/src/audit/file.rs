//! The audit trail as a file: one JSON object a line, rotated by size.
//!
//! A thread of its own writes, behind a bounded queue, so that a slow disk never holds up the event
//! loop. With `required`, a step waits until its records are written and is refused if they cannot be;
//! without it, records that cannot be written are counted and the log says so.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::SystemTime;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{Audit, AuditError, AuditRecord};

/// Steps that may wait for the disk: at some kilobytes each a few megabytes, and seconds of a busy host.
const QUEUE: usize = 1024;

/// How an audit file is kept.
#[derive(Debug, Clone)]
pub struct AuditFileOptions {
    /// The file; full ones are renamed to `NAME.1`, `NAME.2`, ... with the oldest last.
    pub path: PathBuf,
    /// Size from which the next record begins a new file.
    pub max_bytes: u64,
    /// Full files to keep; the oldest goes when there are more.
    pub keep: u32,
    /// Whether a request whose record cannot be written is refused.
    pub required: bool,
}

impl AuditFileOptions {
    /// 16 files of 64 MiB: about five million requests.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            max_bytes: 64 << 20,
            keep: 16,
            required: false,
        }
    }
}

/// An audit trail in a file. Dropping it writes what is queued.
#[derive(Debug)]
pub struct AuditFile {
    // `None` only while dropping: the thread ends when the queue's last sender is gone.
    queue: Option<SyncSender<Batch>>,
    writer: Option<JoinHandle<()>>,
    name: String,
    required: bool,
    lost: Arc<AtomicU64>,
}

struct Batch {
    lines: Vec<u8>,
    records: u64,
    written: Option<oneshot::Sender<Result<(), AuditError>>>,
}

impl AuditFile {
    /// Opens or creates the file, readable by its owner only, and starts its writer.
    ///
    /// # Errors
    /// The file or its folder cannot be created.
    pub fn open(options: AuditFileOptions) -> Result<Self, AuditError> {
        let name = options.path.display().to_string();
        let fail = |error: io::Error| AuditError {
            file: name.clone(),
            reason: error.to_string(),
        };
        let mut log = Rotated::new(options.clone());
        log.open().map_err(fail)?;
        let (queue, batches) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name("atoll-audit".to_owned())
            .spawn(move || write_all(&mut log, &batches, &counter))
            .map_err(fail)?;
        Ok(Self {
            queue: Some(queue),
            writer: Some(writer),
            name,
            required: options.required,
            lost,
        })
    }

    fn error(&self, reason: &str) -> AuditError {
        AuditError {
            file: self.name.clone(),
            reason: reason.to_owned(),
        }
    }

    /// Queues lines; with `required`, the receiver says when they are written.
    fn queue(
        &self,
        records: &[AuditRecord],
    ) -> Result<Option<oneshot::Receiver<Result<(), AuditError>>>, AuditError> {
        let (written, wait) = if self.required {
            let (sender, receiver) = oneshot::channel();
            (Some(sender), Some(receiver))
        } else {
            (None, None)
        };
        let batch = Batch {
            lines: lines(records, &timestamp(SystemTime::now())),
            records: records.len() as u64,
            written,
        };
        let sent = match &self.queue {
            Some(queue) => queue.try_send(batch),
            None => return Err(self.error("it is being closed")),
        };
        sent.map(|()| wait).map_err(|error| {
            self.lost.fetch_add(records.len() as u64, Ordering::Relaxed);
            self.error(match error {
                TrySendError::Full(_) => "the disk does not keep up",
                TrySendError::Disconnected(_) => "its writer has stopped",
            })
        })
    }
}

impl Audit for AuditFile {
    fn record(&self, records: Vec<AuditRecord>) -> BoxFuture<'_, Result<(), AuditError>> {
        if records.is_empty() {
            return async { Ok(()) }.boxed();
        }
        let queued = self.queue(&records);
        async move {
            let written = match queued {
                Ok(None) => return Ok(()),
                Ok(Some(wait)) => wait
                    .await
                    .unwrap_or_else(|_| Err(self.error("its writer has stopped"))),
                Err(error) => Err(error),
            };
            match written {
                Err(error) if !self.required => {
                    tracing::error!(%error, "audit records were lost");
                    Ok(())
                }
                other => other,
            }
        }
        .boxed()
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for AuditFile {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to write.
            let _ = writer.join();
        }
    }
}

/// The writer thread: until every sender is gone.
fn write_all(log: &mut Rotated, batches: &Receiver<Batch>, lost: &AtomicU64) {
    let mut failing = false;
    while let Ok(batch) = batches.recv() {
        let outcome = log.write(&batch.lines);
        match &outcome {
            Ok(()) if failing => {
                tracing::info!(file = %log.options.path.display(), "the audit trail is written again");
                failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                lost.fetch_add(batch.records, Ordering::Relaxed);
                // Once when it begins: a full disk is not helped by a full log.
                if !failing {
                    tracing::error!(file = %log.options.path.display(), %error, "the audit trail cannot be written");
                    failing = true;
                }
            }
        }
        if let Some(written) = batch.written {
            let outcome = outcome.map_err(|error| AuditError {
                file: log.options.path.display().to_string(),
                reason: error.to_string(),
            });
            // Whoever waited may be gone.
            let _ = written.send(outcome);
        }
    }
}

/// One file and its numbered predecessors.
struct Rotated {
    options: AuditFileOptions,
    file: Option<File>,
    size: u64,
}

impl Rotated {
    fn new(options: AuditFileOptions) -> Self {
        Self {
            options,
            file: None,
            size: 0,
        }
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            if let Some(folder) = self.options.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut how = OpenOptions::new();
            how.create(true).append(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                how.mode(0o600);
            }
            let file = how.open(&self.options.path)?;
            self.size = file.metadata()?.len();
            self.file = Some(file);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the file is not open"))
    }

    /// Whole lines, in one write where the system allows: two processes may share a file.
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let room = self.size.saturating_add(lines.len() as u64) <= self.options.max_bytes;
        if self.size > 0 && !room {
            self.file = None;
            rotate(&self.options.path, self.options.keep)?;
        }
        let written = self.open()?.write_all(lines);
        match written {
            Ok(()) => self.size = self.size.saturating_add(lines.len() as u64),
            // Whatever is wrong with this handle, the next batch tries a new one.
            Err(_) => self.file = None,
        }
        written
    }
}

/// `NAME` becomes `NAME.1`, and so on; the file beyond `keep` goes.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    let ignore_missing = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if keep == 0 {
        return ignore_missing(std::fs::remove_file(path));
    }
    for n in (1..keep).rev() {
        ignore_missing(std::fs::rename(numbered(n), numbered(n + 1)))?;
    }
    ignore_missing(std::fs::rename(path, numbered(1)))
}

fn lines(records: &[AuditRecord], time: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        time: &'a str,
        #[serde(flatten)]
        record: &'a AuditRecord,
    }
    let mut out = Vec::with_capacity(records.len() * 256);
    for record in records {
        // Strings and numbers always have a JSON form.
        if serde_json::to_writer(&mut out, &Line { time, record }).is_ok() {
            out.push(b'\n');
        }
    }
    out
}

/// RFC 3339 in UTC with milliseconds.
fn timestamp(now: SystemTime) -> String {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Civil date from days, by 400-year eras of 146 097 days that begin on 1 March.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{AuditFinding, Decision, Phase};
    use super::*;

    fn record(request: &str) -> AuditRecord {
        AuditRecord {
            request: request.to_owned(),
            dialect: "openai".to_owned(),
            operation: "generate",
            key: None,
            phase: Phase::Request,
            plugin: "redact-pii".to_owned(),
            version: "0.1.0".to_owned(),
            sha256: "00".to_owned(),
            outcome: Decision::Changed,
            fault: None,
            findings: vec![AuditFinding {
                kind: "IBAN_CODE".to_owned(),
                action: "pseudonymise".to_owned(),
                path: "messages[0].parts[0]".to_owned(),
                count: 2,
            }],
        }
    }

    fn read(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn records_are_lines_and_dropping_writes_what_is_queued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/audit.jsonl");
        let audit = AuditFile::open(AuditFileOptions::new(path.clone())).unwrap();
        for i in 0..100 {
            audit.record(vec![record(&format!("r{i}"))]).await.unwrap();
        }
        drop(audit);
        let lines = read(&path);
        assert_eq!(lines.len(), 100);
        assert_eq!(lines[99]["request"], "r99");
        assert_eq!(lines[0]["findings"][0]["count"], 2);
        assert_eq!(lines[0]["outcome"], "changed");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "others must not read it");
        }
    }

    #[tokio::test]
    async fn full_files_are_renamed_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let one_line = lines(&[record("r0")], &timestamp(SystemTime::now())).len() as u64;
        let options = AuditFileOptions {
            max_bytes: one_line * 2,
            keep: 2,
            required: true,
            ..AuditFileOptions::new(path.clone())
        };
        let audit = AuditFile::open(options).unwrap();
        for i in 0..9 {
            audit.record(vec![record(&format!("r{i}"))]).await.unwrap();
        }
        let name = |n: u32| folder.path().join(format!("audit.jsonl.{n}"));
        assert_eq!(read(&path)[0]["request"], "r8");
        assert_eq!(read(&name(1))[0]["request"], "r6");
        assert_eq!(read(&name(2))[1]["request"], "r5");
        assert!(!name(3).exists());
    }

    /// A folder in the file's place cannot be written; a required trail says so, another one counts.
    #[tokio::test]
    async fn what_cannot_be_written_is_refused_or_counted() {
        for required in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("audit.jsonl");
            let options = AuditFileOptions {
                max_bytes: 1,
                keep: 0,
                required,
                ..AuditFileOptions::new(path.clone())
            };
            let audit = AuditFile::open(options).unwrap();
            audit.record(vec![record("a")]).await.unwrap();
            while read(&path).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
            let outcome = audit.record(vec![record("b")]).await;
            assert_eq!(outcome.is_err(), required);
            while audit.lost() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[test]
    fn timestamps() {
        let at = |seconds: u64, millis: u64| {
            timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + millis))
        };
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_795_660_445, 7), "2026-11-26T02:34:05.007Z");
    }
}
