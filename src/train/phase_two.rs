//! Layer 4: phase two of a step: the gradients of a member's own weights, and the further phases that clipping and constraints ask for.

use std::ops::Range;

use super::gradient_work::{GradientWork, groups};
use super::halt::{Checkpoint, Halt};
use super::jobs::Job;
use super::layer::Limits;
use super::optimizer::{NormClip, RuleVisitor, UpdateRule, is_fused};
use super::own::own;
use super::pass::{Batch, Pass};
use super::plan::DensePlace;
use super::skip::mask_start;
use super::update::{Apply, Direct, MaxNorm, Parameter, Store, SumOfSquares};
use super::workspace::row_stride;
use crate::gemm::kept::{Kept, among};
use crate::gemm::outer::{BLOCK_ROWS, ColumnSums, Outer, Piece, RowGroup, Sink, ThinGroup};
use crate::parallel::{Member, Shared};
use crate::simd::{Element, Simd};

/// Whole gradients and their sums of squares: for [`NormClip`], for rules that are not fused, or so that a step can end early.
pub(crate) struct Whole<'a, T> {
    /// The bound, if there is one.
    pub(crate) clip: Option<NormClip>,
    /// The gradient of each parameter.
    pub(crate) gradients: Vec<Shared<'a, T>>,
    /// Two numbers a job: sum of squares of its kernel rows, and of the bias if it does one.
    pub(crate) squares: Shared<'a, f64>,
}

/// What phase two works on.
pub(crate) struct PhaseTwo<'a, 'b, S, T: Element> {
    /// The level.
    pub(crate) s: S,
    /// Values and output gradients of the batch.
    pub(crate) pass: &'a Pass<'b, T>,
    /// The parameters.
    pub(crate) parameters: &'a [Parameter<'b, T>],
    /// Where gradients are kept, if they are needed whole.
    pub(crate) whole: Option<&'a Whole<'b, T>>,
    /// Rows of kernels whose squares are summed together.
    pub(crate) jobs: &'a [Job],
    /// Those that this member sums.
    pub(crate) mine: Range<usize>,
    /// The member.
    pub(crate) member: &'a Member<'a>,
    /// The batch.
    pub(crate) batch: &'a Batch<'a>,
    /// Where the run ends early, and where this phase stands: it ends while gradients are kept, before the first is used.
    pub(crate) halt: (&'a Halt, Checkpoint),
}

impl<S: Simd, T: Element + std::ops::Add<Output = T>> RuleVisitor<T> for PhaseTwo<'_, '_, S, T> {
    type Output = ();

    /// Runs phase two with the optimizer of this step.
    fn visit<R: UpdateRule<T>>(self, rule: R) {
        match self.whole {
            None if is_fused::<T, R>() => {
                self.gradients(|parameter| Direct { s: self.s, rule, parameter: &self.parameters[parameter] });
            }
            None => unreachable!("gradients are kept whole for rules that are not fused"),
            Some(whole) => {
                self.store(whole);
                self.member.wait();
                if self.halt.0.reached(self.halt.1) {
                    return;
                }
                if whole.clip.is_some() {
                    self.sum_squares(whole);
                    self.member.wait();
                }
                for (parameter, rows) in self.own() {
                    self.apply(whole, parameter, rows, rule);
                }
            }
        }
        if self.parameters.iter().any(|parameter| parameter.limits.max_norm.is_some()) {
            self.member.wait();
            self.constrain();
        }
    }
}

impl<S: Simd, T: Element + std::ops::Add<Output = T>> PhaseTwo<'_, '_, S, T> {
    /// The member that has the bias of dense layer number `dense`.
    fn has_bias(&self, dense: usize) -> bool {
        dense % self.member.size == self.member.index
    }

    /// The rows of parameters that are this member's; a bias is one row.
    fn own(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.pass.plan.dense.iter().enumerate().flat_map(|(dense, place)| {
            let rows = own::<T>(place.inputs, self.member.index, self.member.size);
            let bias = place.bias.filter(|_| self.has_bias(dense)).map(|bias| (bias, 0..1));
            std::iter::once((place.kernel, rows)).chain(bias)
        })
    }

