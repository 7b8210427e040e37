//! Layer 1: the exponential function, and sigmoid and tanh on top of it.

use std::f64::consts::LOG2_E;

use super::{Coefficients, Constant, on_scalar_level, splat};
use crate::simd::Vector;

/// ln 2 in two parts. `n * HIGH` for the nearest `n` differs from `x` by a number that is exactly representable, so
/// the fused step that forms it does not round.
pub(super) const LN_2_HIGH: Constant = Constant::rounded(std::f64::consts::LN_2);
pub(super) const LN_2_LOW: Constant = Constant { single: -1.904_654_2e-9, double: 2.319_046_813_846_299_6e-17 };

/// `(exp(r) - 1 - r) / r²` for |r| <= ln(2) / 2: 2^-28.3 (f32) and 2^-57.9 (f64) of exp.
const EXP: Coefficients = Coefficients {
    single: &[0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_717_5, 0.001_381_460_2],
    double: &[
        0.500_000_000_000_001_1,
        0.166_666_666_666_664_13,
        0.041_666_666_666_530_16,
        0.008_333_333_333_494_465,
        0.001_388_888_894_362_894_3,
        0.000_198_412_695_065_657_18,
        2.480_149_310_007_199_3e-5,
        2.755_758_638_842_954_5e-6,
        2.763_024_798_982_499e-7,
        2.500_005_670_878_403e-8,
    ],
};

/// Where exp is infinite, and where it is 0, with a little to spare.
const OVERFLOW: Constant = Constant { single: 89.0, double: 710.0 };
const UNDERFLOW: Constant = Constant { single: -104.0, double: -746.0 };

/// `x = n ln 2 + r` with |r| <= ln(2) / 2, as `n` and `exp(r) - 1 = r + r² q(r)`.
#[inline(always)]
fn reduce<X: Vector>(s: X::Token, x: X) -> (X, X) {
    let n = x.mul(splat(s, LOG2_E)).round();
    let r = n.neg_mul_add(LN_2_LOW.splat(s), n.neg_mul_add(LN_2_HIGH.splat(s), x));
    (n, r.mul(r).mul_add(EXP.evaluate(s, r), r))
}

/// `exp(x)` to 1 ulp; subnormal results to 1 of their own.
#[inline(always)]
pub(crate) fn exp<X: Vector>(s: X::Token, x: X) -> X {
    if on_scalar_level::<X>() { exp_called(s, x) } else { exp_inline(s, x) }
}

/// On the scalar level: see [`on_scalar_level`].
#[inline(never)]
fn exp_called<X: Vector>(s: X::Token, x: X) -> X {
    exp_inline(s, x)
}

#[inline(always)]
fn exp_inline<X: Vector>(s: X::Token, x: X) -> X {
    // In this order of operands NaN passes both.
    let x = UNDERFLOW.splat::<X>(s).max(OVERFLOW.splat::<X>(s).min(x));
    let (n, reduced) = reduce(s, x);
    let one_plus = reduced.add(splat(s, 1.0));
    // 2ⁿ itself may be no normal number. Its two halves are, and only the second product can round.
    let half = n.mul(splat(s, 0.5)).round();
    one_plus.mul(half.exp2_integer()).mul(n.sub(half).exp2_integer())
}

/// `exp(x) - 1` for `x <= 0`, to 2 ulp however small x is.
#[inline(always)]
pub(crate) fn expm1<X: Vector>(s: X::Token, x: X) -> X {
    if on_scalar_level::<X>() { expm1_called(s, x) } else { expm1_inline(s, x) }
}

/// On the scalar level: see [`on_scalar_level`].
#[inline(never)]
fn expm1_called<X: Vector>(s: X::Token, x: X) -> X {
    expm1_inline(s, x)
}

#[inline(always)]
fn expm1_inline<X: Vector>(s: X::Token, x: X) -> X {
    // At -40 the result is -1 in both types, and 2ⁿ still a normal number. In this order NaN passes.
    let x = splat::<X>(s, -40.0).max(x);
    let (n, reduced) = reduce(s, x);
    let power = n.exp2_integer();
    power.mul_add(reduced, power.sub(splat(s, 1.0)))
}

/// The logistic function `1 / (1 + exp(-x))` to 2.5 ulp.
///
/// From `e = exp(-|x|) <= 1`, so that nothing overflows and small results keep their precision.
#[inline(always)]
pub(crate) fn sigmoid<X: Vector>(s: X::Token, x: X) -> X {
    let one = splat::<X>(s, 1.0);
    let e = exp(s, x.abs().neg());
    e.select(x.lt(X::zero(s)), one).div(one.add(e))
}

/// `(tanh(x) - x) / x³` as a polynomial in x², for |x| <= 0.625: 2^-27.8 (f32) and 2^-61.3 (f64) of x.
const TANH: Coefficients = Coefficients {
    single: &[-0.333_332_84, 0.133_314_92, -0.053_743_463, 0.020_650_338, -0.005_716_650_3],
    double: &[
        -0.333_333_333_333_333_15,
        0.133_333_333_333_298_83,
        -0.053_968_253_966_130_864,
        0.021_869_488_470_555_837,
        -0.008_863_234_339_934_073,
        0.003_592_114_255_597_660_6,
        -0.001_455_727_514_363_867_2,
        0.000_589_458_179_695_378_6,
        -0.000_237_028_864_508_504_55,
        9.158_754_881_654_552e-5,
        -3.021_565_412_041_124e-5,
        6.054_598_330_615_149e-6,
    ],
};

/// The hyperbolic tangent to 2 ulp.
///
/// A polynomial up to 0.625; above, `1 - 2 / (exp(2|x|) + 1)`, whose subtraction no longer cancels.
#[inline(always)]
pub(crate) fn tanh<X: Vector>(s: X::Token, x: X) -> X {
    if on_scalar_level::<X>() { tanh_called(s, x) } else { tanh_inline(s, x) }
}

/// On the scalar level: see [`on_scalar_level`].
#[inline(never)]
fn tanh_called<X: Vector>(s: X::Token, x: X) -> X {
    tanh_inline(s, x)
}

#[inline(always)]
fn tanh_inline<X: Vector>(s: X::Token, x: X) -> X {
    let (one, two) = (splat::<X>(s, 1.0), splat::<X>(s, 2.0));
    let a = x.abs();
    let square = a.mul(a);
    let small = square.mul(a).mul_add(TANH.evaluate(s, square), a);
    let large = one.sub(two.div(exp(s, a.add(a)).add(one)));
    small.select(a.lt(splat(s, 0.625)), large).copy_sign(x)
}
