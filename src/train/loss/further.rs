//! Layer 4: the losses that few models use, on panels: which one it is, is asked once a vector.
//!
//! One kernel for all of them keeps their share of the library small. Formulas are Keras 3's; a derivative stands beside its
//! loss. Sums over units run in ascending order.

use super::target::Target;
use super::terms::EPSILON;
use super::{Loss, LossKind, not_zero};
use crate::dense::softmax::largest;
use crate::math::{exp, ln, log1p, sigmoid, splat, tanh};
use crate::simd::{Element, Level, Mask, Simd, V, Vector};

/// Variances of [`LossKind::GaussianNll`] are at least `exp` of this: 1e-6.
const LEAST_LOG_VARIANCE: f64 = -13.815_510_557_964_274;

/// A loss of this file, on a panel.
pub(crate) struct FurtherPanel<'a, G, T, X> {
    /// Which, with its parameters.
    pub(crate) loss: &'a Loss,
    /// True values, of [`Loss::target_units`] units.
    pub(crate) target: G,
    /// Multiplies the gradient, lane by lane; where it is 0 the gradient is.
    pub(crate) scale: X,
    /// Predictions `[unit][lane]`.
    pub(crate) output: &'a [T],
    /// Receives the gradient.
    pub(crate) gradient: &'a mut [T],
}

