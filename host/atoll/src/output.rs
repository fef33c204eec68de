//! The only place that writes to the terminal.
//!
//! Writes are checked: when the reader of a pipe goes away (`atoll models | head -1`) the program
//! ends quietly instead of panicking, which is what `println!` would do.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use crate::error::CliError;

/// Writes one line to standard output.
pub fn line(text: impl fmt::Display) -> Result<(), CliError> {
    check(writeln!(io::stdout().lock(), "{text}"))
}

/// Writes a piece of text to standard output at once, so that it appears as it is generated.
pub fn piece(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    check(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes one line to standard error: what is for the person and not for a pipe.
pub fn note(text: impl fmt::Display) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes over the last line of standard error, for progress that a person watches.
pub fn rewrite(text: impl fmt::Display) {
    let mut out = io::stderr().lock();
    // To the line's beginning, the text, and away with what is left of a longer one.
    let _ = write!(out, "\r{text}\x1b[K").and_then(|()| out.flush());
}

/// Whether a person reads standard error.
pub fn person_reads_errors() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person types.
pub fn person_types() -> bool {
    io::stdin().is_terminal()
}

fn check(written: io::Result<()>) -> Result<(), CliError> {
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::ReaderGone,
        _ => CliError::Output(error.to_string()),
    })
}

/// Rows of equal-width columns; the last column is left as it is.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
    let mut widths: Vec<usize> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let show = |cells: Vec<&str>| {
        let mut out = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            out.push_str(&format!("{cell:width$}  "));
        }
        line(out.trim_end())
    };
    show(header.to_vec())?;
    rows.iter()
        .try_for_each(|row| show(row.iter().map(String::as_str).collect()))
}
