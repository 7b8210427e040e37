//! Layer 4: a team's way forward through the network.
//!
//! ```text
//! y = x·W     member 0: its inputs, piece by piece of the outputs    member 1: carries the same chains on with its inputs, a piece behind
//! ```
//!
//! All else is done by each member with its own features.

use std::ops::Range;

use super::layer::{Layer, NoiseKind};
use super::noise::{Draw, Rescale};
use super::own::pieces;
use super::pass::{Group, Pass};
use super::plan::DensePlace;
use super::skip::{KeptRun, Skip};
use super::workspace::Scratch;
use crate::dense::activation::activate;
use crate::gemm::kept::Spread;
use crate::gemm::panel::{KernelBlock, PanelProduct};
use crate::simd::{Element, Kernel, Simd, V, Vector};

impl<T: Element> Pass<'_, T> {
    /// Runs layers `layers` on a group, whose members all call this: with `draws` as in training, without as at inference. Afterwards
    /// each member has its own features of the result.
    ///
    /// # Safety
    /// The team has the group for itself, each member its own features of value `layers.start`; nobody writes the parameters.
    pub(crate) unsafe fn forward<S: Simd>(
        &self,
        s: S,
        group: &Group<'_>,
        layers: Range<usize>,
        draws: Option<&[Draw]>,
        scratch: &mut Scratch<T>,
    ) {
        if let Some(draws) = draws.filter(|draws| !draws.is_empty()) {
            // SAFETY: the caller's promise.
            unsafe { self.draw(group, &layers, draws, &mut scratch.words) };
            group.member.wait();
        }
        for layer in layers {
            let own = group.own::<T>(self.plan.widths[layer + 1]);
            // SAFETY: the caller's promise; features are their owners', and between the barriers about softmax panels are.
            unsafe {
                match &self.plan.layers[layer] {
                    Layer::Rescaling { .. } => {}
                    Layer::Dense(_) => self.dense_forward(s, layer, group, draws, &mut scratch.packed),
                    Layer::Activation(activation) if activation.is_softmax() => {
                        group.member.wait();
                        for panel in group.share() {
                            activate(s, *activation, self.moved(layer, panel, 0..self.plan.widths[layer]));
                        }
                        group.member.wait();
                    }
                    Layer::Activation(activation) => {
                        for panel in group.panels.clone() {
                            activate(s, *activation, self.moved(layer, panel, own.clone()));
                        }
                    }
                    &Layer::Add { source } => {
                        for panel in group.panels.clone() {
                            // The two lie in two buffers: nothing writes over what a sum takes.
                            let values = self.moved(layer, panel, own.clone());
                            s.run(AddPanel { values, other: self.value(source, panel, own.clone()) });
                        }
                    }
                    Layer::Noise(_) => {
                        for panel in group.panels.clone() {
                            self.noise_forward(s, layer, panel, own.clone(), draws);
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// The member has these features of the panel for itself.
    unsafe fn noise_forward<S: Simd>(
        &self,
        s: S,
        layer: usize,
        panel: usize,
        features: Range<usize>,
        draws: Option<&[Draw]>,
    ) {
        let (index, first) = (self.noise_index(layer), features.start);
        // SAFETY: the caller's promise; what was drawn is only read.
        let (values, drawn) =
            unsafe { (self.moved(layer, panel, features), self.buffers.drawn(index, self.plan.widths[layer], panel)) };
        match draws {
            Some(draws) => draws[index].forward(s, first, values, drawn),
            None => {
                let noise = self.plan.noise_layer(index);
                if noise.kind == NoiseKind::ClassicDropout {
                    s.run(Rescale { values, scale: T::from_f64(1.0 - noise.rate) });
                }
            }
        }
    }

    /// # Safety
    /// As [`Pass::forward`].
    unsafe fn dense_forward<S: Simd>(
        &self,
        s: S,
        layer: usize,
        group: &Group<'_>,
        draws: Option<&[Draw]>,
        packed: &mut Vec<T>,
    ) {
        let ((_, place), member) = (self.dense_place(layer), group.member);
        let rows = group.own::<T>(place.inputs);
        let pieces = pieces::<T>(place.outputs, member.size);
        let blocks = KernelBlock::of_rows::<T>(&rows, &pieces);
        let skip = draws.and_then(|draws| Some((Skip::new::<T>(place, draws)?, draws)));
        // SAFETY: the group was drawn.
        let runs = skip.map(|(skip, draws)| unsafe {
            skip.runs(&self.buffers, place, draws, group.panels.clone(), group.first_row / T::LANES)
        });
        let before = member.handed_on();
        for (index, block) in blocks.iter().enumerate() {
            if block.rows.start == rows.start && member.index > 0 {
                member.wait_for(member.index - 1, member.handed_on() + 1);
            }
            // SAFETY: the inputs are this member's; the outputs are, since the one before has handed them on, until it hands them on.
            unsafe { self.block_forward(s, place, group, runs.as_deref(), (block, blocks.get(index + 1)), packed) };
            if block.rows.end == rows.end {
                member.hand_on();
            }
        }
        let own = group.own::<T>(place.outputs);
        member.wait_for(member.size - 1, before + pieces.iter().filter(|piece| piece.end <= own.end).count());
        if let Some(runs) = &runs {
            for piece in pieces.iter().filter(|piece| own.start <= piece.start && piece.end <= own.end) {
                // SAFETY: these features are this member's now.
                unsafe { self.spread(s, layer + 1, piece, runs) };
            }
        }
        if let Some(bias) = place.bias {
            for panel in group.panels.clone() {
                // SAFETY: as above; nobody writes the parameters.
                unsafe {
                    let bias = &self.parameters[bias].get()[own.clone()];
                    s.run(AddBias { panel: self.value(layer + 1, panel, own.clone()), bias });
                }
            }
        }
    }

    /// The part of a product that a block of the kernel has, and for row groups only what they kept of it.
    ///
    /// # Safety
    /// The member has the block's inputs and outputs for itself.
    unsafe fn block_forward<S: Simd>(
        &self,
        s: S,
        place: &DensePlace,
        group: &Group<'_>,
        runs: Option<&[KeptRun<'_>]>,
        (block, next): (&KernelBlock, Option<&KernelBlock>),
        packed: &mut Vec<T>,
    ) {
        // SAFETY: nobody writes the parameters.
        let kernel = unsafe { self.parameters[place.kernel].get() };
        let strides = (place.inputs * T::LANES, place.outputs * T::LANES);
        let product = |panels: &Range<usize>| {
            let [from, to] = [(place.layer, strides.0), (place.layer + 1, strides.1)].map(|(value, stride)| {
                self.buffers.values[self.plan.buffer_of[value]].range(panels.start * stride..panels.end * stride)
            });
            let shape = (place.inputs, place.outputs);
            PanelProduct { shape, kernel, count: panels.len(), from: from.to_view(), to, strides }
        };
        // SAFETY: the caller's promise.
        unsafe {
            match runs {
                None => product(&group.panels).forward(s, block, next),
                Some(runs) => {
                    for KeptRun { panels, inputs, outputs } in runs {
                        product(panels).forward_kept(s, (inputs, outputs), (block, next), packed);
                    }
                }
            }
        }
    }

    /// Brings the kept features of a piece to their places. What is left out must be a number: dropping it makes it 0, but not its
    /// derivative.
    ///
    /// # Safety
    /// The member has the piece for itself.
    unsafe fn spread<S: Simd>(&self, s: S, value: usize, piece: &Range<usize>, runs: &[KeptRun<'_>]) {
        for KeptRun { panels, outputs, .. } in runs {
            for panel in panels.clone() {
                // SAFETY: the caller's promise.
                let panel = unsafe { self.value(value, panel, piece.clone()) };
                s.run(Spread { panel, first: piece.start, kept: outputs });
            }
        }
    }
}

/// Adds features of a panel to others, element by element.
pub(crate) struct AddPanel<'a, T> {
    /// The sums.
    pub(crate) values: &'a mut [T],
    /// What is added.
    pub(crate) other: &'a [T],
}

impl<T: Element> Kernel for AddPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (values, other) in self.values.chunks_exact_mut(T::LANES).zip(self.other.chunks_exact(T::LANES)) {
            V::<S, T>::read(s, values).add(V::<S, T>::read(s, other)).write(values);
        }
    }
}

/// Adds one number to each feature of a panel.
struct AddBias<'a, T> {
    panel: &'a mut [T],
    bias: &'a [T],
}

impl<T: Element> Kernel for AddBias<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (values, &bias) in self.panel.chunks_exact_mut(T::LANES).zip(self.bias) {
            V::<S, T>::read(s, values).add(V::<S, T>::splat(s, bias)).write(values);
        }
    }
}
