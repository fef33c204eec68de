//! How much of a key's limits is used up. Pure: the time comes in from outside.
//!
//! Requests and tokens flow back evenly, a minute's worth in a minute (a token bucket), so that there
//! is no moment at which everybody's quota returns at once. A request counts when it begins. Tokens are
//! known only as they are made, so a request may begin while any are left and is charged as it goes;
//! what it takes beyond the limit delays the next one.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::KeyLimits;

/// The span that limits are given for.
const MINUTE: Duration = Duration::from_secs(60);

/// When a key with too many requests under way may look again: nobody knows when one ends.
const BUSY: Duration = Duration::from_secs(1);

/// One key's use of its limits.
#[derive(Debug, Clone)]
pub(super) struct Quota {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    concurrent: Option<u32>,
    running: u32,
}

/// Something that is used up and flows back.
#[derive(Debug, Clone)]
struct Bucket {
    limit: f64,
    /// What is left; negative after a charge beyond it.
    level: f64,
    at: Instant,
}

/// What is left of a key's limits, for the headers in which each API says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct RateLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<RateLimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<RateLimit>,
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct RateLimit {
    /// In a minute.
    pub limit: u64,
    /// Left now.
    pub remaining: u64,
    /// Until all of it is back.
    pub reset_ms: u64,
}

/// A request that may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What is used up.
    pub what: &'static str,
    /// When it may begin.
    pub retry_after: Duration,
}

impl Bucket {
    fn new(limit: u32, now: Instant) -> Self {
        Self {
            limit: f64::from(limit),
            level: f64::from(limit),
            at: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        // Clocks of other threads may be a little behind.
        let elapsed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        let back = self.limit * elapsed.as_secs_f64() / MINUTE.as_secs_f64();
        self.level = (self.level + back).min(self.limit);
    }

    /// How long until `level` is there. For ever where nothing flows back.
    fn until(&self, level: f64) -> Duration {
        let missing = (level - self.level).max(0.0);
        let seconds = missing / self.limit * MINUTE.as_secs_f64();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and below u32's range"
    )]
    fn rate_limit(&self) -> RateLimit {
        let reset = self.until(self.limit).as_millis();
        RateLimit {
            limit: self.limit as u64,
            remaining: self.level.max(0.0) as u64,
            reset_ms: u64::try_from(reset).unwrap_or(u64::MAX),
        }
    }
}

impl Quota {
    pub(super) fn new(limits: &KeyLimits, now: Instant) -> Self {
        let bucket = |limit: Option<u32>| limit.map(|limit| Bucket::new(limit, now));
        Self {
            requests: bucket(limits.requests_per_minute),
            tokens: bucket(limits.tokens_per_minute),
            concurrent: limits.concurrent,
            running: 0,
        }
    }

    /// Lets a request begin; it ends with [`release`](Self::release).
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Refusal> {
        self.refill(now);
        let refuse = |what, retry_after| Err(Refusal { what, retry_after });
        if self.concurrent.is_some_and(|most| self.running >= most) {
            return refuse("requests at once", BUSY);
        }
        if let Some(tokens) = &self.tokens
            && tokens.level < 1.0
        {
            return refuse("tokens per minute", tokens.until(1.0));
        }
        if let Some(requests) = &mut self.requests {
            if requests.level < 1.0 {
                return refuse("requests per minute", requests.until(1.0));
            }
            requests.level -= 1.0;
        }
        self.running += 1;
        Ok(())
    }

