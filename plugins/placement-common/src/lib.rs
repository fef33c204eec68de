//! What the placement strategies share: a model of cost, and searches over plans.
//!
//! Everything is a pure function of the contract's own types (`wit/placement.wit`): no clock, no
//! randomness, no state. The same code runs inside the strategies' sandbox, and in `atoll plan` to
//! say what a plan of anybody's would cost.
//!
//! - [`cluster`]: the machines and links of a topology that can be used at all.
//! - [`shape`]: a model as prefix sums, so that any range of layers costs a subtraction.
//! - [`unit`](mod@unit): what can hold a stage: one node, or a tensor-parallel group; equal ones counted, not
//!   listed.
//! - [`exact`]: the cheapest plan there is, by dynamic programming. [`ordered`]: the cheapest along
//!   given orders of the nodes, for clusters too large for that.
//! - [`predict`]: what a plan costs: tokens per second, prefill, memory, the bottleneck.
//! - [`strategy`]: `auto`, `spread`, `pack` and `single`.
//!
//! # The model of cost
//!
//! A stage takes, for each of its layers, the longer of reading (active weights, and the keys and
//! values a token looks back at) and arithmetic, and a measured overhead on top; the last one also
//! reads the head. Between stages a hidden state crosses a link: its latency, and its bytes over its
//! bandwidth. One token of one sequence takes the sum of all stages and links; a full pipeline gives
//! one token each time its slowest stage or link is done. A tensor-parallel group of `N` equals one
//! node with `N` times the memory and bandwidth of its weakest member and two all-reduces a layer.
//! Sums and maxima over stages in order: that is what makes an exact search cheap.

pub mod cluster;
pub mod exact;
mod explain;
pub mod ordered;
pub mod predict;
pub mod problem;
pub mod shape;
pub mod strategy;
pub mod unit;

pub use problem::Problem;