    /// Computes the gradients of this member's parameters and hands them to their sinks.
    fn gradients<Q: Sink<T>>(&self, sink: impl Fn(usize) -> Q) {
        for (dense, place) in self.pass.plan.dense.iter().enumerate() {
            let work = GradientWork::new::<T>(place, self.batch.draws, self.batch.rows.len());
            let operands = self.operands(dense);
            let mut kernel = sink(place.kernel);
            let own = own::<T>(place.inputs, self.member.index, self.member.size);
            for start in own.clone().step_by(BLOCK_ROWS) {
                if self.whole.is_some() && self.halt.0.ask(self.member, self.halt.1) {
                    return;
                }
                let rows = start..own.end.min(start + BLOCK_ROWS);
                match work {
                    GradientWork::All => kernel.take_product(self.s, operands, rows, place.outputs),
                    GradientWork::Inputs(size) => self.for_kept_inputs(operands, place, size, rows, &mut kernel),
                    GradientWork::Thin(size) => self.for_kept_both(operands, place, size, rows, &mut kernel),
                }
            }
            if let Some(bias) = place.bias.filter(|_| self.has_bias(dense)) {
                self.bias(operands, place, work, &mut sink(bias));
            }
        }
    }

    /// Keeps the gradients of this member's parameters. A function of its own, so that it is not compiled for each rule.
    fn store(&self, whole: &Whole<'_, T>) {
        self.gradients(|parameter| Store {
            s: self.s,
            parameter: &self.parameters[parameter],
            gradient: whole.gradients[parameter],
        });
    }

