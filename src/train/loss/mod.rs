//! Layer 4: losses on panels `[unit][lane]`, a row of the batch a lane, each with its gradient.
//!
//! Formulas and defaults are Keras 3's. A row's sum over units runs in ascending order. [`LossPanel`] is the one way in;
//! `crossentropy.rs`, `terms.rs` and, for those that few models use, `further.rs` hold the formulas, `target.rs` where the true values come from.

mod crossentropy;
mod further;
mod target;
mod terms;

#[cfg(test)]
mod tests;

use self::crossentropy::LogitsPanel;
use self::further::FurtherPanel;
use self::target::{Gathered, OneHot, Smoothed, Target};
use self::terms::{
    AbsoluteError, BinaryLogits, BinaryProbabilities, CategoricalProbabilities, Huber, SquaredError, TermsPanel,
};
use crate::simd::{Element, Kernel, Mask, Simd, V, Vector};

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LossKind {
    /// `-ln p(label)`
    SparseCategoricalCrossentropy,
    /// `-Σ t ln p`
    CategoricalCrossentropy,
    /// Mean over units of `-t ln p - (1 - t) ln(1 - p)`.
    BinaryCrossentropy,
    /// Mean over units of `(y - t)²`.
    MeanSquaredError,
    /// Mean over units of `|y - t|`.
    MeanAbsoluteError,
    /// Mean over units of `e² / 2` where `e = |y - t| <= delta`, else `delta (e - delta / 2)` (Huber 1964).
    Huber,
    /// Mean over units of `max(1 - t y, 0)`; true values are -1 and 1.
    Hinge,
    /// Mean over units of `max(1 - t y, 0)²`.
    SquaredHinge,
    /// `max(largest (1 - t) y - Σ t y + 1, 0)`
    CategoricalHinge,
    /// `Σ t ln(t / y)`, both held in [1e-7, 1].
    KlDivergence,
    /// Mean over units of `y - t ln(y + 1e-7)`.
    Poisson,
    /// Mean over units of `ln(cosh(y - t))`.
    LogCosh,
    /// Minus the cosine of the angle between predictions and true values.
    CosineSimilarity,
    /// Mean over units of `100 |y - t| / |t|`.
    MeanAbsolutePercentageError,
    /// Mean over units of `(ln(1 + y) - ln(1 + t))²`.
    MeanSquaredLogarithmicError,
    /// Binary cross-entropy times `(1 - p_t)^gamma` (Lin et al. 2017).
    BinaryFocalCrossentropy,
    /// Cross-entropy times `alpha (1 - p)^gamma`.
    CategoricalFocalCrossentropy,
    /// Mean over units of `max(q e, (q - 1) e)` with `e = t - y`: one unit for each target and quantile `q`, targets first.
    Quantile,
    /// Mean over targets of `(ln v + (t - mean)² / v) / 2`: the units are all means, then all logarithms `ln v`.
    GaussianNll,
}

/// Up to [`MOST_QUANTILES`] quantiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quantiles {
    levels: [f64; MOST_QUANTILES],
    count: usize,
}

/// The most quantiles of a loss.
pub(crate) const MOST_QUANTILES: usize = 32;

impl Quantiles {
    /// `None` where there are too many.
    pub(crate) fn new(levels: &[f64]) -> Option<Self> {
        let mut all = Self { levels: [0.0; MOST_QUANTILES], count: levels.len() };
        all.levels.get_mut(..levels.len())?.copy_from_slice(levels);
        Some(all)
    }

    /// Them.
    pub(crate) fn as_slice(&self) -> &[f64] {
        &self.levels[..self.count]
    }
}

/// A loss with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Loss {
    /// Which.
    pub(crate) kind: LossKind,
    /// Whether predictions are logits; else probabilities, clipped to [1e-7, 1 - 1e-7]. Of the cross-entropies.
    pub(crate) from_logits: bool,
    /// How much of each target is spread evenly over all classes, in [0, 1]. Of the cross-entropies.
    pub(crate) label_smoothing: f64,
    /// Where Huber's loss becomes linear.
    pub(crate) delta: f64,
    /// How much focal losses leave out what is right already.
    pub(crate) gamma: f64,
    /// Weight of the focal losses' class 1, or of all.
    pub(crate) alpha: f64,
    /// Whether the binary focal loss weighs classes by `alpha` and `1 - alpha`.
    pub(crate) class_balance: bool,
    /// Of the quantile loss; none for others.
    pub(crate) quantiles: Quantiles,
}

