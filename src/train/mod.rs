//! Layer 4: training and prediction of whole networks.
//!
//! * [`loss`], [`optimizer`]: their formulas.

pub mod loss;
pub mod optimizer;
