//! Layer 4: losses that are sums or means of terms, one a unit; each term beside its derivative.

use super::target::Target;
use crate::math::{exp, ln, log1p, sigmoid, splat};
use crate::simd::{Element, Mask, Simd, V, Vector};

/// A unit's share of a loss.
pub(crate) trait Term: Copy {
    /// Whether the loss is the mean over units; else their sum.
    const MEAN: bool;

    /// The share for prediction `y` and true value `t`, and its derivative with respect to `y`.
    fn term<X: Vector>(self, s: X::Token, y: X, t: X) -> (X, X);
}

/// A loss made of terms, on a panel.
pub(crate) struct TermsPanel<'a, G, T, X> {
    /// True values.
    pub(crate) target: G,
    /// Multiplies the gradient, lane by lane; where it is 0 the gradient is.
    pub(crate) scale: X,
    /// Predictions `[unit][lane]`.
    pub(crate) output: &'a [T],
    /// Receives the gradient.
    pub(crate) gradient: &'a mut [T],
}

impl<T: Element, G, X> TermsPanel<'_, G, T, X> {
    /// The loss of each lane.
    #[inline(always)]
    pub(crate) fn run<S: Simd, L: Term>(self, s: S, term: L) -> V<S, T>
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let count = if L::MEAN { self.output.len() / T::LANES } else { 1 };
        let count = splat::<X>(s, count as f64);
        let scale = self.scale.div(count);
        let counts = super::not_zero(s, scale);
        let mut sum = X::zero(s);
        let lanes = self.output.chunks_exact(T::LANES).zip(self.gradient.chunks_exact_mut(T::LANES));
        for (unit, (y, gradient)) in lanes.enumerate() {
            let (share, slope) = term.term(s, X::read(s, y), self.target.at(s, unit));
            sum = sum.add(share);
            slope.mul(scale).keep(counts).write(gradient);
        }
        sum.div(count)
    }
}

/// The bound of probabilities, as in Keras.
pub(super) const EPSILON: f64 = 1e-7;

/// A probability moved into [1e-7, 1 - 1e-7], and whether it was there: its derivative is 0 elsewhere. NaN passes.
#[inline(always)]
fn clip<X: Vector>(s: X::Token, y: X) -> (X, X::Mask) {
    let (low, high) = (splat::<X>(s, EPSILON), splat::<X>(s, 1.0 - EPSILON));
    (low.max(high.min(y)), low.le(y).and(y.le(high)))
}

/// `-t ln p`, of a probability.
#[derive(Clone, Copy)]
pub(crate) struct CategoricalProbabilities;

impl Term for CategoricalProbabilities {
    const MEAN: bool = false;

    #[inline(always)]
    fn term<X: Vector>(self, s: X::Token, y: X, t: X) -> (X, X) {
        let (p, free) = clip(s, y);
        (t.mul(ln(s, p)).neg(), t.div(p).neg().keep(free))
    }
}

/// `-t ln p - (1 - t) ln(1 - p)`, of a probability.
#[derive(Clone, Copy)]
pub(crate) struct BinaryProbabilities;

impl Term for BinaryProbabilities {
    const MEAN: bool = true;

    #[inline(always)]
    fn term<X: Vector>(self, s: X::Token, y: X, t: X) -> (X, X) {
        let one = splat::<X>(s, 1.0);
        let (p, free) = clip(s, y);
        let against = one.sub(t).mul(log1p(s, p.neg()));
        let loss = t.neg_mul_add(ln(s, p), against.neg());
        (loss, p.sub(t).div(p.mul(one.sub(p))).keep(free))
    }
}

/// The same with `p = sigmoid(y)`: `max(y, 0) - y t + ln(1 + exp(-|y|))`, which never overflows; derivative `p - t`.
#[derive(Clone, Copy)]
pub(crate) struct BinaryLogits;

impl Term for BinaryLogits {
    const MEAN: bool = true;

    #[inline(always)]
    fn term<X: Vector>(self, s: X::Token, y: X, t: X) -> (X, X) {
        let linear = y.neg_mul_add(t, y.max(X::zero(s)));
        (linear.add(log1p(s, exp(s, y.abs().neg()))), sigmoid(s, y).sub(t))
    }
}

/// `(y - t)²`
#[derive(Clone, Copy)]
pub(crate) struct SquaredError;

impl Term for SquaredError {
    const MEAN: bool = true;

    #[inline(always)]
    fn term<X: Vector>(self, _: X::Token, y: X, t: X) -> (X, X) {
        let error = y.sub(t);
        (error.mul(error), error.add(error))
    }
}

/// `|y - t|`; at equality the derivative is 0.
#[derive(Clone, Copy)]
pub(crate) struct AbsoluteError;

impl Term for AbsoluteError {
    const MEAN: bool = true;

    #[inline(always)]
    fn term<X: Vector>(self, s: X::Token, y: X, t: X) -> (X, X) {
        let error = y.sub(t);
        (error.abs(), splat::<X>(s, 1.0).copy_sign(error).keep(super::not_zero(s, error)))
    }
}

/// `e² / 2` for `e = |y - t| <= delta`, else `delta (e - delta / 2)`; the derivative is the error, clipped.
#[derive(Clone, Copy)]
pub(crate) struct Huber {
    /// Where the loss becomes linear.
    pub(crate) delta: f64,
}

impl Term for Huber {
    const MEAN: bool = true;

    #[inline(always)]
    fn term<X: Vector>(self, s: X::Token, y: X, t: X) -> (X, X) {
        let (delta, half) = (splat::<X>(s, self.delta), splat::<X>(s, 0.5));
        let error = y.sub(t);
        let size = error.abs();
        let near = half.mul(error).mul(error);
        let far = delta.mul(half.neg_mul_add(delta, size));
        (near.select(size.le(delta), far), delta.neg().max(delta.min(error)))
    }
}