impl<T: Element, G: Copy, X> FurtherPanel<'_, G, T, X> {
    /// The loss of each lane.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(self, s: S) -> V<S, T>
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        /// On the scalar level one copy for all callers.
        #[inline(never)]
        fn called<S: Simd, T: Element, G: Target<S, T>>(s: S, panel: FurtherPanel<'_, G, T, V<S, T>>) -> V<S, T> {
            panel.inline(s)
        }

        if S::LEVEL == Level::Scalar { called(s, self) } else { self.inline(s) }
    }

    #[inline(always)]
    fn inline<S: Simd>(mut self, s: S) -> V<S, T>
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let units = self.output.len() / T::LANES;
        let (loss, count) = match self.loss.kind {
            LossKind::CategoricalHinge => (self.categorical_hinge(s, units), 1),
            LossKind::CosineSimilarity => (self.cosine(s, units), 1),
            LossKind::CategoricalFocalCrossentropy => (self.categorical_focal(s), 1),
            LossKind::GaussianNll => (self.gaussian(s, units / 2), units / 2),
            LossKind::KlDivergence => (self.terms(s), 1),
            _ => (self.terms(s), units),
        };
        let count = splat::<X>(s, count as f64);
        let scale = self.scale.div(count);
        let counts = not_zero(s, scale);
        for gradient in self.gradient.chunks_exact_mut(T::LANES) {
            X::read(s, gradient).mul(scale).keep(counts).write(gradient);
        }
        loss.div(count)
    }

    /// The sum over units of a share for each, and its derivatives.
    #[inline(always)]
    fn terms<S: Simd>(&mut self, s: S) -> X
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let levels = self.loss.quantiles.as_slice();
        let each = levels.len().max(1);
        let mut sum = X::zero(s);
        let lanes = self.output.chunks_exact(T::LANES).zip(self.gradient.chunks_exact_mut(T::LANES));
        for (unit, (y, gradient)) in lanes.enumerate() {
            let (y, t) = (X::read(s, y), self.target.at(s, unit / each));
            let level = levels.get(unit % each).copied().unwrap_or(0.5);
            let (share, slope) = term(s, self.loss, level, y, t);
            sum = sum.add(share);
            slope.write(gradient);
        }
        sum
    }

    /// `max(largest (1 - t) y - Σ t y + 1, 0)`
    #[inline(always)]
    fn categorical_hinge<S: Simd>(&mut self, s: S, units: usize) -> X
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let (zero, one) = (X::zero(s), splat::<X>(s, 1.0));
        let (mut right, mut wrong, mut at) = (zero, zero, zero);
        for unit in 0..units {
            let (y, t) = (X::read(s, &self.output[unit * T::LANES..]), self.target.at(s, unit));
            right = t.mul_add(y, right);
            let other = one.sub(t).mul(y);
            let larger = if unit == 0 { one.eq(one) } else { wrong.lt(other) };
            wrong = other.select(larger, wrong);
            at = splat::<X>(s, unit as f64).select(larger, at);
        }
        let margin = wrong.sub(right).add(one);
        for unit in 0..units {
            let t = self.target.at(s, unit);
            let slope = one.sub(t).keep(at.eq(splat(s, unit as f64))).sub(t);
            slope.keep(zero.lt(margin)).write(&mut self.gradient[unit * T::LANES..]);
        }
        zero.max(margin)
    }

    /// `-Σ t̂ ŷ` of vectors of length 1.
    #[inline(always)]
    fn cosine<S: Simd>(&mut self, s: S, units: usize) -> X
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let (mut y_square, mut t_square, mut product) = (X::zero(s), X::zero(s), X::zero(s));
        for unit in 0..units {
            let (y, t) = (X::read(s, &self.output[unit * T::LANES..]), self.target.at(s, unit));
            y_square = y.mul_add(y, y_square);
            t_square = t.mul_add(t, t_square);
            product = t.mul_add(y, product);
        }
        let least = splat::<X>(s, EPSILON);
        let (y_length, t_length) = (least.max(y_square.sqrt()), least.max(t_square.sqrt()));
        let cosine = product.div(y_length).div(t_length);
        for unit in 0..units {
            let (y, t) = (X::read(s, &self.output[unit * T::LANES..]), self.target.at(s, unit));
            // A vector too short to be scaled to length 1 has no direction to lose.
            let along = y.div(y_length).mul(cosine).keep(least.lt(y_length));
            along.sub(t.div(t_length)).div(y_length).write(&mut self.gradient[unit * T::LANES..]);
        }
        cosine.neg()
    }

    /// `-alpha Σ t (1 - p)^gamma ln p` with `p` divided by its sum, or softmax of logits.
    #[inline(always)]
    fn categorical_focal<S: Simd>(&mut self, s: S) -> X
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let Loss { gamma, alpha, from_logits, .. } = *self.loss;
        let top = if from_logits { largest::<S, T>(s, self.output) } else { X::zero(s) };
        let raw = |y: X| if from_logits { exp(s, y.sub(top)) } else { y };
        let mut sum = X::zero(s);
        for y in self.output.chunks_exact(T::LANES) {
            sum = sum.add(raw(X::read(s, y)));
        }
        let (one, low, high) = (splat::<X>(s, 1.0), splat::<X>(s, EPSILON), splat::<X>(s, 1.0 - EPSILON));
        let (mut loss, mut along) = (X::zero(s), X::zero(s));
        let lanes = self.output.chunks_exact(T::LANES).zip(self.gradient.chunks_exact_mut(T::LANES));
        for (unit, (y, gradient)) in lanes.enumerate() {
            let share = raw(X::read(s, y)).div(sum);
            let p = low.max(high.min(share));
            let t = self.target.at(s, unit).mul(splat(s, alpha));
            let rest = one.sub(p);
            let (factor, logarithm) = (power(s, rest, gamma), ln(s, p));
            loss = t.mul(factor).neg_mul_add(logarithm, loss);
            let bent = splat::<X>(s, gamma).mul(factor).div(rest).mul(logarithm);
            let slope = t.mul(bent.sub(factor.div(p))).keep(low.le(share).and(share.le(high)));
            along = slope.mul_add(share, along);
            slope.write(gradient);
        }
        let lanes = self.output.chunks_exact(T::LANES).zip(self.gradient.chunks_exact_mut(T::LANES));
        for (y, gradient) in lanes {
            let inner = X::read(s, gradient).sub(along).div(sum);
            let outer = if from_logits { raw(X::read(s, y)) } else { one };
            inner.mul(outer).write(gradient);
        }
        loss
    }

    /// Half of `ln v + (t - mean)² / v` for each of so many targets, with `v = exp(y)` of the second half of the units.
    #[inline(always)]
    fn gaussian<S: Simd>(&mut self, s: S, targets: usize) -> X
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let (half, least) = (splat::<X>(s, 0.5), splat::<X>(s, LEAST_LOG_VARIANCE));
        let mut loss = X::zero(s);
        for unit in 0..targets {
            let (mean, variance) = (unit * T::LANES, (targets + unit) * T::LANES);
            let error = X::read(s, &self.output[mean..]).sub(self.target.at(s, unit));
            let raw = X::read(s, &self.output[variance..]);
            let logarithm = least.max(raw);
            let precision = exp(s, logarithm.neg());
            let square = error.mul(error).mul(precision);
            loss = half.mul_add(logarithm.add(square), loss);
            error.mul(precision).write(&mut self.gradient[mean..]);
            half.neg_mul_add(square, half).keep(least.le(raw)).write(&mut self.gradient[variance..]);
        }
        loss
    }
}

