//! Layer 4: inference, and Monte Carlo averages over dropout masks.
//!
//! Each member takes its own rows through the network in small groups of panels, so memory does not grow with the number of
//! rows or samples. A call that is interrupted leaves its outputs half written.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::few_rows;
use super::gather::{Input, Scatter};
use super::layer::Noise;
use super::noise::{Draw, Origin};
use super::pass::{Group, Pass};
use super::plan::Plan;
use super::workspace::{Scratch, Workspace};
use crate::aligned::ensure_room;
use crate::dense::forward::Real;
use crate::error::Result;
use crate::gemm::blocks::SHARE;
use crate::gemm::panel::panels_at_once;
use crate::interrupt::requested;
use crate::parallel::{Effort, Member, Shared, View, for_each_part_by};
use crate::rng::Key;
use crate::simd::{Element, Kernel, Simd, dispatch};

/// Rows to predict.
pub(crate) struct Predict<'a, T: Element> {
    /// The network.
    pub(crate) plan: &'a Plan,
    /// Its parameters.
    pub(crate) parameters: Vec<View<'a, T>>,
    /// The data.
    pub(crate) input: Input<'a, T>,
    /// Rows of it.
    pub(crate) rows: usize,
    /// A key for each stochastic layer, for predictions as in training.
    pub(crate) keys: Option<&'a [Key]>,
    /// Rates that replace the layers' own.
    pub(crate) rates: Option<&'a [f64]>,
    /// The rows whose decisions they take.
    pub(crate) origin: Origin,
}

/// Running mean and sum of squared deviations, `[row][unit]` each (Welford 1962).
#[derive(Clone, Copy)]
pub(crate) struct Moments<'a> {
    /// Mean of the samples so far.
    pub(crate) mean: Shared<'a, f64>,
    /// Sum of their squared deviations from it.
    pub(crate) m2: Shared<'a, f64>,
    /// Samples to add: their numbers are the steps of their keys.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
}

/// What is done with the outputs.
enum Job<'a, T> {
    Outputs(Shared<'a, T>),
    Moments(Moments<'a>),
}

impl<'a, T: Real> Predict<'a, T> {
    /// Writes the outputs, `[row][unit]`.
    ///
    /// # Errors
    /// [`crate::error::Error::Memory`] where there is no room for what a few panels need.
    pub(crate) fn outputs(self, out: &'a mut [T]) -> Result<()> {
        assert_eq!(out.len(), self.rows * self.plan.outputs());
        if let (None, Input::Float(x), true) =
            (self.keys, self.input, few_rows::fits(self.plan, &self.input, self.rows))
        {
            let Self { plan, parameters, rows, .. } = &self;
            ensure_room::<T>(2 * rows * plan.widest())?;
            dispatch(few_rows::Rows { plan, parameters, x, rows: *rows, out });
            return Ok(());
        }
        dispatch(Run { predict: self, job: Job::Outputs(Shared::new(out)) })
    }

    /// Adds samples of the outputs under fresh masks to running moments.
    ///
    /// # Panics
    /// Without keys, or where the moments have another shape.
    ///
    /// # Errors
    /// As [`Predict::outputs`].
    pub(crate) fn moments(self, moments: Moments<'a>) -> Result<()> {
        assert!(self.keys.is_some() && moments.mean.len() == self.rows * self.plan.outputs());
        assert_eq!(moments.mean.len(), moments.m2.len());
        dispatch(Run { predict: self, job: Job::Moments(moments) })
    }
}

impl<T: Element> Predict<'_, T> {
    /// The stochastic layers with their keys at `step`, or as given.
    fn draws(&self, step: Option<u64>) -> Option<Vec<Draw>> {
        let draw = |(index, key): (usize, &Key)| {
            let noise = *self.plan.noise_layer(index);
            let rate = self.rates.map_or(noise.rate, |rates| rates[index]);
            let key = step.map_or(*key, |step| key.at(step));
            Draw { noise: Noise { rate, ..noise }, key, origin: self.origin }
        };
        self.keys.map(|keys| keys.iter().enumerate().map(draw).collect())
    }
}

struct Run<'a, T: Element> {
    predict: Predict<'a, T>,
    job: Job<'a, T>,
}

impl<T: Element> Kernel for Run<'_, T> {
    type Output = Result<()>;

    fn run<S: Simd>(self, s: S) -> Result<()> {
        let Self { predict, job } = self;
        let group = panels_at_once(S::LEVEL);
        let panels = predict.rows.div_ceil(T::LANES);
        let samples = if let Job::Moments(moments) = &job { moments.count as usize } else { 1 };
        let work = predict.plan.parameters.iter().sum::<usize>() * predict.rows * samples;
        let effort = Effort::of(work / SHARE);
        let part = part(panels, effort.threads, group);
        let members = effort.threads;
        let mut workspace = Workspace::new(predict.plan, members * group, members, false)?;
        // What each thread makes for itself.
        ensure_room::<T>(members * (group + 1) * predict.plan.widest() * T::LANES)?;
        let pass = Pass { plan: predict.plan, parameters: predict.parameters.clone(), buffers: workspace.share() };
        let shared = Predicting { s, predict: &predict, pass, group, ended: AtomicBool::new(false) };
        for_each_part_by(effort, panels, part, |member, mine| {
            if shared.ended.load(Relaxed) {
                return;
            }
            let first = member * group;
            Member::alone(|alone| match &job {
                Job::Outputs(out) => shared.outputs(alone, first, mine, out),
                Job::Moments(moments) => shared.moments(alone, first, mine, moments),
            });
        });
        Ok(())
    }
}

