//! Layer 4: a run of batches as one call: two phases and their barriers, step after step.
//!
//! ```text
//! phase 1   each member: forward and backward through its own weights, the loss of its panels     (they meet in between)
//! barrier
//! phase 2   each member: tiles of the gradients of its own weights into the optimizer
//! barrier
//! ```
//!
//! Clipping by a norm needs whole gradients: phase 2 then stores them, and a third phase applies them; so it is for the
//! optimizers that are not compiled into the products. A max-norm
//! constraint needs whole columns: one more phase. Each is there only if the run asks for it.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::gather::{Input, Scatter};
use super::halt::{Checkpoint, Halt};
use super::jobs::{Job, jobs, share};
use super::layer::{Layer, Noise};
use super::loss::{Loss, LossPanel, Targets};
use super::noise::{Draw, Origin};
use super::optimizer::{NormClip, Optimizer, with_rule};
use super::own::by_features;
use super::pass::{Batch, Group, Pass};
use super::phase_two::{PhaseTwo, Whole};
use super::plan::Plan;
use super::update::{Parameter, penalty};
use super::workspace::{Local, Workspace};
use crate::aligned::Aligned;
use crate::error::{Error, Result};
use crate::gemm::blocks::SHARE;
use crate::parallel::{Member, Shared, Team, cores};
use crate::rng::Key;
use crate::simd::{Element, Kernel, Level, Simd, dispatch_at, level};

/// Panels that go through the network together: enough that a kernel is read seldom, and few enough that their values stay in the caches.
const GROUP: usize = 16;

/// A run of batches: what to train on, and how.
pub(crate) struct Run<'a, T: Element> {
    /// The network.
    pub(crate) plan: &'a Plan,
    /// Its parameters with the optimizer's slots.
    pub(crate) parameters: Vec<Parameter<'a, T>>,
    /// The data set.
    pub(crate) input: Input<'a, T>,
    /// Its labels or targets.
    pub(crate) targets: Targets<'a, T>,
    /// A weight for each row of the data set.
    pub(crate) weights: Option<&'a [T]>,
    /// The rows of the run, in order: all batches have `batch_size`, but for the last.
    pub(crate) order: &'a [i64],
    /// Rows of a batch.
    pub(crate) batch_size: usize,
    /// The loss.
    pub(crate) loss: Loss,
    /// The optimizer.
    pub(crate) optimizer: Optimizer,
    /// Clipping that needs whole gradients.
    pub(crate) clip: Option<NormClip>,
    /// Whether gradients are whole before any is used: then a step can end early without a trace.
    pub(crate) whole_gradients: bool,
    /// A learning rate for each batch.
    pub(crate) learning_rates: &'a [f64],
    /// A key for each stochastic layer; its step is replaced.
    pub(crate) keys: &'a [Key],
    /// Rates `[batch][stochastic layer]` that replace the layers' own.
    pub(crate) rates: Option<&'a [f64]>,
    /// Batches that the optimizer has seen before.
    pub(crate) first_step: u64,
    /// Batches that it has seen: moved on with each step, so that weights and counter belong together whenever Python sees them.
    pub(crate) counter: &'a AtomicU64,
    /// The sum of losses of the epoch so far: carried on batch by batch, it doesn't depend on where runs end.
    pub(crate) total: f64,
    /// Receives the outputs `[row of the run][unit]`.
    pub(crate) predictions: Option<Shared<'a, T>>,
    /// The run ends after the batch in which this has passed.
    pub(crate) budget: Duration,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Progress {
    /// Batches done.
    pub(crate) batches: usize,
    /// Sum over rows of weighted losses, penalties counted once a row: the run's `total` carried on.
    pub(crate) loss: f64,
    /// Rows whose label was predicted.
    pub(crate) correct: u64,
}

impl<'a, T: Element + std::ops::Add<Output = T>> Run<'a, T> {
    /// Trains until the rows or the budget are used up.
    ///
    /// # Errors
    /// [`Error::FloatingPoint`] where a batch's loss is not finite, [`Error::Interrupted`] where the caller was asked to end: parameters
    /// and counter are then those before that batch.
    pub(crate) fn train(&self, workspace: &mut Workspace<T>) -> Result<Progress> {
        self.train_at(level(), workspace)
    }

