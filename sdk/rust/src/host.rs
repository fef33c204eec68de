//! What a plugin may ask of the host, each module one grant.
//!
//! A component imports an interface only when it calls it, and a host refuses a component that
//! imports what it was not granted, so calling is asking: name it in the descriptor's `wants` too.
//! Outside a component there is no host and every function here panics; keep the calls out of
//! logic that you want to test.

use crate::bindings::imports::atoll::plugin as raw;

/// Lines in the host's log, tagged with the plugin and the request.
pub mod log {
    use super::raw::log;
    pub use super::raw::log::Level;

    /// Writes one line; control characters are escaped by the host, long messages cut.
    pub fn write(level: Level, message: impl AsRef<str>) {
        log::write(level, message.as_ref());
    }

    /// Writes at level trace.
    pub fn trace(message: impl AsRef<str>) {
        write(Level::Trace, message);
    }

    /// Writes at level debug.
    pub fn debug(message: impl AsRef<str>) {
        write(Level::Debug, message);
    }

    /// Writes at level info.
    pub fn info(message: impl AsRef<str>) {
        write(Level::Info, message);
    }

    /// Writes at level warn.
    pub fn warn(message: impl AsRef<str>) {
        write(Level::Warn, message);
    }

    /// Writes at level error.
    pub fn error(message: impl AsRef<str>) {
        write(Level::Error, message);
    }
}

/// Time.
pub mod clock {
    use std::time::Duration;

    use super::raw::clock;

    /// Since 1970-01-01 UTC, in whole milliseconds.
    #[must_use]
    pub fn now() -> Duration {
        Duration::from_millis(clock::now_ms())
    }

    /// Since some fixed point, in whole microseconds; never goes back.
    #[must_use]
    pub fn monotonic() -> Duration {
        Duration::from_micros(clock::monotonic_us())
    }
}

/// Randomness from the host.
pub mod random {
    use super::raw::random;
    use crate::types::Error;

    /// The most the host gives at a time.
    const LARGEST: usize = 4096;

    /// Fills `buffer`, in as many calls as that takes.
    ///
    /// # Errors
    /// The host gave less than was asked for. The buffer is then not random: do not use it.
    pub fn fill(buffer: &mut [u8]) -> Result<(), Error> {
        for chunk in buffer.chunks_mut(LARGEST) {
            // A chunk is at most 4096 long, so the cast is exact.
            let bytes = random::bytes(chunk.len() as u32);
            if bytes.len() != chunk.len() {
                return Err(Error::internal("The host gave too few random bytes."));
            }
            chunk.copy_from_slice(&bytes);
        }
        Ok(())
    }
}

/// The plugin's own settings.
pub mod config {
    use serde::de::DeserializeOwned;

    use super::raw::config;
    use crate::types::Error;

    /// The settings as a JSON object, checked by the host against the plugin's schema.
    #[must_use]
    pub fn settings_json() -> String {
        config::settings()
    }

    /// The settings as a type of yours.
    ///
    /// # Errors
    /// The schema allows something that the type does not.
    pub fn settings<T: DeserializeOwned>() -> Result<T, Error> {
        crate::settings::parse(&settings_json())
    }
}

/// A small store of the plugin's own, bound by a quota.
pub mod kv {
    use super::raw::kv;
    use crate::types::Error;

    /// The value of `key`.
    ///
    /// # Errors
    /// The host's store failed.
    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        kv::get(key)
    }

    /// Sets `key`.
    ///
    /// # Errors
    /// The quota is used up, or the host's store failed.
    pub fn set(key: &str, value: &[u8]) -> Result<(), Error> {
        kv::set(key, value)
    }

    /// Removes `key` if it is there.
    ///
    /// # Errors
    /// The host's store failed.
    pub fn delete(key: &str) -> Result<(), Error> {
        kv::delete(key)
    }

    /// Sets `key` to `value` if it holds `expected` now; says whether it did.
    ///
    /// # Errors
    /// The quota is used up, or the host's store failed.
    pub fn compare_and_set(
        key: &str,
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<bool, Error> {
        kv::compare_and_set(key, expected, value)
    }

    /// Keys that start with `prefix`, sorted, at most `limit`.
    ///
    /// # Errors
    /// The host's store failed.
    pub fn keys(prefix: &str, limit: u32) -> Result<Vec<String>, Error> {
        kv::keys(prefix, limit)
    }
}

/// Tokenization as a loaded model does it.
pub mod tokenizer {
    use super::raw::tokenizer;
    use crate::types::Error;

    /// Tokens in `text`.
    ///
    /// # Errors
    /// No such model, or it is not loaded.
    pub fn count(model: &str, text: &str) -> Result<u32, Error> {
        tokenizer::count(model, text)
    }

    /// Token ids of `text`.
    ///
    /// # Errors
    /// No such model, or it is not loaded.
    pub fn encode(model: &str, text: &str) -> Result<Vec<u32>, Error> {
        tokenizer::encode(model, text)
    }

    /// Text of `tokens`.
    ///
    /// # Errors
    /// No such model or token.
    pub fn decode(model: &str, tokens: &[u32]) -> Result<String, Error> {
        tokenizer::decode(model, tokens)
    }
}

/// Numbers on the host's metrics page, prefixed with the plugin's name.
pub mod metrics {
    use super::raw::metrics;

    /// Adds to a counter.
    pub fn count(name: &str, by: u64) {
        metrics::count(name, by);
    }

    /// Records one value in a histogram.
    pub fn observe(name: &str, value: f64) {
        metrics::observe(name, value);
    }
}

/// HTTP requests to the hosts that were granted.
pub mod http_out {
    use super::raw::http_out;
    pub use super::raw::http_out::{Request, Response};
    use crate::types::Error;

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// Not granted, not reachable, or not in time.
    pub fn send(request: &Request) -> Result<Response, Error> {
        http_out::send(request)
    }
}
