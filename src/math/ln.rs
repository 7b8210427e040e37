//! Layer 1: the natural logarithm.

use std::f64::consts::SQRT_2;

use super::exp::{LN_2_HIGH, LN_2_LOW};
use super::{Coefficients, Constant, on_scalar_level, splat};
use crate::simd::{Element, Vector};

/// `(2 atanh(s) - 2 s) / s³` as a polynomial in s², for |s| <= (√2 - 1) / (√2 + 1): 2^-30.2 (f32) and 2^-59.5 (f64)
/// of 2 atanh(s).
const LN: Coefficients = Coefficients {
    single: &[0.666_667_76, 0.399_775_33, 0.298_720_27],
    double: &[
        0.666_666_666_666_673_4,
        0.399_999_999_994_139_8,
        0.285_714_287_425_59,
        0.222_221_985_540_188_38,
        0.181_835_653_984_919_96,
        0.153_140_212_780_083_27,
        0.147_962_600_816_743_06,
    ],
};

/// The smallest normal number, and a power of two that makes every subnormal one normal.
const SMALLEST: Constant = Constant { single: f32::MIN_POSITIVE, double: f64::MIN_POSITIVE };
const LIFT: f64 = 64.0;

/// The natural logarithm to 1 ulp: -inf at 0, NaN below.
///
/// `x = 2ⁿ (1 + f)` with `1 + f` in (√½, √2]. With `t = f / (2 + f)`, `ln(1 + f) = 2 atanh(t)`, whose first term is
/// `2 t = f - t f`: so f, which is exact, carries the result, and the rounding of t counts only in what is taken off.
#[inline(always)]
pub(crate) fn ln<X: Vector>(s: X::Token, x: X) -> X {
    if on_scalar_level::<X>() { ln_called(s, x) } else { ln_inline(s, x) }
}

/// On the scalar level: see [`on_scalar_level`].
#[inline(never)]
fn ln_called<X: Vector>(s: X::Token, x: X) -> X {
    ln_inline(s, x)
}

#[inline(always)]
fn ln_inline<X: Vector>(s: X::Token, x: X) -> X {
    let tiny = x.lt(SMALLEST.splat(s));
    let normal = x.mul(splat::<X>(s, LIFT).exp2_integer()).select(tiny, x);
    let result = ln_lifted(s, normal, splat::<X>(s, LIFT).keep(tiny));
    let infinity = splat::<X>(s, f64::INFINITY);
    // NaN, infinity and 0 are not numbers of the form above.
    let result = result.select(x.lt(infinity), x);
    let result = infinity.neg().select(x.eq(X::zero(s)), result);
    X::splat(s, X::Elem::from_f64(f64::NAN)).select(x.lt(X::zero(s)), result)
}

/// [`ln`] of positive normal numbers alone, with the same bits.
#[inline(always)]
pub(crate) fn ln_of_normal<X: Vector>(s: X::Token, x: X) -> X {
    ln_lifted(s, x, X::zero(s))
}

/// The logarithm of `2^-lift x` for positive normal numbers.
#[inline(always)]
fn ln_lifted<X: Vector>(s: X::Token, x: X, lift: X) -> X {
    let one = splat::<X>(s, 1.0);
    let m = x.significand();
    let n = x.exponent().sub(lift);
    let upper = splat::<X>(s, SQRT_2).lt(m);
    let f = m.mul(splat(s, 0.5)).select(upper, m).sub(one);
    let n = n.add(one.keep(upper));

    let t = f.div(f.add(splat(s, 2.0)));
    let square = t.mul(t);
    let off = t.mul(square.neg_mul_add(LN.evaluate(s, square), f));
    n.mul_add(LN_2_HIGH.splat(s), f.add(n.mul_add(LN_2_LOW.splat(s), off.neg())))
}

/// `ln(1 + x)` for `x > -1`, to 2 ulp however small x is.
///
/// What the sum `u = 1 + x` lost to rounding comes back as `(x - (u - 1)) / u`.
#[inline(always)]
pub(crate) fn log1p<X: Vector>(s: X::Token, x: X) -> X {
    let one = splat::<X>(s, 1.0);
    let u = one.add(x);
    let lost = x.sub(u.sub(one)).div(u);
    ln(s, u).add(lost.keep(u.lt(splat(s, f64::INFINITY))))
}
