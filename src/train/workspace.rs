//! Layer 4: the buffers of a network, made once and used by every step.

use std::ops::Range;

use super::layer::{Noise, NoiseKind};
use super::noise::{Drawn, WORD};
use super::plan::Plan;
use crate::aligned::{Aligned, ensure_room, with_room};
use crate::error::Result;
use crate::gemm::kept::Kept;
use crate::parallel::{Shared, TeamPolicy};
use crate::simd::Element;

/// Buffers for batches of up to `panels` panels and teams of up to `members` threads.
pub(crate) struct Workspace<T: Element> {
    /// Panels that fit.
    pub(crate) panels: usize,
    values: Vec<Aligned<T>>,
    bits: Vec<Aligned<T::Bits>>,
    factors: Vec<Aligned<T>>,
    /// `[panel]` for each stochastic layer: the features kept, where panels share its masks.
    kept: Vec<Vec<Kept>>,
    /// For each value, all of its features, if rows share some layer's masks.
    whole: Vec<Kept>,
    /// Gradients of the outputs of dense layers, by rows; before that by panels, each where its rows will be, as are those of the layers
    /// after them.
    rows: Vec<Aligned<T>>,
    /// The gradients that sums have for the values they take.
    skips: Vec<Aligned<T>>,
    locals: Vec<Local<T>>,
    /// How many members are worth it, by what batches took.
    pub(crate) policy: TeamPolicy,
}

/// What each thread has for itself.
pub(crate) struct Local<T: Element> {
    /// The gradient of a value of one panel.
    pub(crate) panel: Aligned<T>,
    /// What the forward pass needs.
    pub(crate) scratch: Scratch<T>,
}

/// What a thread needs for the forward pass, and nobody after it.
pub(crate) struct Scratch<T> {
    /// Decisions of one row.
    pub(crate) words: Vec<u32>,
    /// The part of a kernel that dropout kept; empty until a product leaves something out.
    pub(crate) packed: Vec<T>,
}

impl<T> Scratch<T> {
    /// For the layers of a plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self { words: vec![0; plan.widest().div_ceil(WORD)], packed: Vec::new() }
    }
}

/// Elements from one row of the gradients of `outputs` features to the next: whole cache lines, an odd number of them,
/// so that a column block of many rows does not fall into a few sets of the cache.
pub(crate) fn row_stride<T: Element>(outputs: usize) -> usize {
    (outputs.div_ceil(T::LANES) | 1) * T::LANES
}

impl<T: Element> Workspace<T> {
    /// Buffers for a plan; those that only training needs are empty unless `training`.
    ///
    /// # Errors
    /// [`crate::error::Error::Memory`] where there is no room for them.
    pub(crate) fn new(plan: &Plan, panels: usize, members: usize, training: bool) -> Result<Self> {
        let trained = |len: usize| Aligned::zeros(if training { len } else { 0 });
        let noise = || (0..plan.noise.len()).map(|index| (plan.noise_layer(index), plan.widths[plan.noise[index]]));
        let shares = noise().any(|(noise, _)| noise.sharing.is_of_rows());
        let lanes = panels.saturating_mul(T::LANES);
        let all = |width: usize| width.saturating_mul(lanes);
        let panel = plan.widest_gradient() * T::LANES;
        let factors = |(noise, width): (&Noise, usize)| {
            Aligned::zeros(if noise.kind == NoiseKind::GaussianDropout { all(width) } else { 0 })
        };
        // A vector more, which the products of row groups read.
        let rows = |outputs: usize| trained(all(row_stride::<T>(outputs)).saturating_add(T::LANES));
        let skips = plan.sources.iter().map(|source| plan.widths[source.value]);
        let kept = |width: usize| if shares { panels.saturating_mul(width) } else { 0 };
        ensure_room::<u32>(noise().map(|(_, width)| kept(width)).fold(0, usize::saturating_add))?;
        Ok(Self {
            panels,
            values: plan.buffers.iter().map(|&width| Aligned::zeros(all(width))).collect::<Result<_>>()?,
            bits: noise().map(|(_, width)| Aligned::zeros(all(width.div_ceil(WORD)))).collect::<Result<_>>()?,
            factors: noise().map(factors).collect::<Result<_>>()?,
            kept: noise().map(|_| with_room(panels)).collect::<Result<_>>()?,
            whole: plan.widths.iter().map(|&width| Kept::all::<T>(if shares { width } else { 0 })).collect(),
            rows: plan.dense.iter().map(|dense| rows(dense.outputs)).collect::<Result<_>>()?,
            skips: skips.map(|width| trained(all(width))).collect::<Result<_>>()?,
            locals: (0..members)
                .map(|_| Ok(Local { panel: trained(panel)?, scratch: Scratch::new(plan) }))
                .collect::<Result<_>>()?,
            policy: TeamPolicy::default(),
        })
    }