/// `x^exponent` for x in [0, 1].
#[inline(always)]
fn power<X: Vector>(s: X::Token, x: X, exponent: f64) -> X {
    if exponent == 0.0 {
        return splat(s, 1.0);
    }
    if exponent == 2.0 {
        return x.mul(x);
    }
    exp(s, splat::<X>(s, exponent).mul(ln(s, x)))
}

/// `sign(error)`, 0 at 0, times a size.
#[inline(always)]
fn signed<X: Vector>(s: X::Token, size: X, error: X) -> X {
    size.copy_sign(error).keep(not_zero(s, error))
}

/// A unit's share for prediction `y` and true value `t`, and its derivative; `level` is that of a quantile.
#[inline(always)]
fn term<X: Vector>(s: X::Token, loss: &Loss, level: f64, y: X, t: X) -> (X, X) {
    let (zero, one, low) = (X::zero(s), splat::<X>(s, 1.0), splat::<X>(s, EPSILON));
    match loss.kind {
        LossKind::Hinge => {
            let margin = t.neg_mul_add(y, one);
            (zero.max(margin), t.neg().keep(zero.lt(margin)))
        }
        LossKind::SquaredHinge => {
            let margin = zero.max(t.neg_mul_add(y, one));
            (margin.mul(margin), t.mul(margin).mul(splat(s, -2.0)))
        }
        LossKind::KlDivergence => {
            let (t, p) = (low.max(one.min(t)), low.max(one.min(y)));
            (t.mul(ln(s, t).sub(ln(s, p))), t.div(p).neg().keep(low.le(y).and(y.le(one))))
        }
        LossKind::Poisson => {
            let above = y.add(low);
            (t.neg_mul_add(ln(s, above), y), one.sub(t.div(above)))
        }
        LossKind::LogCosh => {
            let size = y.sub(t).abs();
            let rest = log1p(s, exp(s, size.mul(splat(s, -2.0))));
            (size.add(rest).sub(splat(s, std::f64::consts::LN_2)), tanh(s, y.sub(t)))
        }
        LossKind::MeanAbsolutePercentageError => {
            let (error, each) = (y.sub(t), splat::<X>(s, 100.0).div(low.max(t.abs())));
            (error.abs().mul(each), signed(s, each, error))
        }
        LossKind::MeanSquaredLogarithmicError => {
            let (above, true_above) = (low.max(y).add(one), low.max(t).add(one));
            let error = ln(s, above).sub(ln(s, true_above));
            (error.mul(error), error.add(error).div(above).keep(low.le(y)))
        }
        LossKind::Quantile => {
            // (level - 1) error below the true value's place, level · error above it.
            let error = t.sub(y);
            let factor = splat::<X>(s, level).select(zero.lt(error), splat(s, level - 1.0));
            (factor.mul(error), factor.neg().keep(not_zero(s, error)))
        }
        _ => binary_focal(s, loss, y, t),
    }
}

/// `w (1 - p_t)^gamma` times binary cross-entropy, with `p_t = t p + (1 - t)(1 - p)` and `w = 1` or that of the classes.
#[inline(always)]
fn binary_focal<X: Vector>(s: X::Token, loss: &Loss, y: X, t: X) -> (X, X) {
    let (one, low, high) = (splat::<X>(s, 1.0), splat::<X>(s, EPSILON), splat::<X>(s, 1.0 - EPSILON));
    let free = if loss.from_logits { sigmoid(s, y) } else { y };
    let p = low.max(high.min(free));
    let inside = low.le(free).and(free.le(high));
    let entropy = t.mul(ln(s, p)).add(one.sub(t).mul(log1p(s, p.neg()))).neg();
    // 1 - p_t = p + t - 2 p t
    let rest = t.mul(free).mul_add(splat(s, -2.0), free.add(t));
    let factor = power(s, rest, loss.gamma);
    let weight = match loss.class_balance {
        true => t.mul_add(splat(s, 2.0 * loss.alpha - 1.0), splat(s, 1.0 - loss.alpha)),
        false => one,
    };
    let slope = splat::<X>(s, loss.gamma).mul(factor).div(rest).mul(t.mul_add(splat(s, -2.0), one));
    let bent = slope.keep(X::zero(s).lt(rest)).mul(entropy);
    let straight = p.sub(t).div(p.mul(one.sub(p))).mul(factor).keep(inside);
    let whole = weight.mul(bent.add(straight));
    let outer = if loss.from_logits { free.mul(one.sub(free)) } else { one };
    (weight.mul(factor).mul(entropy), whole.mul(outer))
}
