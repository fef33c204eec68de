//! From request to tokens without a model: block pool, scheduler, engine loop, model pool.
//!
//! Everything runs on [`atoll_engine::testing::FakeExecutor`], whose draws depend on every page a
//! sequence ought to have, so an answer that equals the one drawn alone proves the bookkeeping.

mod engine;
mod kv;
mod pool;
mod scheduler;
