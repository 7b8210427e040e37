//! Layer 4: training and prediction of whole networks.
//!
//! * [`gather`]: rows of a batch into vector lanes and back.
//! * [`loss`], [`optimizer`]: their formulas.

pub mod gather;
pub mod loss;
pub mod optimizer;
