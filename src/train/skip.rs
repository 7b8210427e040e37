//! Layer 4: which parts of a layer's products with the rows of a batch a step may leave out.
//!
//! Where all rows of some panels share one mask, a dropped unit is a column that those rows don't need. Leaving it out
//! leaves out additions of 0 to chains that start at +0, so the result is the same to the bit; what is saved is the
//! work.

use std::ops::Range;

use super::noise::Draw;
use super::plan::DensePlace;
use super::workspace::Buffers;
use crate::gemm::kept::Kept;
use crate::simd::Element;

/// The least share of a product's multiply-adds that it must leave out: picked rows run in shorter tiles, and the part of a kernel that
/// is left is packed. With rates of .1 on both sides (.19) nothing was gained, with .1 and .25 (.33) a sixth to a fifth of the time.
const LEAST_SAVED: f64 = 0.25;

/// The stochastic layers whose dropped units the products of a dense layer leave out, and for how many panels they
/// stay the same.
pub(crate) struct Skip {
    inputs: Option<usize>,
    outputs: Option<usize>,
    panels: usize,
    /// Panels of all rows before the first of the batch.
    before: usize,
}

impl Skip {
    /// What to leave out at a step; None where nothing is.
    pub(crate) fn new<T: Element>(place: &DensePlace, draws: &[Draw]) -> Option<Self> {
        let (mut panels, mut left, mut before) = (usize::MAX, 1.0, 0);
        let mut side = |noise: Option<usize>| {
            let draw = &draws[noise?];
            panels = panels.min(draw.panels_per_mask(T::LANES)?);
            left *= 1.0 - draw.noise.rate;
            before = draw.origin.first_row / T::LANES;
            noise
        };
        let (inputs, outputs) = (side(place.input_noise), side(place.output_noise));
        (1.0 - left >= LEAST_SAVED).then_some(Self { inputs, outputs, panels, before })
    }

    /// Cuts panels, the first of which is number `first` of its batch, into runs with the same masks.
    ///
    /// # Safety
    /// They were drawn, and nobody draws for them meanwhile.
    pub(crate) unsafe fn runs<'a, T: Element>(
        &self,
        buffers: &Buffers<'a, T>,
        place: &DensePlace,
        draws: &[Draw],
        panels: Range<usize>,
        first: usize,
    ) -> Vec<KeptRun<'a>> {
        let mut runs = Vec::new();
        let mut start = panels.start;
        while start < panels.end {
            let left = self.panels - (self.before + first + start - panels.start) % self.panels;
            let end = panels.end.min(start.saturating_add(left));
            let side = |noise: Option<usize>, value: usize| {
                let Some(noise) = noise else { return &buffers.whole[value] };
                let mask = mask_start::<T>(&draws[noise], &panels, first, start);
                // SAFETY: the caller's promise.
                unsafe { buffers.kept(noise, mask) }
            };
            let (inputs, outputs) = (side(self.inputs, place.layer), side(self.outputs, place.layer + 1));
            runs.push(KeptRun { panels: start..end, inputs, outputs });
            start = end;
        }
        runs
    }
}

/// The first of `panels` that shares the mask of one of them; the first of all is number `first` of its batch.
pub(crate) fn mask_start<T: Element>(draw: &Draw, panels: &Range<usize>, first: usize, panel: usize) -> usize {
    let shared = draw.panels_per_mask(T::LANES).unwrap_or(1);
    let number = draw.origin.first_row / T::LANES + first + panel - panels.start;
    panel.saturating_sub(number % shared).max(panels.start)
}

/// Panels with the same masks, and the inputs and outputs of a dense layer that take part for them.
pub(crate) struct KeptRun<'a> {
    /// The panels.
    pub(crate) panels: Range<usize>,
    /// Inputs.
    pub(crate) inputs: &'a Kept,
    /// Outputs.
    pub(crate) outputs: &'a Kept,
}
