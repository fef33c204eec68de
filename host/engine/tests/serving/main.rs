//! From request to tokens without a model: block pool, scheduler, engine loop, model pool.
//!
//! Everything runs on [`atoll_engine::testing::FakeExecutor`], whose draws depend on every page a
//! sequence ought to have, so an answer that equals the one drawn alone proves the bookkeeping.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod embed;
mod engine;
mod kv;
mod model;
mod policy;
mod pool;
mod rig;
mod scheduler;
mod schemas;
mod window;
