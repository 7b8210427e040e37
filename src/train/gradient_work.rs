//! Layer 4: how much of a weight gradient a step computes.
//!
//! As in [`super::skip`]: what is left out are additions of 0.

use std::ops::Range;

use super::noise::Draw;
use super::plan::DensePlace;
use crate::simd::Element;

/// The least number of rows that leaving out inputs must save per group: the registers of a tile are loaded and stored once a
/// group, which takes the time of about three rows.
const LEAST_ROWS: f64 = 4.0;

/// The same for outputs, which are packed and spread.
const LEAST_ROWS_THIN: f64 = 6.0;

/// Which part of a weight gradient is computed, for which rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GradientWork {
    /// All of it for all rows.
    All,
    /// For groups of so many rows, the inputs that they kept.
    Inputs(usize),
    /// For groups of so many rows, the inputs and the outputs that they kept. Their output gradients by rows hold these
    /// outputs only.
    Thin(usize),
}

impl GradientWork {
    /// What to compute at a step, for a batch of `batch` rows.
    pub(crate) fn new<T: Element>(place: &DensePlace, draws: &[Draw], batch: usize) -> Self {
        let rows = |panels: usize| panels.saturating_mul(T::LANES).min(batch);
        let shared = |noise: Option<usize>| {
            let layer = draws[noise?].noise;
            Some((rows(layer.panels_per_mask(T::LANES)?), layer.rate))
        };
        let (inputs, outputs) = (shared(place.input_noise), shared(place.output_noise));
        if let Some((group, rate)) = outputs {
            let (less, more) = inputs.map_or((group, group), |(other, _)| (group.min(other), group.max(other)));
            // A group keeps one set on either side, and begins with a panel.
            let nested = more.is_multiple_of(less) || more == batch;
            if nested && rate * less as f64 >= LEAST_ROWS_THIN {
                return Self::Thin(less);
            }
        }
        match inputs {
            Some((group, rate)) if rate * group as f64 >= LEAST_ROWS => Self::Inputs(group),
            _ => Self::All,
        }
    }
}

/// Groups of `size` rows of a batch; the last may be short.
pub(crate) fn groups(size: usize, batch: usize) -> impl Iterator<Item = Range<usize>> {
    (0..batch).step_by(size).map(move |start| start..batch.min(start + size))
}