    /// [`Run::train`] on a given level, for tests and benchmarks.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub(crate) fn train_at(&self, level: Level, workspace: &mut Workspace<T>) -> Result<Progress> {
        dispatch_at(level, Train { run: self, workspace })
    }

    /// How many of the layers run before the loss: without a last softmax if the loss is computed from its input.
    fn layers(&self) -> usize {
        let count = self.plan.layers.len();
        let softmax = matches!(self.plan.layers.last(), Some(Layer::Activation(last)) if last.is_softmax());
        count - usize::from(softmax && self.loss.takes_softmax_input())
    }

    /// The stochastic layers of batch `batch` of `rows` rows, with its rates and keys.
    fn draws(&self, batch: usize, rows: usize) -> Vec<Draw> {
        let count = self.plan.noise.len();
        let draw = |index: usize| {
            let noise = *self.plan.noise_layer(index);
            let rate = self.rates.map_or(noise.rate, |rates| rates[batch * count + index]);
            let sharing = noise.sharing.among(rows);
            let key = self.keys[index].at(self.first_step + batch as u64);
            Draw { noise: Noise { rate, sharing, ..noise }, key, origin: Origin::default() }
        };
        (0..count).map(draw).collect()
    }
}

/// [`Run::train`] on a level.
struct Train<'a, 'b, T: Element> {
    run: &'b Run<'a, T>,
    workspace: &'b mut Workspace<T>,
}

impl<T: Element + std::ops::Add<Output = T>> Kernel for Train<'_, '_, T> {
    type Output = Result<Progress>;

    fn run<S: Simd>(self, s: S) -> Result<Progress> {
        let Self { run, workspace } = self;
        let jobs = jobs(run.plan);
        let panels = run.batch_size.min(run.order.len()).div_ceil(T::LANES);
        let members = workspace.members();
        let keeps = run.clip.is_some() || run.whole_gradients || !run.optimizer.is_fused::<T>();
        let lengths = run.plan.parameters.iter().filter(|_| keeps);
        let mut gradients: Vec<_> = lengths.map(|&len| Aligned::zeros(len)).collect::<Result<_>>()?;
        let mut squares = Aligned::zeros(if run.clip.is_some() { 2 * jobs.len() } else { 0 })?;
        let mut losses = Aligned::zeros(panels * T::LANES)?;
        let mut penalties = Aligned::zeros(jobs.len())?;
        let shared_squares = Shared::new(&mut squares);
        let whole = keeps.then(|| Whole {
            clip: run.clip,
            gradients: gradients.iter_mut().map(|gradient| Shared::new(gradient)).collect(),
            squares: shared_squares,
        });
        let mut policy = std::mem::take(&mut workspace.policy);
        policy.prepare(
            run.batch_size,
            members.min(cores()),
            run.plan.parameters.iter().sum::<usize>() * run.batch_size / SHARE,
        );
        let team_run = TeamRun {
            s,
            run,
            pass: Pass {
                plan: run.plan,
                parameters: run.parameters.iter().map(|parameter| parameter.values.to_view()).collect(),
                buffers: workspace.share(),
            },
            whole,
            jobs,
            losses: Shared::new(&mut losses),
            penalties: Shared::new(&mut penalties),
            correct: AtomicUsize::new(0),
            halt: Halt::default(),
        };
        let outcome = team_run.batches(&mut Team::new(members, &mut policy));
        workspace.policy = policy;
        outcome
    }
}

/// A run in the hands of a team.
struct TeamRun<'a, 'b, S, T: Element> {
    s: S,
    run: &'b Run<'a, T>,
    pass: Pass<'b, T>,
    whole: Option<Whole<'b, T>>,
    jobs: Vec<Job>,
    /// The weighted loss of each row of the batch.
    losses: Shared<'b, T>,
    /// The penalty of each job's weights.
    penalties: Shared<'b, f64>,
    correct: AtomicUsize,
    halt: Halt,
}

