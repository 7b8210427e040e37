//! Layer 4: phase one of a step: a member's panels through the network and back.

use std::ops::Range;

use super::gather::{Gather, Input, Rescaling, Scatter, ScatterKept};
use super::gradient_work::GradientWork;
use super::layer::{Layer, NoiseKind};
use super::noise::{Draw, Rescale, WORD};
use super::plan::{DensePlace, Plan};
use super::skip::{KeptRun, Skip, mask_start};
use super::workspace::{Buffers, Local, Scratch, row_stride};
use crate::dense::activation::{Saved, activate, activate_backward};
use crate::gemm::kept::{Spread, among};
use crate::gemm::panel::{KernelBlock, PanelProduct, Part, strips};
use crate::parallel::View;
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// One batch of a run.
pub struct Batch<'a> {
    /// Row numbers in the data set.
    pub rows: &'a [i64],
    /// Place of the first row in the run.
    pub first: usize,
    /// Its stochastic layers.
    pub draws: &'a [Draw],
}

impl Batch<'_> {
    /// The row numbers of a panel.
    pub fn lanes<T: Element>(&self, panel: usize) -> &[i64] {
        let first = panel * T::LANES;
        &self.rows[first..self.rows.len().min(first + T::LANES)]
    }
}

/// A network with its parameters and buffers in the hands of a team.
pub struct Pass<'a, T: Element> {
    /// The network.
    pub plan: &'a Plan,
    /// Kernels and biases; nobody writes them in phase one.
    pub parameters: Vec<View<'a, T>>,
    /// Values, decisions, gradients.
    pub buffers: Buffers<'a, T>,
}

impl<'a, T: Element> Pass<'a, T> {
    /// Factor and summand of a leading rescaling layer.
    pub fn rescaling(&self) -> Rescaling<T> {
        match self.plan.layers.first() {
            Some(&Layer::Rescaling { scale, offset }) => Some((T::from_f64(scale), T::from_f64(offset))),
            _ => None,
        }
    }

