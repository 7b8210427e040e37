//! Layer 4: a team's way back through the network.
//!
//! A member computes the gradients of its own features, from whole gradients of a dense layer's outputs. So members meet before each
//! dense layer; after the meeting that follows, nobody reads the layer's output gradients by panels any more, and they are turned
//! into rows for [`GradientWork`].

use std::ops::Range;

use super::forward::AddPanel;
use super::gather::{Scatter, ScatterKept};
use super::gradient_work::GradientWork;
use super::layer::Layer;
use super::pass::{Batch, Group, Pass};
use super::plan::DensePlace;
use super::skip::{KeptRun, Skip, mask_start};
use super::workspace::row_stride;
use crate::dense::activation::{Activation, Saved, activate_backward};
use crate::gemm::kept::among;
use crate::gemm::panel::{PanelProduct, Part, strips};
use crate::simd::{Element, Simd};

impl<'a, T: Element> Pass<'a, T> {
    /// Takes the gradient of value `layers.end`, which lies in its room, back through `layers`, and leaves the gradient of each dense
    /// layer's output there by rows, when all members, who all call this, have come to its end.
    ///
    /// # Safety
    /// The team has the group for itself after a forward pass, and has met since the gradient is there; nobody writes the parameters.
    pub(crate) unsafe fn backward<S: Simd>(
        &self,
        s: S,
        group: &Group<'_>,
        layers: Range<usize>,
        batch: &Batch<'_>,
        copy: &mut [T],
    ) {
        let (mut to_turn, mut met) = (None, true);
        for layer in layers.rev() {
            let Some(room) = self.room(layer + 1) else { break };
            // SAFETY: the member has its own features of both for itself.
            unsafe { self.add_skips(s, layer + 1, room, group) };
            // SAFETY: the caller's promise; features are their owners', and between the meetings about softmax panels are. Of the room of
            // one value there is one reference at a time.
            unsafe {
                match &self.plan.layers[layer] {
                    Layer::Rescaling { .. } => {}
                    Layer::Activation(activation) if activation.is_softmax() => {
                        group.member.wait();
                        for panel in group.share() {
                            self.activation_backward(s, layer, room, *activation, panel, 0..self.plan.widths[layer]);
                        }
                        group.member.wait();
                    }
                    Layer::Activation(activation) => {
                        let own = group.own::<T>(self.plan.widths[layer]);
                        for panel in group.panels.clone() {
                            self.activation_backward(s, layer, room, *activation, panel, own.clone());
                        }
                    }
                    &Layer::Add { source } => self.keep_skip(s, (layer, source), room, group),
                    Layer::Noise(_) => {
                        let (index, width) = (self.noise_index(layer), self.plan.widths[layer]);
                        let own = group.own::<T>(width);
                        for panel in group.panels.clone() {
                            let drawn = self.buffers.drawn(index, width, panel);
                            let gradient = self.gradient(room, panel, own.clone());
                            batch.draws[index].backward(s, own.start, gradient, drawn);
                        }
                    }
                    Layer::Dense(_) => {
                        if !met {
                            group.member.wait();
                        }
                        if let Some(above) = to_turn.replace(room) {
                            self.turn(s, above, group, batch, copy);
                        }
                        if let Some(below) = self.room(layer) {
                            self.input_gradient(s, (room, below), group, batch);
                        }
                    }
                }
            }
            met = false;
        }
        if let Some(first) = to_turn {
            // SAFETY: members have met since its output gradients were complete; input gradients are computed from them by this member
            // alone, or by nobody: the first layer of a network has none.
            unsafe { self.turn(s, first, group, batch, copy) };
        }
    }

