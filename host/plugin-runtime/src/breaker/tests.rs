use std::time::Duration;

use proptest::prelude::*;

use super::{Admission, Breaker, BreakerOptions};

const OPTIONS: BreakerOptions = BreakerOptions {
    faults: 3,
    window: Duration::from_millis(100),
    cool_off: Duration::from_millis(50),
    max_cool_off: Duration::from_millis(150),
};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Trips a fresh breaker at `at`.
fn tripped(at: Duration) -> Breaker {
    let mut breaker = Breaker::new(OPTIONS);
    for _ in 0..3 {
        let admission = breaker.admit(at);
        breaker.faulted(admission, at);
    }
    breaker
}

#[test]
fn trips_on_enough_faults_within_the_window() {
    let mut breaker = Breaker::new(OPTIONS);
    for at in [0, 40, 100] {
        // The first fault is exactly a window old at 100 and no longer counts.
        assert_eq!(breaker.admit(ms(at)), Admission::Allowed);
        assert!(!breaker.faulted(Admission::Allowed, ms(at)));
    }
    assert!(breaker.faulted(Admission::Allowed, ms(101)));
    assert_eq!(
        breaker.admit(ms(121)),
        Admission::Refused {
            retry_after: ms(30)
        }
    );
    assert!(breaker.is_open(ms(150)) && !breaker.is_open(ms(151)));
}

#[test]
fn one_trial_at_a_time_and_success_closes() {
    let mut breaker = tripped(ms(0));
    assert_eq!(breaker.admit(ms(50)), Admission::Trial);
    assert!(matches!(breaker.admit(ms(50)), Admission::Refused { .. }));
    breaker.succeeded(Admission::Trial);
    assert_eq!(breaker.admit(ms(51)), Admission::Allowed);
}

#[test]
fn a_failed_trial_doubles_the_cool_off_up_to_its_bound() {
    let mut breaker = tripped(ms(0));
    let mut now = ms(0);
    for cool_off in [50, 100, 150, 150] {
        now += ms(cool_off) - ms(1);
        assert_eq!(
            breaker.admit(now),
            Admission::Refused { retry_after: ms(1) }
        );
        now += ms(1);
        assert_eq!(breaker.admit(now), Admission::Trial);
        assert!(breaker.faulted(Admission::Trial, now));
    }
}

#[test]
fn an_abandoned_trial_frees_the_way_for_the_next() {
    let mut breaker = tripped(ms(0));
    assert_eq!(breaker.admit(ms(60)), Admission::Trial);
    breaker.abandoned(Admission::Trial);
    assert_eq!(breaker.admit(ms(60)), Admission::Trial);
}

#[test]
fn late_outcomes_of_earlier_calls_change_nothing() {
    let mut breaker = tripped(ms(0));
    breaker.succeeded(Admission::Allowed);
    assert!(!breaker.faulted(Admission::Allowed, ms(10)));
    assert_eq!(
        breaker.admit(ms(20)),
        Admission::Refused {
            retry_after: ms(30)
        }
    );
}

#[test]
fn can_be_turned_off() {
    let mut breaker = Breaker::new(BreakerOptions {
        faults: 0,
        ..OPTIONS
    });
    for _ in 0..1000 {
        assert!(!breaker.faulted(Admission::Allowed, ms(0)));
    }
    assert_eq!(breaker.admit(ms(0)), Admission::Allowed);
}

/// The same rules said over the whole history instead of over a state.
#[derive(Default)]
struct Oracle {
    faults: Vec<Duration>,
    open_until: Option<Duration>,
    cool_off: Duration,
    trial: bool,
}

impl Oracle {
    fn admit(&mut self, now: Duration) -> &'static str {
        match self.open_until {
            None => "allowed",
            Some(until) if now < until || self.trial => "refused",
            Some(_) => {
                self.trial = true;
                "trial"
            }
        }
    }

    fn outcome(&mut self, trial: bool, ok: Option<bool>, now: Duration) {
        if trial {
            self.trial = false;
            match ok {
                Some(true) => {
                    self.open_until = None;
                    self.faults.clear();
                }
                Some(false) => {
                    self.cool_off = (self.cool_off * 2).min(OPTIONS.max_cool_off);
                    self.open_until = Some(now + self.cool_off);
                }
                None => {}
            }
        } else if ok == Some(false) && self.open_until.is_none() {
            self.faults.push(now);
            let recent = self
                .faults
                .iter()
                .filter(|at| now - **at < OPTIONS.window)
                .count();
            if recent >= OPTIONS.faults as usize {
                self.faults.clear();
                self.cool_off = OPTIONS.cool_off;
                self.open_until = Some(now + self.cool_off);
            }
        }
    }
}

proptest! {
    /// Any interleaving of calls and outcomes: the same admissions as the oracle's.
    #[test]
    fn agrees_with_its_history(
        steps in prop::collection::vec((0u64..40, any::<bool>(), 0usize..8, prop::option::of(any::<bool>())), 1..200)
    ) {
        let mut breaker = Breaker::new(OPTIONS);
        let mut oracle = Oracle::default();
        let mut calls: Vec<Admission> = Vec::new();
        let mut now = Duration::ZERO;
        for (wait, begin, which, ok) in steps {
            now += ms(wait);
            if begin || calls.is_empty() {
                let admission = breaker.admit(now);
                let word = match admission {
                    Admission::Allowed => "allowed",
                    Admission::Trial => "trial",
                    Admission::Refused { .. } => "refused",
                };
                prop_assert_eq!(word, oracle.admit(now));
                if word != "refused" {
                    calls.push(admission);
                }
            } else {
                let admission = calls.swap_remove(which % calls.len());
                match ok {
                    Some(true) => breaker.succeeded(admission),
                    Some(false) => { breaker.faulted(admission, now); }
                    None => breaker.abandoned(admission),
                }
                oracle.outcome(admission == Admission::Trial, ok, now);
            }
        }
    }
}