/// The true values of a data set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Targets<'a, T> {
    /// One class a row.
    Labels(&'a [i64]),
    /// `[row][unit]`
    Values(&'a [T]),
}

impl Loss {
    /// A loss with the defaults of its parameters.
    pub(crate) fn new(kind: LossKind) -> Self {
        Self {
            kind,
            from_logits: false,
            label_smoothing: 0.0,
            delta: 1.0,
            gamma: 2.0,
            alpha: 0.25,
            class_balance: false,
            quantiles: Quantiles { levels: [0.0; MOST_QUANTILES], count: 0 },
        }
    }

    /// How many true values a row has where there are so many units of output; `None` where units don't divide.
    pub(crate) fn target_units(&self, units: usize) -> Option<usize> {
        let each = match self.kind {
            LossKind::Quantile => self.quantiles.count.max(1),
            LossKind::GaussianNll => 2,
            _ => 1,
        };
        units.is_multiple_of(each).then_some(units / each)
    }

    /// Whether the loss is one of `further.rs`.
    fn is_further(&self) -> bool {
        use LossKind::*;
        !matches!(
            self.kind,
            SparseCategoricalCrossentropy
                | CategoricalCrossentropy
                | BinaryCrossentropy
                | MeanSquaredError
                | MeanAbsoluteError
                | Huber
        )
    }

    /// Whether the loss, where its predictions come from softmax, is better computed from softmax's input.
    pub(crate) fn takes_softmax_input(&self) -> bool {
        self.is_categorical() && !self.from_logits
    }

    fn is_categorical(&self) -> bool {
        matches!(self.kind, LossKind::SparseCategoricalCrossentropy | LossKind::CategoricalCrossentropy)
    }

    /// Factor and summand that smooth targets, for so many units.
    fn smoothing(&self, units: usize) -> (f64, f64) {
        let smoothing = self.label_smoothing;
        match self.kind {
            LossKind::SparseCategoricalCrossentropy
            | LossKind::CategoricalCrossentropy
            | LossKind::CategoricalFocalCrossentropy => (1.0 - smoothing, smoothing / units as f64),
            LossKind::BinaryCrossentropy | LossKind::BinaryFocalCrossentropy => (1.0 - smoothing, 0.5 * smoothing),
            _ => (1.0, 0.0),
        }
    }
}

/// Loss and gradient of up to `LANES` rows. Run, it returns how many of them are classified correctly: the largest
/// unit is the target's (the first of equals), or for binary cross-entropy all units are on their target's side of
/// one half; 0 for other losses.
pub(crate) struct LossPanel<'a, T> {
    /// The loss.
    pub(crate) loss: Loss,
    /// Whether `output` holds softmax's input; softmax is then part of the loss, and its result overwrites `output`.
    pub(crate) softmax: bool,
    /// True values of the data set.
    pub(crate) targets: Targets<'a, T>,
    /// A weight for each row of the data set.
    pub(crate) weights: Option<&'a [T]>,
    /// Which row of the data set each lane holds; lanes past the last are padding.
    pub(crate) rows: &'a [i64],
    /// Multiplies the gradient beside the rows' weights: 1 / rows of the batch.
    pub(crate) scale: f64,
    /// Predictions `[unit][lane]`.
    pub(crate) output: &'a mut [T],
    /// Receives the gradient with respect to `output` (as it came), 0 in padding; of its length.
    pub(crate) gradient: &'a mut [T],
    /// Receives `LANES` losses times the rows' weights, 0 in padding.
    pub(crate) losses: &'a mut [T],
}

impl<T: Element> Kernel for LossPanel<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let units = self.output.len() / T::LANES;
        match self.targets {
            Targets::Labels(labels) => {
                let target = OneHot::new(s, labels, self.rows);
                self.with_target(s, target)
            }
            Targets::Values(values) => {
                let units = self.loss.target_units(units).expect("checked with the loss");
                let target = Gathered { values, rows: self.rows, units };
                if self.loss.is_further() { self.further(s, target) } else { self.with_target(s, target) }
            }
        }
    }
}

