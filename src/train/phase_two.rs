//! Layer 4: phase two of a step: a member's jobs, and the further phases that clipping and constraints ask for.

use std::ops::Range;

use super::batch::{Batch, Pass};
use super::gradient_work::{GradientWork, groups};
use super::jobs::Job;
use super::layer::Limits;
use super::optimizer::{NormClip, RuleVisitor, UpdateRule};
use super::plan::DensePlace;
use super::skip::mask_start;
use super::update::{Apply, Direct, MaxNorm, Parameter, Store, SumOfSquares};
use super::workspace::row_stride;
use crate::gemm::kept::{Kept, among};
use crate::gemm::outer::{ColumnSums, Outer, Piece, RowGroup, Sink, ThinGroup};
use crate::parallel::{Member, Shared};
use crate::simd::{Element, Simd};

/// Whole gradients and their sums of squares, for [`NormClip`].
pub struct Whole<'a, T> {
    /// The bound.
    pub clip: NormClip,
    /// The gradient of each parameter.
    pub gradients: Vec<Shared<'a, T>>,
    /// Two numbers a job: sum of squares of its kernel rows, and of the bias if it does one.
    pub squares: Shared<'a, f64>,
}

/// What phase two works on.
pub struct PhaseTwo<'a, 'b, S, T: Element> {
    /// The level.
    pub s: S,
    /// Values and output gradients of the batch.
    pub pass: &'a Pass<'b, T>,
    /// The parameters.
    pub parameters: &'a [Parameter<'b, T>],
    /// Where gradients are kept, if clipping needs them whole.
    pub whole: Option<&'a Whole<'b, T>>,
    /// All jobs.
    pub jobs: &'a [Job],
    /// This member's.
    pub mine: Range<usize>,
    /// The member.
    pub member: &'a Member<'a>,
    /// The batch.
    pub batch: &'a Batch<'a>,
}

impl<S: Simd, T: Element + std::ops::Add<Output = T>> RuleVisitor<T> for PhaseTwo<'_, '_, S, T> {
    type Output = ();

