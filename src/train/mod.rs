//! Layer 4: training and prediction of whole networks.
//!
//! * [`layer`], [`plan`]: what a network is, and where its values lie.
//! * [`pass`], [`gather`], [`noise`], [`forward`], [`backward`]: phase one of a step, the batch through the network and back.
//! * [`phase_two`], [`update`], [`late`], [`jobs`]: phase two, weight gradients into the optimizer.
//! * [`own`]: which features and weights belong to which member of a team.
//! * [`skip`], [`gradient_work`]: what products may leave out where rows share a mask.
//! * [`run`]: a run of batches, and [`halt`], where it ends early; [`predict`]: inference and Monte Carlo averages; [`few_rows`]: inference for a few rows.
//! * [`loss`], [`optimizer`]: their formulas.
//! * [`workspace`]: the buffers.

pub mod backward;
pub mod few_rows;
pub mod forward;
pub mod gather;
pub mod gradient_work;
pub mod halt;
pub mod jobs;
pub mod late;
pub mod layer;
pub mod loss;
pub mod noise;
pub mod optimizer;
pub mod own;
pub mod pass;
pub mod phase_two;
pub mod plan;
pub mod predict;
pub mod run;
pub mod skip;
pub mod update;
pub mod workspace;

#[cfg(test)]
mod tests;
