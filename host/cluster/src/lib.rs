//! Many machines, one model.
//!
//! A model that is too big for one machine becomes a pipeline: its layers are divided into stages,
//! each on a node of its own, and [`pipeline::PipelineExecutor`] makes them one
//! [`Executor`](atoll_engine::executor::Executor), so that the scheduler, the prefix cache and the
//! sampler above know nothing of it.
//!
//! - [`node`]: this machine in its cluster: found by others, measuring, holding stages, coordinating.
//! - [`members`]: who is there. [`plan`]: which node runs which layers, and the one check of it.
//!   [`placement`]: the strategies that make plans.
//! - [`transport`]: Zenoh, narrowed. [`identity`]: ids and names. [`interfaces`]: what kind of cable.
//! - [`wire`]: what nodes say to each other, in bytes; the only place that has wire types.
//! - [`desired`]: which models should run. [`route`]: which node answers. [`claims`]: which node places.
//!   [`duplicates`]: which instance stays where there are two.
//!   [`sessions`]: a request that another node answers.
//!   [`link`]: frames from one place to another.
//! - [`stage`]: one stage at work. [`pipeline`]: the chain of them, seen from its coordinator.
//!
//! # What is promised
//!
//! - With hidden states in `f32` a pipeline of batch-invariant stages draws the tokens that one
//!   machine would, bit for bit.
//! - Every message carries the epoch of its plan; one of another epoch changes nothing.
//! - A stage that dies, freezes or is cut off ends the pipeline with a typed error in about a second.
//! - What another node says is checked before it is believed.

pub mod claims;
pub mod desired;
pub mod duplicates;
pub mod error;
pub mod identity;
pub mod interfaces;
pub mod link;
pub mod members;
pub mod node;
pub mod pipeline;
pub mod placement;
pub mod plan;
pub mod route;
pub mod sessions;
pub mod stage;
pub mod transport;
pub mod wire;

pub use error::ClusterError;
pub use node::Cluster;
