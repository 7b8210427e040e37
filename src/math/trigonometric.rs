//! Layer 1: sine and cosine of a fraction of a turn, for normal variates.

use super::{Coefficients, Constant, splat};
use crate::simd::{Mask, Vector};

/// 2π in two parts.
const TURN_HIGH: Constant = Constant::rounded(std::f64::consts::TAU);
const TURN_LOW: Constant = Constant { single: -1.748_455_5e-7, double: 2.449_293_598_294_706_4e-16 };

/// `(sin(2πv) - 2πv) / v³` as a polynomial in v², for |v| <= 1/8: 2^-28 (f32) and 2^-58 (f64) of the sine.
const SINE: Coefficients = Coefficients {
    single: &[-41.341_675, 81.593_94, -75.453_39],
    double: &[
        -41.341_702_240_399_68,
        81.605_249_275_969_36,
        -76.705_859_708_816_52,
        42.058_685_510_084_175,
        -15.093_829_474_694_646,
        3.781_368_876_404_450_4,
    ],
};

/// `(cos(2πv) - 1) / v²` as a polynomial in v², for |v| <= 1/8: 2^-34 (f32) and 2^-65 (f64).
const COSINE: Coefficients = Coefficients {
    single: &[-19.739_208, 64.939_32, -85.443_74, 59.245_983],
    double: &[
        -19.739_208_802_178_716,
        64.939_394_022_668_01,
        -85.456_817_206_540_05,
        60.244_641_331_611_675,
        -26.426_251_140_428_793,
        7.903_101_637_963_813,
        -1.697_020_079_575_198_6,
    ],
};

/// `(sin(2πu), cos(2πu))` for `u` in [0, 1], to 2 ulp each.
///
/// `u = q / 4 + v` with |v| <= 1/8 is exact; the quarter turn `q` swaps and negates.
#[inline(always)]
pub(crate) fn sin_cos_2pi<X: Vector>(s: X::Token, u: X) -> (X, X) {
    let one = splat::<X>(s, 1.0);
    let q = u.mul(splat(s, 4.0)).round();
    let v = q.neg_mul_add(splat(s, 0.25), u);
    let square = v.mul(v);
    let rest = square.mul_add(SINE.evaluate(s, square), TURN_LOW.splat(s));
    let sine = v.mul_add(TURN_HIGH.splat(s), v.mul(rest));
    let cosine = square.mul_add(COSINE.evaluate(s, square), one);

    let (second, third, fourth) = (q.eq(one), q.eq(splat(s, 2.0)), q.eq(splat(s, 3.0)));
    let swapped = second.or(fourth);
    let (a, b) = (cosine.select(swapped, sine), sine.select(swapped, cosine));
    (a.neg().select(third.or(fourth), a), b.neg().select(second.or(third), b))
}
