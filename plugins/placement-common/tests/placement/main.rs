//! The searches against exhaustive enumeration, and what each strategy is for.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

mod brute_force;
mod strategies;
mod support;