    /// A request ended.
    pub(super) fn release(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Takes tokens, also beyond what is left.
    pub(super) fn charge(&mut self, tokens: u32, now: Instant) {
        if let Some(bucket) = &mut self.tokens {
            bucket.refill(now);
            bucket.level -= f64::from(tokens);
        }
    }

    pub(super) fn rate_limits(&mut self, now: Instant) -> RateLimits {
        self.refill(now);
        RateLimits {
            requests: self.requests.as_ref().map(Bucket::rate_limit),
            tokens: self.tokens.as_ref().map(Bucket::rate_limit),
        }
    }

    fn refill(&mut self, now: Instant) {
        for bucket in [&mut self.requests, &mut self.tokens].into_iter().flatten() {
            bucket.refill(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(limits: KeyLimits) -> (Quota, Instant) {
        let now = Instant::now();
        (Quota::new(&limits, now), now)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn requests_flow_back_evenly() {
        let (mut quota, start) = quota(KeyLimits {
            requests_per_minute: Some(6),
            ..KeyLimits::default()
        });
        for _ in 0..6 {
            quota.admit(start).unwrap();
        }
        let refusal = quota.admit(start + seconds(4)).unwrap_err();
        assert_eq!(refusal.what, "requests per minute");
        assert!(refusal.retry_after.abs_diff(seconds(6)) < Duration::from_millis(1));
        quota.admit(start + seconds(10)).unwrap();
        assert!(quota.admit(start + seconds(10)).is_err());
        let left = quota.rate_limits(start + seconds(30)).requests.unwrap();
        assert_eq!((left.limit, left.remaining), (6, 2));
        assert_eq!(left.reset_ms, 40_000);
    }

    #[test]
    fn tokens_are_charged_as_they_are_made_and_debts_are_paid_by_waiting() {
        let (mut quota, start) = quota(KeyLimits {
            tokens_per_minute: Some(60),
            ..KeyLimits::default()
        });
        quota.admit(start).unwrap();
        quota.charge(90, start);
        let refusal = quota.admit(start + seconds(10)).unwrap_err();
        assert_eq!(refusal.what, "tokens per minute");
        assert!(refusal.retry_after.abs_diff(seconds(21)) < Duration::from_millis(1));
        quota.admit(start + seconds(32)).unwrap();
        assert!(quota.rate_limits(start).requests.is_none());
    }

    #[test]
    fn requests_at_once_are_counted_until_they_end() {
        let (mut quota, now) = quota(KeyLimits {
            concurrent: Some(2),
            ..KeyLimits::default()
        });
        quota.admit(now).unwrap();
        quota.admit(now).unwrap();
        assert_eq!(quota.admit(now).unwrap_err().what, "requests at once");
        quota.release();
        quota.admit(now).unwrap();
    }

    #[test]
    fn a_limit_of_nothing_allows_nothing() {
        let (mut quota, now) = quota(KeyLimits {
            requests_per_minute: Some(0),
            ..KeyLimits::default()
        });
        let refusal = quota.admit(now + seconds(9999)).unwrap_err();
        assert_eq!(refusal.retry_after, Duration::MAX);
    }

    proptest! {
        /// In no span of time does more get in than the limit plus what flows back in that span, and a
        /// refusal's advice is right.
        #[test]
        fn no_span_admits_more_than_its_share(
            limit in 1..50u32,
            gaps in proptest::collection::vec(0..4000u64, 1..200),
        ) {
            let (mut quota, start) = quota(KeyLimits {
                requests_per_minute: Some(limit),
                ..KeyLimits::default()
            });
            let mut now = start;
            let mut admitted: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                match quota.admit(now) {
                    Ok(()) => admitted.push(now),
                    Err(refusal) => {
                        let early = refusal.retry_after.saturating_sub(Duration::from_millis(1));
                        prop_assert!(quota.admit(now + early).is_err() || early.is_zero());
                        now += refusal.retry_after + Duration::from_millis(1);
                        prop_assert!(quota.admit(now).is_ok());
                        admitted.push(now);
                    }
                }
            }
            for (index, &first) in admitted.iter().enumerate() {
                for (count, &last) in admitted[index..].iter().enumerate() {
                    let span = last.duration_since(first).as_secs_f64();
                    let share = f64::from(limit) * (1.0 + span / 60.0);
                    prop_assert!((count + 1) as f64 <= share + 1e-3, "{} in {span} s", count + 1);
                }
            }
        }
    }
}
