//! Layer 1: exp, ln, tanh and their relatives as our own polynomials, for `f32` and `f64` alike.
//!
//! A function is written once over [`Vector`]; only coefficients differ by type. Every level does the same operations
//! in the same order, so every level returns the same bits. Each function states its largest error in ulp (units in
//! the last place of the exact result); `tests.rs` measures it against results of higher precision.
//!
//! All polynomials here are minimax fits by Remes' exchange algorithm, made with 45 digits for the *relative* error of
//! the whole function (the comment beside each says on which interval, and what error remains before rounding), then
//! rounded coefficient by coefficient.

mod exp;
mod ln;
mod normal;
mod trigonometric;

pub(crate) use exp::{exp, expm1, sigmoid, tanh};
pub(crate) use ln::{ln, ln_of_normal, log1p};
pub(crate) use normal::normal;
pub(crate) use trigonometric::sin_cos_2pi;

use crate::simd::{Element, Level, Simd, Vector};

#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;

/// One constant of a formula, by element type.
#[derive(Clone, Copy)]
struct Constant {
    single: f32,
    double: f64,
}

/// Coefficients of a polynomial, lowest power first, by element type.
struct Coefficients {
    single: &'static [f32],
    double: &'static [f64],
}

/// Whether this is the scalar level, where the functions are calls. There one is sixteen times its instructions, each fused
/// step a call of its own, and copies in every formula that uses it would be a good part of the library.
#[inline(always)]
const fn on_scalar_level<X: Vector>() -> bool {
    matches!(<X::Token as Simd>::LEVEL, Level::Scalar)
}

/// The number `x`, rounded to the element type, in all lanes.
#[inline(always)]
pub(crate) fn splat<X: Vector>(s: X::Token, x: f64) -> X {
    X::splat(s, X::Elem::from_f64(x))
}

impl Constant {
    /// A number that is rounded to either type.
    const fn rounded(x: f64) -> Self {
        Self { single: x as f32, double: x }
    }

    #[inline(always)]
    fn splat<X: Vector>(self, s: X::Token) -> X {
        splat(s, if is_single::<X>() { f64::from(self.single) } else { self.double })
    }
}

impl Coefficients {
    /// The polynomial's value by Horner's rule, one fused multiply-add a coefficient.
    #[inline(always)]
    fn evaluate<X: Vector>(&self, s: X::Token, x: X) -> X {
        let count = if is_single::<X>() { self.single.len() } else { self.double.len() };
        let mut sum = self.coefficient::<X>(s, count - 1);
        for i in (0..count - 1).rev() {
            sum = sum.mul_add(x, self.coefficient(s, i));
        }
        sum
    }

    #[inline(always)]
    fn coefficient<X: Vector>(&self, s: X::Token, i: usize) -> X {
        splat(s, if is_single::<X>() { f64::from(self.single[i]) } else { self.double[i] })
    }
}

/// Whether lanes are `f32`; known when compiled.
#[inline(always)]
const fn is_single<X: Vector>() -> bool {
    size_of::<X::Elem>() == 4
}
