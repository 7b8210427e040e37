//! Layer 4: a network in the hands of a team: its parameters and buffers, what of them is whose, and what a pass begins with.

use std::ops::Range;

use super::gather::{Gather, Input, Rescaling};
use super::layer::Layer;
use super::noise::{Draw, WORD};
use super::own::own;
use super::plan::{DensePlace, Plan};
use super::skip::mask_start;
use super::workspace::{Buffers, row_stride};
use crate::parallel::{Member, View};
use crate::simd::{Element, Simd};

/// One batch of a run.
pub(crate) struct Batch<'a> {
    /// Row numbers in the data set.
    pub(crate) rows: &'a [i64],
    /// Place of the first row in the run.
    pub(crate) first: usize,
    /// Its stochastic layers.
    pub(crate) draws: &'a [Draw],
}

impl Batch<'_> {
    /// The row numbers of a panel.
    pub(crate) fn lanes<T: Element>(&self, panel: usize) -> &[i64] {
        let first = panel * T::LANES;
        &self.rows[first..self.rows.len().min(first + T::LANES)]
    }
}

/// Panels that a team takes through the network together.
pub(crate) struct Group<'a> {
    /// The panels.
    pub(crate) panels: Range<usize>,
    /// Which row of its batch is the first of the first panel.
    pub(crate) first_row: usize,
    /// The member of the team.
    pub(crate) member: &'a Member<'a>,
}

impl Group<'_> {
    /// The features, of `width`, that are this member's.
    pub(crate) fn own<T: Element>(&self, width: usize) -> Range<usize> {
        own::<T>(width, self.member.index, self.member.size)
    }

    /// The panels that are this member's, for a pass that it makes alone.
    pub(crate) fn mine<'m, T: Element>(&self, alone: &'m Member<'m>) -> Group<'m> {
        let panels = self.share();
        let first_row = self.first_row + (panels.start - self.panels.start) * T::LANES;
        Group { panels, first_row, member: alone }
    }

    /// The panels that are this member's where whole panels are.
    pub(crate) fn share(&self) -> Range<usize> {
        let share = self.member.share(self.panels.len());
        self.panels.start + share.start..self.panels.start + share.end
    }
}

/// A network with its parameters and buffers in the hands of a team.
pub(crate) struct Pass<'a, T: Element> {
    /// The network.
    pub(crate) plan: &'a Plan,
    /// Kernels and biases; nobody writes them in phase one.
    pub(crate) parameters: Vec<View<'a, T>>,
    /// Values, decisions, gradients.
    pub(crate) buffers: Buffers<'a, T>,
}

impl<'a, T: Element> Pass<'a, T> {
    /// Factor and summand of a leading rescaling layer.
    fn rescaling(&self) -> Rescaling<T> {
        match self.plan.layers.first() {
            Some(&Layer::Rescaling { scale, offset }) => Some((T::from_f64(scale), T::from_f64(offset))),
            _ => None,
        }
    }

    /// Some features of value `value` of a panel.
    ///
    /// # Safety
    /// The caller has them for itself, and holds no other reference into them.
    pub(crate) unsafe fn value(&self, value: usize, panel: usize, features: Range<usize>) -> &'a mut [T] {
        let start = panel * self.plan.widths[value];
        let buffer = &self.buffers.values[self.plan.buffer_of[value]];
        // SAFETY: the caller's promise.
        unsafe { buffer.part((start + features.start) * T::LANES..(start + features.end) * T::LANES) }
    }

    /// Some features of value `layer + 1` of a panel, holding a copy of those of value `layer` if they lie elsewhere.
    ///
    /// # Safety
    /// As [`Pass::value`], for both.
    pub(crate) unsafe fn moved(&self, layer: usize, panel: usize, features: Range<usize>) -> &'a mut [T] {
        // SAFETY: the caller's promise; the two buffers differ where both are borrowed.
        unsafe {
            let moved = self.value(layer + 1, panel, features.clone());
            if self.plan.buffer_of[layer] != self.plan.buffer_of[layer + 1] {
                moved.copy_from_slice(self.value(layer, panel, features));
            }
            moved
        }
    }

    /// The layer whose rows have room for the gradient of value `value`: the dense layer that made it, but for layers that keep its width.
    /// None where no layer below has parameters.
    pub(crate) fn room(&self, value: usize) -> Option<usize> {
        self.plan.dense.iter().rposition(|place| place.layer < value)
    }

    /// Elements from one panel to the next in the rows of dense layer number `room`.
    pub(crate) fn room_stride(&self, room: usize) -> usize {
        T::LANES * row_stride::<T>(self.plan.dense[room].outputs)
    }

    /// Some features of the gradient of a value of a panel, in the rows of dense layer number `room`.
    ///
    /// # Safety
    /// As [`Pass::value`].
    pub(crate) unsafe fn gradient(&self, room: usize, panel: usize, features: Range<usize>) -> &'a mut [T] {
        let start = panel * self.room_stride(room);
        // SAFETY: the caller's promise.
        unsafe { self.buffers.rows[room].part(start + features.start * T::LANES..start + features.end * T::LANES) }
    }

    /// Gathers features `columns` of the input of one panel: row `rows(lane)` of the data set for each of `lanes` lanes.
    ///
    /// # Safety
    /// The caller has them for itself.
    pub(crate) unsafe fn gather<S: Simd>(
        &self,
        s: S,
        input: Input<'_, T>,
        rows: impl Iterator<Item = usize> + Clone,
        panel: usize,
        columns: Range<usize>,
    ) {
        let width = self.plan.widths[0];
        // SAFETY: the caller's promise.
        let panel = unsafe { self.value(0, panel, columns.clone()) };
        s.run(Gather { input, width, columns, rescaling: self.rescaling(), rows, panel });
    }

    /// Draws for the stochastic layers among `layers`, each member for its panels.
    ///
    /// # Safety
    /// Nobody reads what was drawn for the group before.
    pub(crate) unsafe fn draw(&self, group: &Group<'_>, layers: &Range<usize>, draws: &[Draw], words: &mut [u32]) {
        let inside = self.plan.noise.iter().enumerate().filter(|(_, layer)| layers.contains(layer));
        for (index, &layer) in inside {
            let (draw, width) = (&draws[index], self.plan.widths[layer]);
            let words = &mut words[..width.div_ceil(WORD)];
            let share = group.share();
            for panel in share.clone() {
                let row = group.first_row + (panel - group.panels.start) * T::LANES;
                // SAFETY: the panel is this member's.
                draw.draw(row, width, words, unsafe { self.buffers.to_draw(index, width, panel) });
                let shared = draw.panels_per_mask(T::LANES).is_some();
                // The first of a mask's panels among those of a member, who may look for it there later.
                let first = (group.first_row / T::LANES) + share.start - group.panels.start;
                if shared && mask_start::<T>(draw, &share, first, panel) == panel {
                    // SAFETY: as above.
                    let kept = unsafe { &mut self.buffers.kept[index].part(panel..panel + 1)[0] };
                    kept.fill::<T>(width, words.iter().copied());
                }
            }
        }
    }

    /// The number of a dense layer among its kind, and its place.
    pub(crate) fn dense_place(&self, layer: usize) -> (usize, &DensePlace) {
        let mut all = self.plan.dense.iter().enumerate();
        all.find(|(_, place)| place.layer == layer).expect("`dense` lists all dense layers")
    }

    /// The number of a stochastic layer among its kind.
    pub(crate) fn noise_index(&self, layer: usize) -> usize {
        self.plan.noise.iter().position(|&noise| noise == layer).expect("`noise` lists all stochastic layers")
    }
}
