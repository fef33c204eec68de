//! Times of one thing, and what is said of them.

use std::time::{Duration, Instant};

/// Times of one thing.
pub struct Series {
    name: String,
    times: Vec<Duration>,
}

impl Series {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            times: Vec::new(),
        }
    }

    /// Adds the time since `since` and returns the time now.
    pub fn lap(&mut self, since: Instant) -> Instant {
        let now = Instant::now();
        self.add(now - since);
        now
    }

    /// Adds a time.
    pub fn add(&mut self, time: Duration) {
        self.times.push(time);
    }

    /// In microseconds: the time that so many percent of the rounds stayed below.
    pub fn percentile(&mut self, part: usize) -> f64 {
        self.times.sort();
        let index = (self.times.len() * part / 100).min(self.times.len().saturating_sub(1));
        let time = self.times.get(index);
        time.map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }

    #[expect(clippy::print_stdout, reason = "printing is its purpose")]
    pub fn print(mut self) {
        let (median, slow) = (self.percentile(50), self.percentile(99));
        let rounds = self.times.len();
        println!(
            "{:<44} {median:>10.2} us {slow:>10.2} us  ({rounds} rounds)",
            self.name
        );
    }
}