    /// Value `value` of some panels.
    ///
    /// # Safety
    /// The caller has these panels for itself, and holds no other reference into the value's buffer.
    pub unsafe fn value(&self, value: usize, panels: Range<usize>) -> &'a mut [T] {
        let stride = self.plan.widths[value] * T::LANES;
        let buffer = &self.buffers.values[self.plan.buffer_of[value]];
        // SAFETY: the caller's promise.
        unsafe { buffer.part(panels.start * stride..panels.end * stride) }
    }

    /// Gathers the input of one panel: row `rows(lane)` of the data set for each of `lanes` lanes.
    ///
    /// # Safety
    /// The caller has the panel for itself.
    pub unsafe fn gather<S: Simd>(
        &self,
        s: S,
        input: Input<'_, T>,
        rows: impl Iterator<Item = usize> + Clone,
        panel: usize,
    ) {
        let width = self.plan.widths[0];
        // SAFETY: the caller's promise.
        let panel = unsafe { self.value(0, panel..panel + 1) };
        s.run(Gather { input, width, rescaling: self.rescaling(), rows, panel });
    }

    /// Runs layers `layers` on some panels: with `draws` as in training, without as at inference. The first row of the
    /// first panel is row `first_row` of its batch.
    ///
    /// # Safety
    /// The caller has the panels for itself; nobody writes the parameters.
    pub unsafe fn forward<S: Simd>(
        &self,
        s: S,
        panels: Range<usize>,
        first_row: usize,
        layers: Range<usize>,
        draws: Option<&[Draw]>,
        scratch: &mut Scratch<T>,
    ) {
        if let Some(draws) = draws {
            // SAFETY: the caller's promise.
            unsafe { self.draw(panels.clone(), first_row, layers.clone(), draws, &mut scratch.words) };
        }
        for layer in layers {
            // SAFETY: the caller's promise; where a layer works in place, only one of the two is used.
            unsafe {
                match &self.plan.layers[layer] {
                    Layer::Rescaling { .. } => {}
                    Layer::Dense(_) => {
                        self.dense_forward(s, layer, panels.clone(), first_row, draws, &mut scratch.packed)
                    }
                    Layer::Activation(activation) => {
                        let values = self.moved(layer, panels.clone());
                        let stride = self.plan.widths[layer + 1] * T::LANES;
                        values.chunks_exact_mut(stride).for_each(|panel| activate(s, *activation, panel));
                    }
                    Layer::Noise(_) => self.noise_forward(s, layer, panels.clone(), draws),
                }
            }
        }
    }

    /// The output value of a layer, holding a copy of its input if it is another buffer.
    ///
    /// # Safety
    /// As [`Pass::value`].
    pub unsafe fn moved(&self, layer: usize, panels: Range<usize>) -> &'a mut [T] {
        // SAFETY: the caller's promise; the two buffers differ where both are borrowed.
        unsafe {
            if self.plan.buffer_of[layer] != self.plan.buffer_of[layer + 1] {
                self.value(layer + 1, panels.clone()).copy_from_slice(self.value(layer, panels.clone()));
            }
            self.value(layer + 1, panels)
        }
    }

    /// Draws for the stochastic layers among `layers`, ahead of the products that ask what is dropped.
    ///
    /// # Safety
    /// As [`Pass::forward`].
    unsafe fn draw(
        &self,
        panels: Range<usize>,
        first_row: usize,
        layers: Range<usize>,
        draws: &[Draw],
        words: &mut [u32],
    ) {
        let inside = self.plan.noise.iter().enumerate().filter(|(_, layer)| layers.contains(layer));
        for (index, &layer) in inside {
            let width = self.plan.widths[layer];
            let words = &mut words[..width.div_ceil(WORD)];
            for (panel, row) in panels.clone().zip((first_row..).step_by(T::LANES)) {
                // SAFETY: the caller has the panel for itself.
                let mut drawn = unsafe { self.buffers.drawn(index, width, panel) };
                draws[index].draw(row, width, words, &mut drawn);
                let shared = draws[index].noise.panels_per_mask(T::LANES).is_some();
                if shared && mask_start::<T>(&draws[index], &panels, first_row / T::LANES, panel) == panel {
                    // SAFETY: as above.
                    let kept = unsafe { &mut self.buffers.kept[index].part(panel..panel + 1)[0] };
                    kept.fill::<T>(width, words.iter().copied());
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
        panels: Range<usize>,
        first_row: usize,
        draws: Option<&[Draw]>,
        packed: &mut Vec<T>,
    ) {
        let (_, place) = self.dense_place(layer);
        // SAFETY: the caller's promise; a dense layer's output is a buffer of its own.
        let (kernel, x, y) = unsafe {
            (
                self.parameters[place.kernel].get(),
                self.value(layer, panels.clone()),
                self.value(layer + 1, panels.clone()),
            )
        };
        let shape = (place.inputs, place.outputs);
        let (x_stride, y_stride) = (place.inputs * T::LANES, place.outputs * T::LANES);
        match draws.and_then(|draws| Some((Skip::new::<T>(place, draws)?, draws))) {
            None => PanelProduct { shape, kernel, count: panels.len(), from: x, to: y }.forward(s),
            Some((skip, draws)) => {
                // SAFETY: the panels were drawn, by this member.
                let runs = unsafe { skip.runs(&self.buffers, place, draws, panels.clone(), first_row / T::LANES) };
                let within = |run: &Range<usize>| run.start - panels.start..run.end - panels.start;
                for (block, next) in KernelBlock::all::<T>(place.inputs, place.outputs) {
                    for KeptRun { panels: run, inputs, outputs } in &runs {
                        let first = within(run).start;
                        let (from, to) = (&x[first * x_stride..], &mut y[first * y_stride..]);
                        PanelProduct { shape, kernel, count: run.len(), from, to }.forward_kept(
                            s,
                            (inputs, outputs),
                            (&block, next.as_ref()),
                            packed,
                        );
                    }
                }
                for KeptRun { panels: run, outputs, .. } in &runs {
                    // What is left out must be a number: dropping it makes it 0, but not its derivative.
                    let Range { start, end } = within(run);
                    let panels = y[start * y_stride..end * y_stride].chunks_exact_mut(y_stride);
                    panels.for_each(|panel| s.run(Spread { panel, kept: outputs }));
                }
            }
        }
        if let Some(bias) = place.bias {
            // SAFETY: nobody writes the parameters.
            let bias = unsafe { self.parameters[bias].get() };
            y.chunks_exact_mut(y_stride).for_each(|panel| s.run(AddBias { panel, bias }));
        }
    }

    /// # Safety
    /// As [`Pass::forward`].
    unsafe fn noise_forward<S: Simd>(&self, s: S, layer: usize, panels: Range<usize>, draws: Option<&[Draw]>) {
        let width = self.plan.widths[layer];
        // SAFETY: the caller's promise.
        let values = unsafe { self.moved(layer, panels.clone()) };
        let index = self.noise_index(layer);
        let Some(draws) = draws else {
            let noise = self.plan.noise_layer(index);
            if noise.kind == NoiseKind::ClassicDropout {
                s.run(Rescale { values, scale: T::from_f64(1.0 - noise.rate) });
            }
            return;
        };
        for (panel, values) in panels.zip(values.chunks_exact_mut(width * T::LANES)) {
            // SAFETY: the caller has the panel for itself.
            let drawn = unsafe { self.buffers.drawn(index, width, panel) };
            draws[index].forward(s, values, &drawn);
        }
    }

    /// The number of a dense layer among its kind, and its place.
    fn dense_place(&self, layer: usize) -> (usize, &DensePlace) {
        let mut all = self.plan.dense.iter().enumerate();
        all.find(|(_, place)| place.layer == layer).expect("`dense` lists all dense layers")
    }

    /// The number of a stochastic layer among its kind.
    fn noise_index(&self, layer: usize) -> usize {
        self.plan.noise.iter().position(|&noise| noise == layer).expect("`noise` lists all stochastic layers")
    }

    /// Room for the gradient of value `value` of some panels: the rows of the dense layer that made it, but for layers that keep
    /// its width. Panels there are one after another. None where no layer below has parameters.
    ///
    /// # Safety
    /// As [`Pass::value`], for the rows.
    pub unsafe fn gradient(&self, value: usize, panels: Range<usize>) -> Option<&'a mut [T]> {
        let index = self.plan.dense.iter().rposition(|place| place.layer < value)?;
        let rows = T::LANES * row_stride::<T>(self.plan.dense[index].outputs);
        // SAFETY: the caller's promise.
        let room = unsafe { self.buffers.rows[index].part(panels.start * rows..panels.end * rows) };
        Some(&mut room[..panels.len() * self.plan.widths[value] * T::LANES])
    }

    /// Takes the gradient of value `layers`, which lies in its room, back through layers `layers - 1` to 0, and leaves the
    /// gradient of each dense layer's output there by rows, for [`GradientWork`].
    ///
    /// # Safety
    /// As [`Pass::forward`]; `local` is the caller's.
    pub unsafe fn backward<S: Simd>(
        &self,
        s: S,
        panels: Range<usize>,
        layers: usize,
        batch: &Batch<'_>,
        local: &mut Local<T>,
    ) {
        for layer in (0..layers).rev() {
            // SAFETY: the caller's promise; of the room of one value there is one reference at a time.
            let Some(gradient) = (unsafe { self.gradient(layer + 1, panels.clone()) }) else { return };
            let stride = self.plan.widths[layer + 1] * T::LANES;
            match &self.plan.layers[layer] {
                Layer::Rescaling { .. } => {}
                Layer::Activation(activation) => {
                    let saved = layer + usize::from(activation.saves() == Saved::Output);
                    // SAFETY: the caller's promise.
                    let saved = unsafe { self.value(saved, panels.clone()) };
                    let each = gradient.chunks_exact_mut(stride).zip(saved.chunks_exact(stride));
                    each.for_each(|(gradient, saved)| activate_backward(s, *activation, saved, gradient));
                }
                Layer::Noise(_) => {
                    let index = self.noise_index(layer);
                    for (panel, gradient) in panels.clone().zip(gradient.chunks_exact_mut(stride)) {
                        // SAFETY: the caller has the panel for itself.
                        let drawn = unsafe { self.buffers.drawn(index, self.plan.widths[layer], panel) };
                        batch.draws[index].backward(s, gradient, &drawn);
                    }
                }
                // SAFETY: the caller's promise; the gradient is not used any more when its rows are.
                Layer::Dense(_) => unsafe {
                    if let Some(dx) = self.gradient(layer, panels.clone()) {
                        self.input_gradient(s, layer, panels.clone(), batch.draws, (gradient, dx));
                    }
                    self.turn(s, layer, panels.clone(), batch, &mut local.panel);
                },
            }
        }
    }

    /// Computes the gradient of a dense layer's input from that of its output.
    ///
    /// # Safety
    /// As [`Pass::forward`].
    unsafe fn input_gradient<S: Simd>(
        &self,
        s: S,
        layer: usize,
        panels: Range<usize>,
        draws: &[Draw],
        (dy, dx): (&[T], &mut [T]),
    ) {
        let (_, place) = self.dense_place(layer);
        // SAFETY: nobody writes the parameters.
        let kernel = unsafe { self.parameters[place.kernel].get() };
        let shape = (place.inputs, place.outputs);
        let Some(skip) = Skip::new::<T>(place, draws) else {
            return PanelProduct { shape, kernel, count: panels.len(), from: dy, to: dx }.backward(s);
        };
        // SAFETY: the panels were drawn in the forward pass, by this member.
        let runs = unsafe { skip.runs(&self.buffers, place, draws, panels.clone(), panels.start) };
        for strip in strips::<T>(place.inputs, place.outputs) {
            for KeptRun { panels: run, inputs, outputs } in &runs {
                let part = Part { inputs: among(&inputs.list, &strip), outputs: &outputs.list };
                let (first, count) = (run.start - panels.start, run.len());
                let (from, to) = (&dy[first * place.outputs * T::LANES..], &mut dx[first * place.inputs * T::LANES..]);
                PanelProduct { shape, kernel, count, from, to }.backward_part(s, part);
            }
        }
    }

    /// Turns the gradient of a dense layer's output, which lies in its room by panels, into rows.
    ///
    /// # Safety
    /// As [`Pass::forward`].
    unsafe fn turn<S: Simd>(&self, s: S, layer: usize, panels: Range<usize>, batch: &Batch<'_>, copy: &mut [T]) {
        let (index, place) = self.dense_place(layer);
        let (width, stride) = (place.outputs * T::LANES, row_stride::<T>(place.outputs));
        let thin = matches!(GradientWork::new::<T>(place, batch.draws, batch.rows.len()), GradientWork::Thin(_));
        let thin = place.output_noise.filter(|_| thin);
        let rows = T::LANES * stride;
        let copy = &mut copy[..width];
        // The rows of a panel reach beyond it, but never into the panels before.
        for panel in panels.clone().rev() {
            let first = panels.start * rows + (panel - panels.start) * width;
            // SAFETY: the rows of the panels are the caller's; one reference into them at a time.
            let part = unsafe {
                copy.copy_from_slice(self.buffers.rows[index].part(first..first + width));
                self.buffers.rows[index].part(panel * rows..(panel + 1) * rows)
            };
            match thin {
                None => s.run(Scatter { panel: copy, rows: part, stride }),
                Some(noise) => {
                    let mask = mask_start::<T>(&batch.draws[noise], &panels, panels.start, panel);
                    // SAFETY: the panels were drawn in the forward pass, by this member.
                    let kept = unsafe { &self.buffers.kept[noise].part(mask..mask + 1)[0].list };
                    s.run(ScatterKept { panel: copy, kept, rows: part, stride });
                }
            }
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
