//! Layer 3: elementwise activations, each formula beside its derivative.
//!
//! With `x` the pre-activation, `y = f(x)` and `dy` a gradient with respect to `y`, `backward` returns `dy · f'(x)`,
//! computed from `y` where that determines `f'` (at a kink it is the slope to the left), else from `x`.

use super::activation::Saved;
use crate::math::{expm1, normal, sigmoid, splat, tanh};
use crate::simd::Vector;

/// An activation of single numbers.
pub(crate) trait Elementwise: Copy + Send + Sync {
    /// What `backward` is computed from.
    const SAVES: Saved;

    /// `f(x)`; NaN gives NaN.
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X;

    /// `dy · f'(x)`, from `x` or from `y = f(x)` as [`Elementwise::SAVES`] says.
    fn backward<X: Vector>(self, s: X::Token, saved: X, dy: X) -> X;
}

/// [`super::activation::Activation::Linear`]
#[derive(Clone, Copy)]
pub(crate) struct Linear;

impl Elementwise for Linear {
    const SAVES: Saved = Saved::Output;

    #[inline(always)]
    fn forward<X: Vector>(self, _: X::Token, x: X) -> X {
        x
    }

    #[inline(always)]
    fn backward<X: Vector>(self, _: X::Token, _: X, dy: X) -> X {
        dy
    }
}

/// [`super::activation::Activation::Relu`]
#[derive(Clone, Copy)]
pub(crate) struct Relu;

impl Elementwise for Relu {
    const SAVES: Saved = Saved::Output;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        // In this order of operands NaN passes.
        X::zero(s).max(x)
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, y: X, dy: X) -> X {
        dy.keep(X::zero(s).lt(y))
    }
}

/// [`super::activation::Activation::LeakyRelu`] (Maas et al. 2013)
#[derive(Clone, Copy)]
pub(crate) struct LeakyRelu {
    /// Slope below 0, itself at least 0.
    pub(crate) negative_slope: f64,
}

impl Elementwise for LeakyRelu {
    const SAVES: Saved = Saved::Output;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        x.select(X::zero(s).lt(x), x.mul(splat(s, self.negative_slope)))
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, y: X, dy: X) -> X {
        dy.select(X::zero(s).lt(y), dy.mul(splat(s, self.negative_slope)))
    }
}

/// [`super::activation::Activation::Elu`] (Clevert et al. 2015)
#[derive(Clone, Copy)]
pub(crate) struct Elu {
    /// Minus the limit at -∞, at least 0.
    pub(crate) alpha: f64,
}

impl Elementwise for Elu {
    const SAVES: Saved = Saved::Output;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        let zero = X::zero(s);
        x.select(zero.lt(x), expm1(s, zero.min(x)).mul(splat(s, self.alpha)))
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, y: X, dy: X) -> X {
        // alpha · exp(x) = y + alpha
        dy.select(X::zero(s).lt(y), dy.mul(y.add(splat(s, self.alpha))))
    }
}

/// [`super::activation::Activation::Selu`] (Klambauer et al. 2017)
#[derive(Clone, Copy)]
pub(crate) struct Selu;

/// The fixed point for mean 0 and variance 1 (Klambauer et al. 2017, equation 14), and the limit at -∞.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_LIMIT: f64 = SELU_SCALE * SELU_ALPHA;

impl Elementwise for Selu {
    const SAVES: Saved = Saved::Output;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        let zero = X::zero(s);
        x.mul(splat(s, SELU_SCALE)).select(zero.lt(x), expm1(s, zero.min(x)).mul(splat(s, SELU_LIMIT)))
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, y: X, dy: X) -> X {
        dy.mul(splat::<X>(s, SELU_SCALE).select(X::zero(s).lt(y), y.add(splat(s, SELU_LIMIT))))
    }
}

/// [`super::activation::Activation::Gelu`] (Hendrycks and Gimpel 2016)
#[derive(Clone, Copy)]
pub(crate) struct Gelu;

impl Elementwise for Gelu {
    const SAVES: Saved = Saved::Input;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        x.mul(normal(s, x).probability)
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, x: X, dy: X) -> X {
        let at = normal(s, x);
        dy.mul(x.mul_add(at.density, at.probability))
    }
}

/// [`super::activation::Activation::Gelu`] by its approximation `x/2 · (1 + tanh u) = x · sigmoid(2u)`, with
/// `u = √(2/π) (x + 0.044715 x³)`.
#[derive(Clone, Copy)]
pub(crate) struct GeluTanh;

/// `2 √(2/π)`
const TWICE_SLOPE: f64 = 1.595_769_121_605_730_7;
const CUBIC: f64 = 0.044_715;

impl Elementwise for GeluTanh {
    const SAVES: Saved = Saved::Input;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        let inner = x.mul(x).mul_add(splat(s, TWICE_SLOPE * CUBIC), splat(s, TWICE_SLOPE)).mul(x);
        x.mul(sigmoid(s, inner))
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, x: X, dy: X) -> X {
        let square = x.mul(x);
        let inner = square.mul_add(splat(s, TWICE_SLOPE * CUBIC), splat(s, TWICE_SLOPE)).mul(x);
        let slope = square.mul_add(splat(s, 3.0 * TWICE_SLOPE * CUBIC), splat(s, TWICE_SLOPE));
        dy.mul(times_sigmoid_slope(s, x.mul(slope), sigmoid(s, inner)))
    }
}

/// The derivative of `x · sigmoid(u)`, from `sigmoid(u)` and `x · u'`: `σ + x u' σ (1 - σ)`.
#[inline(always)]
fn times_sigmoid_slope<X: Vector>(s: X::Token, x_slope: X, sigma: X) -> X {
    sigma.mul(x_slope.mul_add(splat::<X>(s, 1.0).sub(sigma), splat(s, 1.0)))
}

/// [`super::activation::Activation::Silu`]
#[derive(Clone, Copy)]
pub(crate) struct Silu;

impl Elementwise for Silu {
    const SAVES: Saved = Saved::Input;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        x.mul(sigmoid(s, x))
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, x: X, dy: X) -> X {
        dy.mul(times_sigmoid_slope(s, x, sigmoid(s, x)))
    }
}

/// [`super::activation::Activation::Tanh`]
#[derive(Clone, Copy)]
pub(crate) struct Tanh;

impl Elementwise for Tanh {
    const SAVES: Saved = Saved::Output;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        tanh(s, x)
    }

    #[inline(always)]
    fn backward<X: Vector>(self, s: X::Token, y: X, dy: X) -> X {
        dy.mul(y.neg_mul_add(y, splat(s, 1.0)))
    }
}

/// [`super::activation::Activation::Sigmoid`]
#[derive(Clone, Copy)]
pub(crate) struct Sigmoid;

impl Elementwise for Sigmoid {
    const SAVES: Saved = Saved::Output;

    #[inline(always)]
    fn forward<X: Vector>(self, s: X::Token, x: X) -> X {
        sigmoid(s, x)
    }

    #[inline(always)]
    fn backward<X: Vector>(self, _: X::Token, y: X, dy: X) -> X {
        dy.mul(y.neg_mul_add(y, y))
    }
}