impl<T: Element> LossPanel<'_, T> {
    /// The losses of `further.rs`, of which no row is right or wrong.
    #[inline(always)]
    fn further<S: Simd>(self, s: S, target: Gathered<'_, T>) -> usize {
        let Self { loss, output, gradient, losses, .. } = self;
        assert!(output.len() == gradient.len() && output.len().is_multiple_of(T::LANES));
        let weight = row_weights(s, self.weights, self.rows);
        let scale = weight.mul(V::<S, T>::splat(s, T::from_f64(self.scale)));
        let (factor, summand) = loss.smoothing(output.len() / T::LANES);
        let target = Smoothed {
            target,
            factor: V::<S, T>::splat(s, T::from_f64(factor)),
            summand: V::<S, T>::splat(s, T::from_f64(summand)),
        };
        let each = FurtherPanel { loss: &loss, target, scale, output, gradient }.run(s);
        let rows = (1 << self.rows.len()) - 1;
        each.mul(weight).keep(V::<S, T>::mask_from_bits(s, rows)).write(losses);
        0
    }

    #[inline(always)]
    fn with_target<S: Simd, G: Target<S, T>>(self, s: S, target: G) -> usize {
        let Self { loss, output, gradient, losses, .. } = self;
        assert!(output.len() == gradient.len() && output.len().is_multiple_of(T::LANES));
        let weight = row_weights(s, self.weights, self.rows);
        let scale = weight.mul(V::<S, T>::splat(s, T::from_f64(self.scale)));
        let (factor, summand) = loss.smoothing(output.len() / T::LANES);
        let smoothed = Smoothed {
            target,
            factor: V::<S, T>::splat(s, T::from_f64(factor)),
            summand: V::<S, T>::splat(s, T::from_f64(summand)),
        };
        let each = if loss.is_categorical() && (self.softmax || loss.from_logits) {
            LogitsPanel { target: smoothed, scale, output, gradient, softmax: self.softmax }.run(s)
        } else {
            let panel = TermsPanel { target: smoothed, scale, output, gradient };
            match loss.kind {
                LossKind::SparseCategoricalCrossentropy | LossKind::CategoricalCrossentropy => {
                    panel.run(s, CategoricalProbabilities)
                }
                LossKind::BinaryCrossentropy if loss.from_logits => panel.run(s, BinaryLogits),
                LossKind::BinaryCrossentropy => panel.run(s, BinaryProbabilities),
                LossKind::MeanSquaredError => panel.run(s, SquaredError),
                LossKind::MeanAbsoluteError => panel.run(s, AbsoluteError),
                _ => panel.run(s, Huber { delta: loss.delta }),
            }
        };
        let rows = (1 << self.rows.len()) - 1;
        each.mul(weight).keep(V::<S, T>::mask_from_bits(s, rows)).write(losses);
        let correct = match loss.kind {
            _ if loss.is_categorical() => same_class(s, output, target),
            LossKind::BinaryCrossentropy => same_side(s, output, target),
            _ => 0,
        };
        (correct & rows).count_ones() as usize
    }
}

/// The weight of each lane's row, 0 in padding.
#[inline(always)]
fn row_weights<S: Simd, T: Element>(s: S, weights: Option<&[T]>, rows: &[i64]) -> V<S, T> {
    let mut lanes = [T::ZERO; 16];
    for (lane, &row) in lanes.iter_mut().zip(rows) {
        *lane = weights.map_or(T::ONE, |weights| weights[row as usize]);
    }
    V::<S, T>::read(s, &lanes)
}

/// Lanes that are not 0, NaN included.
#[inline(always)]
fn not_zero<X: Vector>(s: X::Token, x: X) -> X::Mask {
    x.eq(X::zero(s)).not()
}

/// Lanes whose largest unit is that of their target.
#[inline(always)]
fn same_class<S: Simd, T: Element, G: Target<S, T>>(s: S, output: &[T], target: G) -> u32 {
    let mut largest = V::<S, T>::read(s, output);
    let mut class = V::<S, T>::zero(s);
    for (unit, y) in output.chunks_exact(T::LANES).enumerate().skip(1) {
        let y = V::<S, T>::read(s, y);
        let larger = largest.lt(y);
        largest = y.select(larger, largest);
        class = V::<S, T>::splat(s, T::from_f64(unit as f64)).select(larger, class);
    }
    class.eq(target.class(s, output.len() / T::LANES)).to_bits()
}

/// Lanes all of whose units are on the target's side of one half.
#[inline(always)]
fn same_side<S: Simd, T: Element, G: Target<S, T>>(s: S, output: &[T], target: G) -> u32 {
    let half = V::<S, T>::splat(s, T::from_f64(0.5));
    let mut same = !0;
    for (unit, y) in output.chunks_exact(T::LANES).enumerate() {
        let (y, t) = (V::<S, T>::read(s, y), target.at(s, unit));
        same &= !(half.lt(y).to_bits() ^ half.lt(t).to_bits());
    }
    same
}