    /// Threads that have locals.
    pub(crate) fn members(&self) -> usize {
        self.locals.len()
    }

    /// Hands the buffers to a team.
    pub(crate) fn share(&mut self) -> Buffers<'_, T> {
        Buffers {
            values: self.values.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            bits: self.bits.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            factors: self.factors.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            kept: self.kept.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            whole: &self.whole,
            rows: self.rows.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            skips: self.skips.iter_mut().map(|buffer| Shared::new(buffer)).collect(),
            locals: Shared::new(&mut self.locals),
        }
    }
}

/// The buffers of a [`Workspace`] in the hands of a team.
///
/// Between two barriers a panel of `bits`, `factors` and `kept` belongs to one member, or is read by all. Of a panel of `values` or of
/// gradients the features belong to their [owners](super::own), or all of it to one member, or it is read by all. A local belongs
/// to its member.
pub(crate) struct Buffers<'a, T: Element> {
    /// `[panel][width][lane]` for each buffer of the plan.
    pub(crate) values: Vec<Shared<'a, T>>,
    /// `[panel][width / 32][lane]` for each stochastic layer.
    pub(crate) bits: Vec<Shared<'a, T::Bits>>,
    /// `[panel][width][lane]` for each layer of Gaussian noise.
    pub(crate) factors: Vec<Shared<'a, T>>,
    /// `[panel]` for each stochastic layer: the features kept, where panels share its masks, with the first of those that a forward pass
    /// runs together.
    pub(crate) kept: Vec<Shared<'a, Kept>>,
    /// For each value, all of its features, if rows share some layer's masks.
    pub(crate) whole: &'a [Kept],
    /// `[row][stride]` for each dense layer.
    pub(crate) rows: Vec<Shared<'a, T>>,
    /// `[panel][width][lane]` for each value that sums take: their gradients for it.
    pub(crate) skips: Vec<Shared<'a, T>>,
    /// One for each member.
    pub(crate) locals: Shared<'a, Local<T>>,
}

impl<'a, T: Element> Buffers<'a, T> {
    /// Where the bits and the factors of stochastic layer `index` for `panel` lie, over `width` features.
    fn places(&self, index: usize, width: usize, panel: usize) -> (Range<usize>, Range<usize>) {
        let words = width.div_ceil(WORD) * T::LANES;
        let factors = if self.factors[index].is_empty() { 0 } else { width * T::LANES };
        (panel * words..(panel + 1) * words, panel * factors..(panel + 1) * factors)
    }

    /// Room for what stochastic layer `index` draws for `panel`, over `width` features: bits and factors.
    ///
    /// # Safety
    /// The caller has the panel for itself.
    pub(crate) unsafe fn to_draw(&self, index: usize, width: usize, panel: usize) -> (&'a mut [T::Bits], &'a mut [T]) {
        let (bits, factors) = self.places(index, width, panel);
        // SAFETY: the caller's promise.
        unsafe { (self.bits[index].part(bits), self.factors[index].part(factors)) }
    }

    /// What it drew.
    ///
    /// # Safety
    /// Nobody draws for the panel meanwhile.
    pub(crate) unsafe fn drawn(&self, index: usize, width: usize, panel: usize) -> Drawn<'a, T> {
        let (bits, factors) = self.places(index, width, panel);
        // SAFETY: the caller's promise.
        unsafe { Drawn { bits: &self.bits[index].view()[bits], factors: &self.factors[index].view()[factors] } }
    }

    /// What a mask keeps that stochastic layer `index` drew for the panels from `panel` on.
    ///
    /// # Safety
    /// As [`Buffers::drawn`].
    pub(crate) unsafe fn kept(&self, index: usize, panel: usize) -> &'a Kept {
        // SAFETY: the caller's promise.
        unsafe { &self.kept[index].view()[panel] }
    }
}
