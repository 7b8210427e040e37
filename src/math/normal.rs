//! Layer 1: the normal distribution, for GELU.

use super::exp::exp;
use super::{Coefficients, on_scalar_level, splat};
use crate::simd::Vector;

/// `(1 + a) exp(a² / 2) Φ(-a)` as a polynomial in `(a - 5) / (a + 5)`, for `a` up to where Φ(-a) underflows (15 and
/// 39): 2^-29.2 (f32) and 2^-58.7 (f64) of Φ.
///
/// The factors take the fall of Φ away, and the map brings `[0, ∞)` to `[-1, 1)`: what is left is almost flat.
const TAIL: Coefficients = Coefficients {
    single: &[
        0.461_515_84,
        -0.091_552_28,
        0.031_030_463,
        0.010_002_419,
        -0.026_402_928,
        0.024_535_313,
        -0.015_157_587,
        0.006_536_688,
        -0.001_709_264_5,
        -4.162_002_4e-5,
        0.000_204_005,
    ],
    double: &[
        0.461_515_829_850_037_75,
        -0.091_552_281_834_008_93,
        0.031_030_368_425_963_257,
        0.010_002_352_385_218_126,
        -0.026_401_042_966_292_622,
        0.024_536_963_244_025_215,
        -0.015_170_415_402_662_375,
        0.006_522_000_662_893_617,
        -0.001_676_072_344_951_627,
        7.791_635_315_988_877e-6,
        0.000_182_334_160_638_550_1,
        -5.360_775_720_246_454_5e-5,
        -9.896_213_509_076_994e-6,
        9.060_332_518_031_562e-6,
        -6.990_193_772_213_355e-8,
        -1.308_350_005_590_530_5e-6,
        1.268_777_473_126_534e-7,
        1.971_903_633_655_914_6e-7,
        -2.495_279_648_312_882e-8,
        -3.133_820_777_087_618e-8,
        2.650_039_858_880_600_8e-9,
        4.308_952_794_539_167e-9,
        2.208_727_511_868_831e-11,
        -2.754_982_646_775_836_7e-10,
    ],
};

/// `1 / √(2π)`
const DENSITY_AT_0: f64 = 0.398_942_280_401_432_7;

/// The standard normal distribution at a point.
#[derive(Clone, Copy)]
pub(crate) struct Normal<X> {
    /// Φ(x), the probability of less than x: `(1 + erf(x / √2)) / 2`.
    pub(crate) probability: X,
    /// φ(x), the density: `exp(-x² / 2) / √(2π)`.
    pub(crate) density: X,
}

/// The standard normal distribution: Φ to 5 ulp, in its lower tail too, where `1 + erf` has lost everything; φ to 3 ulp.
#[inline(always)]
pub(crate) fn normal<X: Vector>(s: X::Token, x: X) -> Normal<X> {
    if on_scalar_level::<X>() { normal_called(s, x) } else { normal_inline(s, x) }
}

/// On the scalar level: see [`on_scalar_level`].
#[inline(never)]
fn normal_called<X: Vector>(s: X::Token, x: X) -> Normal<X> {
    normal_inline(s, x)
}

#[inline(always)]
fn normal_inline<X: Vector>(s: X::Token, x: X) -> Normal<X> {
    let (one, half, five) = (splat::<X>(s, 1.0), splat::<X>(s, 0.5), splat::<X>(s, 5.0));
    // All is 0 or 1 long before 40, whose square does not overflow; in this order NaN passes.
    let a = splat::<X>(s, 40.0).min(x.abs());
    // What a² lost to rounding would count a²-fold in the exponential: exp(-h - l) = e (1 - l).
    let square = a.mul(a);
    let lost = a.mul_add(a, square.neg()).mul(half);
    let e = exp(s, square.mul(half).neg());
    let e = lost.neg_mul_add(e, e);

    let t = a.sub(five).div(a.add(five));
    let tail = e.mul(TAIL.evaluate(s, t)).div(one.add(a));
    Normal { probability: tail.select(x.lt(X::zero(s)), one.sub(tail)), density: e.mul(splat(s, DENSITY_AT_0)) }
}
