//! A circuit breaker: takes a plugin out after repeated faults, and tries it again later.
//!
//! A pure state machine. Time comes in as a [`Duration`] since any fixed point, never decreasing, so
//! tests need no clock. States: *closed* (calls pass, faults are remembered), *open* (calls are
//! refused until the cool-off ends), *half-open* (one call passes as a trial; its outcome decides).
//! An outcome that says nothing about the plugin (a client went away) must be reported as
//! [`Breaker::abandoned`], or a trial would never end.

use std::collections::VecDeque;
use std::time::Duration;

/// When to trip and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Faults within `window` that trip it; 0 turns the breaker off. Each fault costs one request, so
    /// this is how many requests in a row a broken plugin may spoil.
    pub faults: u32,
    /// How far back faults count.
    pub window: Duration,
    /// How long the plugin stays out the first time; doubles with each failed trial up to `max_cool_off`.
    pub cool_off: Duration,
    /// The longest it stays out before the next trial.
    pub max_cool_off: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            faults: 8,
            window: Duration::from_secs(30),
            cool_off: Duration::from_secs(5),
            max_cool_off: Duration::from_secs(300),
        }
    }
}

/// Whether a call may go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Allowed,
    /// Yes, and its outcome decides whether the breaker closes.
    Trial,
    /// No; ask again after this long.
    Refused {
        /// Time until the next trial.
        retry_after: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Duration,
        cool_off: Duration,
    },
    /// `busy`: a trial is under way.
    HalfOpen {
        busy: bool,
        cool_off: Duration,
    },
}

/// The state machine. One per loaded plugin.
#[derive(Debug, Clone)]
pub struct Breaker {
    options: BreakerOptions,
    state: State,
    /// Times of the last faults while closed, oldest first; never longer than `options.faults`.
    faults: VecDeque<Duration>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(options: BreakerOptions) -> Self {
        Self {
            options,
            state: State::Closed,
            faults: VecDeque::new(),
        }
    }

    /// Asks for permission to call. A `Trial` or `Allowed` must be followed by exactly one of
    /// [`Self::succeeded`], [`Self::faulted`], [`Self::abandoned`] with the admission it was given.
    pub fn admit(&mut self, now: Duration) -> Admission {
        match self.state {
            State::Closed => Admission::Allowed,
            State::Open { until, cool_off } if now >= until => {
                self.state = State::HalfOpen {
                    busy: true,
                    cool_off,
                };
                Admission::Trial
            }
            State::Open { until, .. } => Admission::Refused {
                retry_after: until.saturating_sub(now),
            },
            State::HalfOpen {
                busy: false,
                cool_off,
            } => {
                self.state = State::HalfOpen {
                    busy: true,
                    cool_off,
                };
                Admission::Trial
            }
            State::HalfOpen {
                busy: true,
                cool_off,
            } => Admission::Refused {
                retry_after: cool_off.min(Duration::from_secs(1)),
            },
        }
    }

    /// The call ended well.
    pub fn succeeded(&mut self, admission: Admission) {
        if admission == Admission::Trial && matches!(self.state, State::HalfOpen { .. }) {
            self.state = State::Closed;
            self.faults.clear();
        }
    }

    /// The call ended in a fault of the plugin. Returns true when this tripped the breaker.
    pub fn faulted(&mut self, admission: Admission, now: Duration) -> bool {
        match self.state {
            State::HalfOpen { cool_off, .. } if admission == Admission::Trial => {
                let cool_off = cool_off.saturating_mul(2).min(self.options.max_cool_off);
                self.state = State::Open {
                    until: now.saturating_add(cool_off),
                    cool_off,
                };
                true
            }
            State::Closed => {
                let window = self.options.window;
                while self
                    .faults
                    .front()
                    .is_some_and(|&at| now.saturating_sub(at) >= window)
                {
                    self.faults.pop_front();
                }
                self.faults.push_back(now);
                if self.options.faults == 0 || self.faults.len() < self.options.faults as usize {
                    if self.options.faults == 0 {
                        self.faults.clear();
                    }
                    return false;
                }
                self.faults.clear();
                let cool_off = self.options.cool_off;
                self.state = State::Open {
                    until: now.saturating_add(cool_off),
                    cool_off,
                };
                true
            }
            // A call admitted before the breaker tripped; its fault is one of the same series.
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// The call ended in a way that says nothing about the plugin.
    pub fn abandoned(&mut self, admission: Admission) {
        if admission == Admission::Trial
            && let State::HalfOpen { cool_off, .. } = self.state
        {
            self.state = State::HalfOpen {
                busy: false,
                cool_off,
            };
        }
    }

    /// Whether calls are refused at `now`, without asking for a trial.
    #[must_use]
    pub fn is_open(&self, now: Duration) -> bool {
        matches!(self.state, State::Open { until, .. } if now < until)
    }
}

#[cfg(test)]
mod tests;