/// Panels of a part: several parts for each thread where they are whole groups, so that a thread whose core is taken away leaves little
/// to wait for.
fn part(panels: usize, threads: usize, group: usize) -> usize {
    const PARTS_PER_THREAD: usize = 8;
    let most = panels.div_ceil(threads).max(1);
    panels.div_ceil(PARTS_PER_THREAD * threads).next_multiple_of(group).clamp(1, most)
}

/// A prediction in the hands of some threads, each with its own of the buffers.
struct Predicting<'a, 'b, S, T: Element> {
    s: S,
    predict: &'b Predict<'a, T>,
    pass: Pass<'b, T>,
    /// Panels at a time.
    group: usize,
    /// Whether the caller was asked to end early.
    ended: AtomicBool,
}

impl<S: Simd, T: Element> Predicting<'_, '_, S, T> {
    /// Whether the call is to end early.
    fn ends(&self) -> bool {
        if requested() {
            self.ended.store(true, Relaxed);
        }
        self.ended.load(Relaxed)
    }

    /// Some panels in groups, each with the buffers' panels that it uses, from `slot` on.
    fn groups<'m>(
        &self,
        alone: &'m Member<'m>,
        slot: usize,
        mine: Range<usize>,
    ) -> impl Iterator<Item = (Range<usize>, Group<'m>)> + use<'m, S, T> {
        let group = self.group;
        mine.clone().step_by(group).map(move |first| {
            let panels = first..mine.end.min(first + group);
            let slots = slot..slot + panels.len();
            (panels, Group { panels: slots, first_row: first * T::LANES, member: alone })
        })
    }

    /// The rows of a panel.
    fn rows(&self, panel: usize) -> Range<usize> {
        panel * T::LANES..self.predict.rows.min((panel + 1) * T::LANES)
    }

    /// Gathers panels `panels` of the data for a group.
    ///
    /// # Safety
    /// The caller has the group for itself.
    unsafe fn gather(&self, panels: Range<usize>, group: &Group<'_>) {
        for (panel, slot) in panels.zip(group.panels.clone()) {
            let columns = 0..self.predict.plan.widths[0];
            // SAFETY: the caller's promise.
            unsafe { self.pass.gather(self.s, self.predict.input, self.rows(panel), slot, columns) };
        }
    }

    fn outputs(&self, alone: &Member<'_>, slot: usize, mine: Range<usize>, out: &Shared<'_, T>) {
        let (layers, units) = (self.predict.plan.layers.len(), self.predict.plan.outputs());
        let draws = self.predict.draws(None);
        let mut scratch = Scratch::new(self.predict.plan);
        for (panels, group) in self.groups(alone, slot, mine) {
            if self.ends() {
                return;
            }
            // SAFETY: the group and its rows of the output are this thread's.
            unsafe {
                self.gather(panels.clone(), &group);
                self.pass.forward(self.s, &group, 0..layers, draws.as_deref(), &mut scratch);
                for (panel, slot) in panels.zip(group.panels) {
                    let rows = self.rows(panel);
                    let rows = out.part(rows.start * units..rows.end * units);
                    self.s.run(Scatter { panel: self.pass.value(layers, slot, 0..units), rows, stride: units });
                }
            }
        }
    }

    fn moments(&self, alone: &Member<'_>, slot: usize, mine: Range<usize>, moments: &Moments<'_>) {
        let plan = self.predict.plan;
        let (layers, units) = (plan.layers.len(), plan.outputs());
        let start = plan.first_noise().unwrap_or(layers);
        let width = plan.widths[start];
        let mut scratch = Scratch::new(self.predict.plan);
        let mut rows = vec![T::ZERO; T::LANES * units];
        let mut prefix = vec![T::ZERO; self.group * width * T::LANES];
        for (panels, group) in self.groups(alone, slot, mine) {
            // SAFETY: the group and its rows of the moments are this thread's.
            unsafe {
                self.gather(panels.clone(), &group);
                self.pass.forward(self.s, &group, 0..start, None, &mut scratch);
                let copies = || group.panels.clone().map(|slot| self.pass.value(start, slot, 0..width));
                for (copy, value) in prefix.chunks_exact_mut(width * T::LANES).zip(copies()) {
                    copy.copy_from_slice(value);
                }
                for sample in moments.first..moments.first + moments.count {
                    if self.ends() {
                        return;
                    }
                    let draws = self.predict.draws(Some(sample));
                    for (copy, value) in prefix.chunks_exact(width * T::LANES).zip(copies()) {
                        value.copy_from_slice(copy);
                    }
                    self.pass.forward(self.s, &group, start..layers, draws.as_deref(), &mut scratch);
                    for (panel, slot) in panels.clone().zip(group.panels.clone()) {
                        let panel_of_outputs = self.pass.value(layers, slot, 0..units);
                        self.s.run(Scatter { panel: panel_of_outputs, rows: &mut rows, stride: units });
                        self.add_sample(self.rows(panel), sample, &rows, moments);
                    }
                }
            }
        }
    }

    /// One sample of some rows into their moments.
    ///
    /// # Safety
    /// The caller has these rows of the moments for itself.
    unsafe fn add_sample(&self, rows: Range<usize>, sample: u64, outputs: &[T], moments: &Moments<'_>) {
        let units = self.predict.plan.outputs();
        let range = rows.start * units..rows.end * units;
        // SAFETY: the caller's promise.
        let (mean, m2) = unsafe { (moments.mean.part(range.clone()), moments.m2.part(range)) };
        let share = 1.0 / (sample + 1) as f64;
        for ((mean, m2), output) in mean.iter_mut().zip(m2).zip(outputs) {
            let deviation = output.to_f64() - *mean;
            *mean += deviation * share;
            *m2 += deviation * (output.to_f64() - *mean);
        }
    }
}