    /// The operands of the weight gradient of dense layer number `dense`.
    fn operands(&self, dense: usize) -> Outer<'_, T> {
        let place = &self.pass.plan.dense[dense];
        let batch = self.batch.rows.len();
        // SAFETY: values and output gradients are only read between the barriers of phase two.
        let (x, dy) = unsafe {
            (
                self.pass.buffers.values[self.pass.plan.buffer_of[place.layer]].view(),
                self.pass.buffers.rows[dense].view(),
            )
        };
        let x_stride = place.inputs * T::LANES;
        let x = &x[..batch.div_ceil(T::LANES) * x_stride];
        Outer { x, x_stride, dy, dy_stride: row_stride::<T>(place.outputs), batch }
    }

    /// Computes some rows of a kernel's gradient for groups of `size` rows of the batch, from the inputs that they kept, and hands them on.
    fn for_kept_inputs(
        &self,
        operands: Outer<'_, T>,
        place: &DensePlace,
        size: usize,
        rows: Range<usize>,
        kernel: &mut dyn Sink<T>,
    ) {
        let group = |group: Range<usize>| RowGroup { kept: self.inputs(place, &rows, group.start), rows: group };
        let groups: Vec<_> = groups(size, self.batch.rows.len()).map(group).collect();
        operands.run_groups(self.s, rows.clone(), place.outputs, &groups, kernel);
    }

    /// The same for the outputs that they kept, too.
    fn for_kept_both(
        &self,
        operands: Outer<'_, T>,
        place: &DensePlace,
        size: usize,
        rows: Range<usize>,
        kernel: &mut dyn Sink<T>,
    ) {
        let group = |group: Range<usize>| ThinGroup {
            inputs: self.inputs(place, &rows, group.start),
            outputs: self.kept(place.output_noise, place.layer + 1, group.start),
            rows: group,
        };
        let groups: Vec<_> = groups(size, self.batch.rows.len()).map(group).collect();
        operands.run_thin(self.s, rows.clone(), place.outputs, &groups, kernel);
    }

    /// Which of some inputs of a dense layer row `row` of the batch kept.
    fn inputs(&self, place: &DensePlace, some: &Range<usize>, row: usize) -> &[u32] {
        among(&self.kept(place.input_noise, place.layer, row).list, some)
    }

    /// Which of the features of a value dropout kept in row `row` of the batch; all without a layer whose masks rows share.
    fn kept(&self, noise: Option<usize>, value: usize, row: usize) -> &Kept {
        let buffers = &self.pass.buffers;
        let shared = |&noise: &usize| self.batch.draws[noise].panels_per_mask(T::LANES).is_some();
        let Some(noise) = noise.filter(shared) else { return &buffers.whole[value] };
        let panels = 0..self.batch.rows.len().div_ceil(T::LANES);
        let panel = mask_start::<T>(&self.batch.draws[noise], &panels, 0, row / T::LANES);
        // SAFETY: what was kept is only read between the barriers of phase two.
        unsafe { buffers.kept(noise, panel) }
    }

    /// Hands on the bias gradient of a layer.
    fn bias(&self, operands: Outer<'_, T>, place: &DensePlace, work: GradientWork, sink: &mut dyn Sink<T>) {
        let Outer { dy, dy_stride: stride, batch, .. } = operands;
        let mut sums = vec![T::ZERO; place.outputs.next_multiple_of(T::LANES)];
        if let GradientWork::Thin(size) = work {
            for rows in groups(size, batch) {
                let outputs = &self.kept(place.output_noise, place.layer + 1, rows.start).list;
                let mut packed = vec![T::ZERO; outputs.len().next_multiple_of(T::LANES)];
                packed.iter_mut().zip(outputs).for_each(|(to, &output)| *to = sums[output as usize]);
                let dy = &dy[rows.start * stride..rows.end * stride];
                self.s.run(ColumnSums { dy, stride, sums: &mut packed });
                packed.iter().zip(outputs).for_each(|(&sum, &output)| sums[output as usize] = sum);
            }
        } else {
            self.s.run(ColumnSums { dy: &dy[..batch * stride], stride, sums: &mut sums });
        }
        sink.take(Piece { rows: 0..1, columns: 0..place.outputs, gradient: &sums, stride: sums.len() });
    }

    /// The parameters that a job has elements of, and which.
    fn elements_of(&self, job: &Job) -> impl Iterator<Item = (usize, Range<usize>)> + use<S, T> {
        let place = self.pass.plan.dense[job.dense];
        let bias = place.bias.filter(|_| job.rows.start == 0).map(|bias| (bias, 0..place.outputs));
        let kernel = (place.kernel, job.rows.start * place.outputs..job.rows.end * place.outputs);
        std::iter::once(kernel).chain(bias)
    }

    /// Sums the squares of the gradients of this member's jobs.
    fn sum_squares(&self, whole: &Whole<'_, T>) {
        for number in self.mine.clone() {
            for (index, (parameter, elements)) in self.elements_of(&self.jobs[number]).enumerate() {
                // SAFETY: gradients are only read until the next barrier, and the sums are this member's.
                unsafe {
                    let slot = 2 * number + index;
                    let gradient = &whole.gradients[parameter].view()[elements];
                    whole.squares.part(slot..slot + 1)[0] = self.s.run(SumOfSquares(gradient));
                }
            }
        }
    }

    /// The factor that brings a parameter's gradient down to its bound.
    fn clip_factor(&self, whole: &Whole<'_, T>, parameter: usize) -> Option<T> {
        let (NormClip::Each(bound) | NormClip::Global(bound)) = whole.clip?;
        // SAFETY: complete since the barrier, and only read until the next.
        let squares = unsafe { whole.squares.view() };
        let mut sum = 0.0;
        for (number, job) in self.jobs.iter().enumerate() {
            for (index, (other, _)) in self.elements_of(job).enumerate() {
                if other == parameter || matches!(whole.clip, Some(NormClip::Global(_))) {
                    sum += squares[2 * number + index];
                }
            }
        }
        let norm = sum.sqrt();
        (norm > bound).then(|| T::from_f64(bound / norm))
    }

    /// Applies the kept gradient of some rows of a parameter.
    fn apply<R: UpdateRule<T>>(&self, whole: &Whole<'_, T>, index: usize, rows: Range<usize>, rule: R) {
        let parameter = &self.parameters[index];
        // SAFETY: these rows are this member's.
        let gradient =
            unsafe { whole.gradients[index].part(rows.start * parameter.columns..rows.end * parameter.columns) };
        let piece = Piece { rows, columns: 0..parameter.columns, gradient, stride: parameter.columns };
        let scale = self.clip_factor(whole, index);
        self.s.run(Apply { rule, parameter, scale, limits: Limits::default(), piece });
    }

    /// Holds the columns to their norms; each member has its share of the vectors of columns, the first all biases.
    fn constrain(&self) {
        for place in &self.pass.plan.dense {
            let kernel = &self.parameters[place.kernel];
            if let Some(max_norm) = kernel.limits.max_norm {
                let vectors = self.member.share(place.outputs.div_ceil(T::LANES));
                let columns = vectors.start * T::LANES..place.outputs.min(vectors.end * T::LANES);
                self.s.run(MaxNorm { parameter: kernel, width: place.outputs, columns, max_norm });
            }
            let bias = place.bias.filter(|_| self.member.index == 0).map(|bias| &self.parameters[bias]);
            if let Some((parameter, max_norm)) = bias.and_then(|bias| Some((bias, bias.limits.max_norm?))) {
                self.s.run(MaxNorm { parameter, width: 1, columns: 0..1, max_norm });
            }
        }
    }
}
