//! Layer 4: which parts of a product a step may leave out.
//!
//! Where all rows of some panels share one mask, a dropped unit is a column that those rows don't need. Leaving it out
//! leaves out additions of 0 to chains that start at +0, so the result is the same to the bit; what is saved is the
//! work.

use std::ops::Range;

use super::noise::{Draw, WORD};
use super::plan::DensePlace;
use super::workspace::Buffers;
use crate::gemm::outer::RowGroup;
use crate::gemm::panel::strip_rows;
use crate::simd::Element;

/// The least share of a product's multiply-adds that it must leave out: picked rows run in shorter tiles, and lines of the
/// kernel are read whole. With rates of .1 on both sides (.19) nothing was gained, with .1 and .25 (.33) a quarter of the time.
const LEAST_SAVED: f64 = 0.25;

/// The same for kernels so wide that a strip is fewer than [`FEW_ROWS`] rows: a tile carries its chains on every few steps.
/// With 4096 outputs .33 lost a seventh of the time, .6 gained a seventh.
const LEAST_SAVED_WIDE: f64 = 0.5;

/// See [`LEAST_SAVED_WIDE`].
const FEW_ROWS: usize = 64;

/// The least number of rows that a weight gradient must save per group and tile: its registers are loaded and stored once a
/// group, which takes the time of about three rows.
const LEAST_ROWS: f64 = 4.0;

/// The least rate at which a weight gradient leaves out dropped outputs: spreading what is left costs about five rows, a
/// batch of 64 or more saves more from here on.
const LEAST_THIN_RATE: f64 = 0.1;

/// The stochastic layers whose dropped units the products of a dense layer leave out, and for how many panels they
/// stay the same.
pub struct Skip {
    inputs: Option<usize>,
    outputs: Option<usize>,
    panels: usize,
}

impl Skip {
    /// What to leave out at a step; None where nothing is.
    pub fn new<T: Element>(place: &DensePlace, draws: &[Draw]) -> Option<Self> {
        let (mut panels, mut left) = (usize::MAX, 1.0);
        let mut side = |noise: Option<usize>| {
            let layer = draws[noise?].noise;
            panels = panels.min(layer.panels_per_mask(T::LANES)?);
            left *= 1.0 - layer.rate;
            noise
        };
        let (inputs, outputs) = (side(place.input_noise), side(place.output_noise));
        let wide = strip_rows::<T>(place.outputs) < FEW_ROWS;
        let least = if wide { LEAST_SAVED_WIDE } else { LEAST_SAVED };
        (1.0 - left >= least).then_some(Self { inputs, outputs, panels })
    }

    /// Whether outputs are left out.
    pub fn drops_outputs(&self) -> bool {
        self.outputs.is_some()
    }

    /// Cuts panels, the first of which is number `first` of its batch, into runs with the same masks.
    ///
    /// # Safety
    /// Nobody writes the panels' decisions.
    pub unsafe fn runs<T: Element>(
        &self,
        buffers: &Buffers<'_, T>,
        place: &DensePlace,
        panels: Range<usize>,
        first: usize,
    ) -> Vec<KeptRun> {
        let mut runs = Vec::new();
        let mut start = panels.start;
        while start < panels.end {
            let left = self.panels - (first + start - panels.start) % self.panels;
            let end = panels.end.min(start.saturating_add(left));
            // SAFETY: the caller's promise.
            let (inputs, outputs) = unsafe {
                (
                    kept_of(buffers, self.inputs, place.inputs, start, 0..place.inputs),
                    kept_of(buffers, self.outputs, place.outputs, start, 0..place.outputs),
                )
            };
            runs.push(KeptRun { panels: start..end, inputs, outputs });
            start = end;
        }
        runs
    }
}

/// Panels with the same masks, and the inputs and outputs of a dense layer that take part for them.
pub struct KeptRun {
    /// The panels.
    pub panels: Range<usize>,
    /// Inputs, ascending.
    pub inputs: Vec<u32>,
    /// Outputs, ascending.
    pub outputs: Vec<u32>,
}