    /// Runs phase two with the optimizer of this step.
    fn visit<R: UpdateRule<T>>(self, rule: R) {
        match self.whole {
            None => {
                for job in &self.jobs[self.mine.clone()] {
                    self.job(job, |parameter| Direct { s: self.s, rule, parameter: &self.parameters[parameter] });
                }
            }
            Some(whole) => {
                for number in self.mine.clone() {
                    self.store(whole, number);
                }
                self.member.wait();
                for number in self.mine.clone() {
                    self.apply(whole, number, rule);
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
    fn place(&self, job: &Job) -> DensePlace {
        self.pass.plan.dense[job.dense]
    }

    /// Computes the gradients of a job and hands them to the sinks of its parameters.
    fn job<Q: Sink<T>>(&self, job: &Job, sink: impl Copy + Fn(usize) -> Q) {
        let place = self.place(job);
        let stride = row_stride::<T>(place.outputs);
        let batch = self.batch.rows.len();
        let panels = batch.div_ceil(T::LANES);
        // SAFETY: values and output gradients are only read between the barriers of phase two.
        let (x, dy) = unsafe {
            (
                self.pass.buffers.values[self.pass.plan.buffer_of[place.layer]].view(),
                self.pass.buffers.rows[job.dense].view(),
            )
        };
        let x_stride = place.inputs * T::LANES;
        let operands = Outer { x: &x[..panels * x_stride], x_stride, dy, dy_stride: stride, batch };
        let bias = place.bias.filter(|_| job.rows.start == 0).map(sink);
        let mut kernel = sink(place.kernel);
        let work = GradientWork::new::<T>(&place, self.batch.draws, batch);
        match work {
            GradientWork::All => kernel.take_product(self.s, operands, job.rows.clone(), place.outputs),
            GradientWork::Inputs(size) => {
                let group = |rows: Range<usize>| RowGroup { kept: self.inputs(&place, job, rows.start), rows };
                let groups: Vec<_> = groups(size, batch).map(group).collect();
                operands.run_groups(self.s, job.rows.clone(), place.outputs, &groups, &mut kernel);
            }
            GradientWork::Thin(size) => {
                let group = |rows: Range<usize>| ThinGroup {
                    inputs: self.inputs(&place, job, rows.start),
                    outputs: self.kept(place.output_noise, place.layer + 1, rows.start),
                    rows,
                };
                let groups: Vec<_> = groups(size, batch).map(group).collect();
                operands.run_thin(self.s, job.rows.clone(), place.outputs, &groups, &mut kernel);
            }
        }
        if let Some(mut sink) = bias {
            self.bias(operands, &place, work, &mut sink);
        }
    }

    /// Which of the features of a value dropout kept in row `row` of the batch; all without a layer whose masks rows share.
    fn kept(&self, noise: Option<usize>, value: usize, row: usize) -> &Kept {
        let buffers = &self.pass.buffers;
        let shared = |&noise: &usize| self.batch.draws[noise].noise.panels_per_mask(T::LANES).is_some();
        let Some(noise) = noise.filter(shared) else { return &buffers.whole[value] };
        let panels = 0..self.batch.rows.len().div_ceil(T::LANES);
        let panel = mask_start::<T>(&self.batch.draws[noise], &panels, 0, row / T::LANES);
        // SAFETY: what was kept is only read between the barriers of phase two.
        unsafe { &buffers.kept[noise].view()[panel] }
    }

    /// The inputs of a job that row `row` of the batch kept.
    fn inputs(&self, place: &DensePlace, job: &Job, row: usize) -> &[u32] {
        among(&self.kept(place.input_noise, place.layer, row).list, &job.rows)
    }

    /// Hands on the bias gradient of a layer.
    fn bias(&self, operands: Outer<'_, T>, place: &DensePlace, work: GradientWork, sink: &mut impl Sink<T>) {
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

    /// The elements of a parameter that a job owns.
    fn owned(&self, job: &Job, parameter: usize) -> Range<usize> {
        let place = self.place(job);
        if parameter == place.kernel {
            job.rows.start * place.outputs..job.rows.end * place.outputs
        } else {
            0..place.outputs
        }
    }

    /// The parameters of which a job owns elements.
    fn parameters_of(&self, job: &Job) -> impl Iterator<Item = usize> + use<S, T> {
        let place = self.place(job);
        let bias = place.bias.filter(|_| job.rows.start == 0);
        std::iter::once(place.kernel).chain(bias)
    }

    /// Keeps the gradients of job `number` and their sums of squares.
    fn store(&self, whole: &Whole<'_, T>, number: usize) {
        let job = &self.jobs[number];
        self.job(job, |parameter| Store {
            s: self.s,
            parameter: &self.parameters[parameter],
            gradient: whole.gradients[parameter],
        });
        for (index, parameter) in self.parameters_of(job).enumerate() {
            // SAFETY: the job's elements and sums are this member's.
            unsafe {
                let gradient = whole.gradients[parameter].part(self.owned(job, parameter));
                let slot = 2 * number + index;
                whole.squares.part(slot..slot + 1)[0] = self.s.run(SumOfSquares(gradient));
            }
        }
    }

    /// The factor that brings a parameter's gradient down to its bound.
    fn clip_factor(&self, whole: &Whole<'_, T>, parameter: usize) -> Option<T> {
        // SAFETY: complete since the barrier, and only read until the next.
        let squares = unsafe { whole.squares.view() };
        let mut sum = 0.0;
        for (number, job) in self.jobs.iter().enumerate() {
            for (index, other) in self.parameters_of(job).enumerate() {
                if other == parameter || matches!(whole.clip, NormClip::Global(_)) {
                    sum += squares[2 * number + index];
                }
            }
        }
        let (NormClip::Each(bound) | NormClip::Global(bound)) = whole.clip;
        let norm = sum.sqrt();
        (norm > bound).then(|| T::from_f64(bound / norm))
    }

    /// Applies the kept gradients of job `number`.
    fn apply<R: UpdateRule<T>>(&self, whole: &Whole<'_, T>, number: usize, rule: R) {
        let job = &self.jobs[number];
        for index in self.parameters_of(job) {
            let parameter = &self.parameters[index];
            let owned = self.owned(job, index);
            let rows = owned.start / parameter.columns..owned.end / parameter.columns;
            // SAFETY: the job's elements are this member's.
            let gradient = unsafe { whole.gradients[index].part(owned) };
            let piece = Piece { rows, columns: 0..parameter.columns, gradient, stride: parameter.columns };
            let scale = self.clip_factor(whole, index);
            self.s.run(Apply { rule, parameter, scale, limits: Limits::default(), piece });
        }
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
