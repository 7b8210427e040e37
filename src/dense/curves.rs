//! Layer 3: the activations that few networks use, behind one formula: which one it is, is asked once a vector.
//!
//! Each has its derivative beside it, computed from the pre-activation; at a kink it is the slope to the left. One
//! [`Elementwise`] for all of them keeps their share of the library small; a vector costs tens of instructions, so that
//! a branch that always goes the same way costs nothing.

use super::activation::Saved;
use super::elementwise::Elementwise;
use crate::math::{exp, expm1, log1p, sigmoid, splat, tanh};
use crate::simd::{Mask, Vector};

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Curve {
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `x/6 + 1/2`, held in [0, 1].
    HardSigmoid,
    /// `x` times the hard sigmoid (Howard et al. 2019).
    HardSilu,
    /// `x · tanh(softplus(x))` (Misra 2019).
    Mish,
    /// `exp(x)`
    Exponential,
    /// `ln(sigmoid(x))`
    LogSigmoid,
    /// `x`, held in [-1, 1].
    HardTanh,
    /// `x - tanh(x)`
    TanhShrink,
    /// `x` above 0, else `alpha · (exp(x / alpha) - 1)` (Barron 2017).
    Celu {
        /// Minus the limit at -∞, positive.
        alpha: f64,
    },
    /// `x` from the threshold on, at most `max_value`; below it `negative_slope · (x - threshold)`.
    Rectifier {
        /// At least 0.
        negative_slope: f64,
        /// At least 0, possibly infinite.
        max_value: f64,
        /// Where the rise begins.
        threshold: f64,
    },
}

/// `max(x, 0) + ln(1 + exp(-|x|))`, which never overflows.
#[inline(always)]
fn softplus<X: Vector>(s: X::Token, x: X) -> X {
    // In this order of operands NaN passes.
    X::zero(s).max(x).add(log1p(s, exp(s, x.abs().neg())))
}

/// `x + 3`, held in [0, 6], times 1/6: exactly 0 and 1 at the ends.
#[inline(always)]
fn hard_sigmoid<X: Vector>(s: X::Token, x: X) -> X {
    // In this order of operands NaN passes.
    let line = splat::<X>(s, 6.0).min(X::zero(s).max(x.add(splat(s, 3.0))));
    line.mul(splat(s, 1.0 / 6.0))
}

/// `tanh(softplus(x))`, and its distance to 1 without cancellation. With `e = exp(-|x|)` both are ratios of polynomials.
#[inline(always)]
fn tanh_of_softplus<X: Vector>(s: X::Token, x: X) -> (X, X) {
    let (one, two) = (splat::<X>(s, 1.0), splat::<X>(s, 2.0));
    let e = exp(s, x.abs().neg());
    let positive = X::zero(s).lt(x);
    // ((1 + eˣ)² - 1) / ((1 + eˣ)² + 1), for x > 0 times e² above and below.
    let above = two.mul_add(e, one).select(positive, e.add(two).mul(e));
    let rest = two.mul(e).mul(e).select(positive, two);
    let whole = above.add(rest);
    (above.div(whole), rest.div(whole))
}

impl Elementwise for Curve {
    const SAVES: Saved = Saved::Input;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        let one = splat::<X>(s, 1.0);
        match self {
            Self::Softplus => softplus(s, x),
            Self::Softsign => x.div(one.add(x.abs())),
            Self::HardSigmoid => hard_sigmoid(s, x),
            Self::HardSilu => x.mul(hard_sigmoid(s, x)),
            Self::Mish => x.mul(tanh_of_softplus(s, x).0),
            Self::Exponential => exp(s, x),
            Self::LogSigmoid => softplus(s, x.neg()).neg(),
            Self::HardTanh => one.neg().max(one.min(x)),
            Self::TanhShrink => x.sub(tanh(s, x)),
            Self::Celu { alpha } => {
                let (zero, alpha) = (X::zero(s), splat::<X>(s, alpha));
                x.select(zero.lt(x), expm1(s, zero.min(x).div(alpha)).mul(alpha))
            }
            Self::Rectifier { negative_slope, max_value, threshold } => {
                let threshold = splat::<X>(s, threshold);
                let below = x.sub(threshold).mul(splat(s, negative_slope));
                splat::<X>(s, max_value).min(x.select(threshold.le(x), below))
            }
        }
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, x: X, dy: X) -> X {
        let (one, half) = (splat::<X>(s, 1.0), splat::<X>(s, 0.5));
        match self {
            Self::Softplus => dy.mul(sigmoid(s, x)),
            Self::Softsign => {
                let below = one.add(x.abs());
                dy.div(below.mul(below))
            }
            Self::HardSigmoid => {
                let three = splat::<X>(s, 3.0);
                dy.mul(splat(s, 1.0 / 6.0)).keep(three.neg().lt(x).and(x.le(three)))
            }
            Self::HardSilu => {
                let three = splat::<X>(s, 3.0);
                let inside = x.mul_add(splat(s, 1.0 / 3.0), half);
                dy.mul(inside.select(x.le(three), one)).keep(three.neg().lt(x))
            }
            Self::Mish => {
                // t + x (1 - t²) sigmoid(x)
                let (t, rest) = tanh_of_softplus(s, x);
                let slope = rest.mul(one.add(t)).mul(sigmoid(s, x));
                dy.mul(x.mul_add(slope, t))
            }
            Self::Exponential => dy.mul(exp(s, x)),
            Self::LogSigmoid => dy.mul(sigmoid(s, x.neg())),
            Self::HardTanh => dy.keep(one.neg().lt(x).and(x.le(one))),
            Self::TanhShrink => {
                let t = tanh(s, x);
                dy.mul(t.mul(t))
            }
            Self::Celu { alpha } => {
                let zero = X::zero(s);
                dy.select(zero.lt(x), dy.mul(exp(s, zero.min(x).div(splat(s, alpha)))))
            }
            Self::Rectifier { negative_slope, max_value, threshold } => {
                let below = dy.mul(splat(s, negative_slope));
                dy.select(splat::<X>(s, threshold).lt(x), below).keep(x.le(splat(s, max_value)))
            }
        }
    }
}