/// The indices, of an ascending list, that lie in a strip.
pub fn among<'a>(list: &'a [u32], strip: &Range<usize>) -> &'a [u32] {
    let place = |bound: usize| list.partition_point(|&index| (index as usize) < bound);
    &list[place(strip.start)..place(strip.end)]
}

/// Which of `features` a stochastic layer over `width` features keeps in a panel whose rows share its mask; all without one.
///
/// # Safety
/// Nobody writes the panel's decisions.
unsafe fn kept_of<T: Element>(
    buffers: &Buffers<'_, T>,
    noise: Option<usize>,
    width: usize,
    panel: usize,
    features: Range<usize>,
) -> Vec<u32> {
    let Some(noise) = noise else { return features.map(|feature| feature as u32).collect() };
    let words = width.div_ceil(WORD) * T::LANES;
    // SAFETY: the caller's promise.
    let bits = unsafe { &buffers.bits[noise].view()[panel * words..(panel + 1) * words] };
    let mut kept = Vec::with_capacity(features.len());
    for word in features.start / WORD..features.end.div_ceil(WORD) {
        let first = word * WORD;
        let mut left: u64 = bits[word * T::LANES].into();
        left &= u64::MAX << features.start.saturating_sub(first).min(63);
        left &= (1 << (features.end - first).min(WORD)) - 1;
        while left != 0 {
            kept.push(first as u32 + left.trailing_zeros());
            left &= left - 1;
        }
    }
    kept
}

/// How much of a weight gradient's product a step computes.
pub enum GradientWork {
    /// All of it.
    All,
    /// For each group of rows, the inputs that it kept.
    Groups(Vec<RowGroup>),
    /// One mask for the batch: the inputs, of those asked for, and the outputs that it kept. The output gradients by rows
    /// hold these outputs only.
    Thin(Vec<u32>, Vec<u32>),
}

/// The outputs of a dense layer that a batch kept, where all its rows share one mask on both sides of the layer and leaving
/// out the others pays.
///
/// # Safety
/// Nobody writes the decisions of the batch's first panel.
pub unsafe fn thin_outputs<T: Element>(
    buffers: &Buffers<'_, T>,
    place: &DensePlace,
    draws: &[Draw],
    panel: usize,
) -> Option<Vec<u32>> {
    let shared = |noise: usize| draws[noise].noise.panels_per_mask(T::LANES) == Some(usize::MAX);
    let noise = place.output_noise.filter(|&noise| shared(noise) && draws[noise].noise.rate >= LEAST_THIN_RATE)?;
    if place.input_noise.is_some_and(|noise| !shared(noise)) {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { kept_of(buffers, Some(noise), place.outputs, panel, 0..place.outputs) })
}

/// What to compute of the rows `inputs` of a weight gradient: the inputs that row groups kept, where leaving out the others
/// pays, and with one mask for the batch also the outputs.
///
/// # Safety
/// Nobody writes the decisions of the batch's panels.
pub unsafe fn gradient_work<T: Element>(
    buffers: &Buffers<'_, T>,
    place: &DensePlace,
    draws: &[Draw],
    batch: usize,
    inputs: Range<usize>,
) -> GradientWork {
    // SAFETY: the caller's promise.
    let kept = |panel: usize| unsafe { kept_of(buffers, place.input_noise, place.inputs, panel, inputs.clone()) };
    // SAFETY: as above.
    if let Some(outputs) = unsafe { thin_outputs(buffers, place, draws, 0) } {
        return GradientWork::Thin(kept(0), outputs);
    }
    let Some(noise) = place.input_noise else { return GradientWork::All };
    let layer = draws[noise].noise;
    let Some(panels) = layer.panels_per_mask(T::LANES) else { return GradientWork::All };
    let rows = panels.saturating_mul(T::LANES).min(batch);
    if layer.rate * (rows as f64) < LEAST_ROWS {
        return GradientWork::All;
    }
    let group = |start: usize| RowGroup { rows: start..batch.min(start + rows), kept: kept(start / T::LANES) };
    GradientWork::Groups((0..batch).step_by(rows).map(group).collect())
}
