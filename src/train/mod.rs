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

pub(crate) mod backward;
pub(crate) mod few_rows;
pub(crate) mod forward;
pub(crate) mod gather;
pub(crate) mod gradient_work;
pub(crate) mod halt;
pub(crate) mod jobs;
pub(crate) mod late;
pub(crate) mod layer;
pub(crate) mod loss;
pub(crate) mod noise;
pub(crate) mod optimizer;
pub(crate) mod own;
pub(crate) mod pass;
pub(crate) mod phase_two;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod run;
pub(crate) mod skip;
pub(crate) mod update;
pub(crate) mod workspace;

#[cfg(test)]
mod tests;