impl<'b, S: Simd, T: Element + std::ops::Add<Output = T>> TeamRun<'_, 'b, S, T>
where
    Self: 'b,
{
    /// All batches, each a turn of the team.
    fn batches(&self, team: &mut Team<'_>) -> Result<Progress> {
        let (run, started) = (self.run, Instant::now());
        let mut progress = Progress { loss: run.total, ..Progress::default() };
        for (number, rows) in run.order.chunks(run.batch_size).enumerate() {
            let draws = run.draws(number, rows.len());
            let batch = Batch { rows, first: number * run.batch_size, draws: &draws };
            let loss = Mutex::new(None);
            team.turn(rows.len(), &|member| {
                let sum = Member::alone(|alone| self.batch(member, alone, number, &batch));
                if member.index == 0 {
                    *loss.lock().expect("nobody else holds it") = sum;
                }
            });
            let Some(loss) = loss.into_inner().expect("nobody else holds it") else { return Err(Error::Interrupted) };
            if !loss.is_finite() {
                let message = format!("the loss became {loss} at batch {number} of this run, step {}", {
                    run.first_step + number as u64
                });
                return Err(Error::FloatingPoint(message));
            }
            run.counter.store(run.first_step + number as u64 + 1, Relaxed);
            progress.loss += loss;
            progress.batches += 1;
            if started.elapsed() >= run.budget {
                break;
            }
        }
        progress.correct = self.correct.load(Relaxed) as u64;
        Ok(progress)
    }

    /// One member's part of batch `number`; it is also a team `alone`. Returns the loss; where that is not finite, nothing was changed,
    /// and neither where there is none, because the call ended early.
    fn batch(&self, member: &Member<'_>, alone: &Member<'_>, number: usize, batch: &Batch<'_>) -> Option<f64> {
        let run = self.run;
        let mine = share(&self.jobs, run.plan, member.index, member.size);
        // SAFETY: locals belong to their members.
        let local = unsafe { &mut self.pass.buffers.locals.part(member.index..member.index + 1)[0] };
        if run.parameters.iter().any(|parameter| parameter.limits.decays()) {
            self.penalties(mine.clone());
        }
        self.phase_one(member, alone, batch, local);
        if self.halt.reached(Checkpoint::PHASE_ONE) {
            return None;
        }
        let loss = self.loss(batch.rows.len());
        if loss.is_finite() {
            let two = PhaseTwo {
                s: self.s,
                pass: &self.pass,
                parameters: &run.parameters,
                whole: self.whole.as_ref(),
                jobs: &self.jobs,
                mine,
                member,
                batch,
                halt: (&self.halt, Checkpoint::PHASE_TWO),
            };
            let step = run.first_step + number as u64 + 1;
            with_rule(&run.optimizer, run.learning_rates[number], step, two);
            if self.halt.reached(Checkpoint::PHASE_TWO) {
                return None;
            }
        }
        Some(loss)
    }

    /// Forward, loss and backward of the batch, some panels at a time: layers before `by_features` each member with its own features of
    /// all panels, then those after it with its own panels. Members meet when all is there.
    ///
    /// A batch of several groups may end early, for all members alike.
    fn phase_one(&self, member: &Member<'_>, alone: &Member<'_>, batch: &Batch<'_>, local: &mut Local<T>) {
        let (layers, panels) = (self.run.layers(), batch.rows.len().div_ceil(T::LANES));
        let middle = by_features(self.run.plan).min(layers);
        for first in (0..panels).step_by(GROUP) {
            let all = Group { panels: first..panels.min(first + GROUP), first_row: first * T::LANES, member };
            let mine = all.mine::<T>(alone);
            let first = if middle > 0 { &all } else { &mine };
            // SAFETY: the group is this team's, and nobody writes the parameters in phase one. Features are their owners', and between
            // the meetings panels are.
            unsafe {
                for panel in first.panels.clone() {
                    let rows = batch.lanes::<T>(panel).iter().map(|&row| row as usize);
                    let own = first.own::<T>(self.run.plan.widths[0]);
                    self.pass.gather(self.s, self.run.input, rows, panel, own);
                }
                if middle > 0 {
                    self.pass.forward(self.s, &all, 0..middle, Some(batch.draws), &mut local.scratch);
                    member.wait();
                }
                self.pass.forward(self.s, &mine, middle..layers, Some(batch.draws), &mut local.scratch);
                for panel in mine.panels.clone() {
                    self.panel_loss(layers, panel, batch, &mut local.panel);
                }
                self.pass.backward(self.s, &mine, middle..layers, batch, &mut local.panel);
                let here = Checkpoint::group(all.first_row / (GROUP * T::LANES));
                let halts = panels > GROUP && self.halt.ask(member, here);
                if middle > 0 {
                    member.wait();
                    if self.halt.reached(here) {
                        break;
                    }
                    self.pass.backward(self.s, &all, 0..middle, batch, &mut local.panel);
                } else if halts {
                    break;
                }
            }
        }
        member.wait();
    }

    /// Loss and gradient of one panel; the gradient goes to its room, or where no layer has use for it, to `nowhere`.
    ///
    /// # Safety
    /// The caller has the panel for itself.
    unsafe fn panel_loss(&self, layers: usize, panel: usize, batch: &Batch<'_>, nowhere: &mut [T]) {
        let rows = batch.lanes::<T>(panel);
        let softmax = layers < self.run.plan.layers.len();
        let all = 0..self.run.plan.widths[layers];
        // SAFETY: the caller's promise.
        let (output, gradient, losses) = unsafe {
            let gradient = match self.pass.room(layers) {
                Some(room) => self.pass.gradient(room, panel, all.clone()),
                None => &mut nowhere[..all.len() * T::LANES],
            };
            let losses = self.losses.part(panel * T::LANES..(panel + 1) * T::LANES);
            // Softmax writes over its input only where backward does not need that.
            let output =
                if softmax { self.pass.moved(layers, panel, all) } else { self.pass.value(layers, panel, all) };
            (output, gradient, losses)
        };
        let correct = self.s.call(LossPanel {
            loss: self.run.loss,
            softmax,
            targets: self.run.targets,
            weights: self.run.weights,
            rows,
            scale: 1.0 / batch.rows.len() as f64,
            output: &mut *output,
            gradient,
            losses,
        });
        self.correct.fetch_add(correct, Relaxed);
        if let Some(predictions) = &self.run.predictions {
            let units = self.run.plan.outputs();
            let start = (batch.first + panel * T::LANES) * units;
            // SAFETY: these rows of the predictions are this member's.
            let rows = unsafe { predictions.part(start..start + rows.len() * units) };
            self.s.run(Scatter { panel: output, rows, stride: units });
        }
    }

    /// The penalties of the weights of some jobs.
    fn penalties(&self, mine: Range<usize>) {
        for number in mine {
            let job = &self.jobs[number];
            let place = self.run.plan.dense[job.dense];
            let kernel = &self.run.parameters[place.kernel];
            // SAFETY: nobody writes the parameters in phase one; the slot is this member's.
            unsafe {
                let rows = job.rows.start * place.outputs..job.rows.end * place.outputs;
                let mut sum = penalty(&kernel.values.view()[rows], kernel.limits);
                if let Some(bias) = place.bias.filter(|_| job.rows.start == 0) {
                    let bias = &self.run.parameters[bias];
                    sum += penalty(bias.values.view(), bias.limits);
                }
                self.penalties.part(number..number + 1)[0] = sum;
            }
        }
    }

    /// The batch's loss, summed over its rows in ascending order by every member alike.
    fn loss(&self, rows: usize) -> f64 {
        // SAFETY: complete since the barrier, and only read until the next.
        let (losses, penalties) = unsafe { (self.losses.view(), self.penalties.view()) };
        let penalty: f64 = penalties.iter().sum();
        losses[..rows].iter().map(|loss| loss.to_f64()).sum::<f64>() + penalty * rows as f64
    }
}