    /// Some features of what sums have for the gradient of source number `index`, of a panel.
    ///
    /// # Safety
    /// As [`Pass::value`].
    unsafe fn skip(&self, index: usize, panel: usize, features: &Range<usize>) -> &'a mut [T] {
        let start = panel * self.plan.widths[self.plan.sources[index].value];
        // SAFETY: the caller's promise.
        unsafe {
            self.buffers.skips[index].part((start + features.start) * T::LANES..(start + features.end) * T::LANES)
        }
    }

    /// Puts the gradient of a sum by for the value that it takes beside the chain. The last sum of a value comes first.
    ///
    /// # Safety
    /// The member has its own features of both for itself.
    unsafe fn keep_skip<S: Simd>(&self, s: S, (layer, source): (usize, usize), room: usize, group: &Group<'_>) {
        let Some(index) = self.plan.source(source).filter(|_| self.room(source).is_some()) else { return };
        let own = group.own::<T>(self.plan.widths[source]);
        for panel in group.panels.clone() {
            // SAFETY: the caller's promise.
            let (kept, gradient) = unsafe { (self.skip(index, panel, &own), self.gradient(room, panel, own.clone())) };
            if self.plan.sources[index].last == layer {
                kept.copy_from_slice(gradient);
            } else {
                s.run(AddPanel { values: kept, other: gradient });
            }
        }
    }

    /// Adds to the gradient of a value what sums have for it.
    ///
    /// # Safety
    /// The member has its own features of both for itself.
    unsafe fn add_skips<S: Simd>(&self, s: S, value: usize, room: usize, group: &Group<'_>) {
        let Some(index) = self.plan.source(value) else { return };
        let own = group.own::<T>(self.plan.widths[value]);
        for panel in group.panels.clone() {
            // SAFETY: the caller's promise.
            let (gradient, kept) = unsafe { (self.gradient(room, panel, own.clone()), self.skip(index, panel, &own)) };
            s.run(AddPanel { values: gradient, other: kept });
        }
    }

    /// # Safety
    /// The member has these features of the panel for itself.
    unsafe fn activation_backward<S: Simd>(
        &self,
        s: S,
        layer: usize,
        room: usize,
        activation: Activation,
        panel: usize,
        features: Range<usize>,
    ) {
        let saved = layer + usize::from(activation.saves() == Saved::Output);
        // SAFETY: the caller's promise.
        let (saved, gradient) =
            unsafe { (self.value(saved, panel, features.clone()), self.gradient(room, panel, features)) };
        activate_backward(s, activation, saved, gradient);
    }

    /// Computes the gradient of the member's own inputs of dense layer number `index` from that of all its outputs, into the room of the one
    /// `below`.
    ///
    /// # Safety
    /// The output gradients are only read, and the member has its own features of the input gradients for itself.
    unsafe fn input_gradient<S: Simd>(
        &self,
        s: S,
        (index, below): (usize, usize),
        group: &Group<'_>,
        batch: &Batch<'_>,
    ) {
        let place = &self.plan.dense[index];
        let own = group.own::<T>(place.inputs);
        // SAFETY: nobody writes the parameters.
        let kernel = unsafe { self.parameters[place.kernel].get() };
        let strides = (self.room_stride(index), self.room_stride(below));
        let product = |panels: &Range<usize>| {
            let [from, to] = [(index, strides.0), (below, strides.1)]
                .map(|(room, stride)| self.buffers.rows[room].range(panels.start * stride..panels.end * stride));
            let shape = (place.inputs, place.outputs);
            PanelProduct { shape, kernel, count: panels.len(), from: from.to_view(), to, strides }
        };
        // SAFETY: the caller's promise; the group was drawn in the forward pass.
        unsafe {
            let runs = Skip::new::<T>(place, batch.draws).map(|skip| {
                let first = group.first_row / T::LANES;
                skip.runs(&self.buffers, place, batch.draws, group.panels.clone(), first)
            });
            for strip in strips::<T>(own, place.outputs) {
                match &runs {
                    None => product(&group.panels).backward(s, strip),
                    Some(runs) => {
                        for KeptRun { panels, inputs, outputs } in runs {
                            let part = Part { inputs: among(&inputs.list, &strip), outputs: &outputs.list };
                            product(panels).backward_part(s, part);
                        }
                    }
                }
            }
        }
    }

    /// Turns the gradient of a dense layer's output, which lies in its room by panels, into rows, for the member's panels.
    ///
    /// # Safety
    /// The member has these panels for itself.
    unsafe fn turn<S: Simd>(&self, s: S, index: usize, group: &Group<'_>, batch: &Batch<'_>, copy: &mut [T]) {
        let place = &self.plan.dense[index];
        let stride = row_stride::<T>(place.outputs);
        let copy = &mut copy[..place.outputs * T::LANES];
        for panel in group.share() {
            // SAFETY: the caller's promise; one reference at a time.
            let rows = unsafe {
                copy.copy_from_slice(self.gradient(index, panel, 0..place.outputs));
                self.buffers.rows[index].part(panel * T::LANES * stride..(panel + 1) * T::LANES * stride)
            };
            match self.dropped_outputs(place, batch) {
                None => s.run(Scatter { panel: copy, rows, stride }),
                Some(noise) => {
                    let draw = &batch.draws[noise];
                    let mask = mask_start::<T>(draw, &group.panels, group.first_row / T::LANES, panel);
                    // SAFETY: the group was drawn in the forward pass.
                    let kept = unsafe { &self.buffers.kept(noise, mask).list };
                    s.run(ScatterKept { panel: copy, kept, rows, stride });
                }
            }
        }
    }

    /// The stochastic layer whose dropped outputs a weight gradient leaves out.
    fn dropped_outputs(&self, place: &DensePlace, batch: &Batch<'_>) -> Option<usize> {
        let thin = matches!(GradientWork::new::<T>(place, batch.draws, batch.rows.len()), GradientWork::Thin(_));
        place.output_noise.filter(|_| thin)
    }
}
