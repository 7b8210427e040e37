//! Errors in ulp, limits, and the same bits on every level.

use super::*;
use crate::simd::{Kernel, Level, Simd, V, available, dispatch_at};

/// A function of this room, chosen at run time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Function {
    Exp,
    Ln,
    Log1p,
    Tanh,
    Sigmoid,
    Expm1,
    Probability,
    Density,
    Sine,
    Cosine,
}

use Function::*;

struct Map<'a, T>(Function, &'a [T]);

impl<T: Element> Kernel for Map<'_, T> {
    type Output = Vec<T>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<T> {
        let mut out = Vec::new();
        for chunk in self.1.chunks(T::LANES) {
            let x = V::<S, T>::from_slice(s, chunk);
            let y = match self.0 {
                Exp => exp(s, x),
                Ln => ln(s, x),
                Log1p => log1p(s, x),
                Tanh => tanh(s, x),
                Sigmoid => sigmoid(s, x),
                Expm1 => expm1(s, x),
                Probability => normal(s, x).probability,
                Density => normal(s, x).density,
                Sine => sin_cos_2pi(s, x).0,
                Cosine => sin_cos_2pi(s, x).1,
            };
            out.extend_from_slice(&y.to_lanes()[..chunk.len()]);
        }
        out
    }
}

/// The function on the best level.
fn map<T: Element>(function: Function, x: &[T]) -> Vec<T> {
    dispatch_at(available().last().unwrap(), Map(function, x))
}

/// Every function with its stated error in ulp, the range it is sampled on, and the function in `f64`.
type Case = (Function, f64, (f32, f32), fn(f64) -> f64);

const TAU: f64 = std::f64::consts::TAU;

const CASES: [Case; 9] = [
    (Exp, 1.0, (-103.0, 88.7), f64::exp),
    (Ln, 1.0, (1e-45, f32::MAX), f64::ln),
    (Log1p, 2.0, (-0.999_999, 1e9), f64::ln_1p),
    (Tanh, 2.0, (-12.0, 12.0), f64::tanh),
    (Sigmoid, 2.5, (-87.0, 40.0), |x| 1.0 / (1.0 + (-x).exp())),
    (Expm1, 2.0, (-200.0, 0.0), f64::exp_m1),
    (Density, 3.0, (-13.0, 13.0), |x| (-x * x / 2.0).exp() / TAU.sqrt()),
    (Sine, 2.0, (0.0, 1.0), |u| (TAU * u).sin()),
    (Cosine, 2.0, (0.0, 1.0), |u| (TAU * u).cos()),
];

/// The distance of neighbouring `f32` at a value.
fn ulp_f32(x: f64) -> f64 {
    let exponent = (x.abs().max(f64::from(f32::MIN_POSITIVE)).to_bits() >> 52) as i32 - 1023;
    f64::from(exponent - 23).exp2()
}

fn ulp_f64(x: f64) -> f64 {
    let x = x.abs().max(f64::MIN_POSITIVE);
    f64::from_bits(x.to_bits() + 1) - x
}

/// Every 509th number (of either sign) in a range: over a million arguments for the wide ones.
fn samples((low, high): (f32, f32)) -> Vec<f32> {
    let all = (0..=0x7F7F_FFFF_u32).step_by(509).map(f32::from_bits);
    all.flat_map(|x| [x, -x]).filter(|x| (low..=high).contains(x)).collect()
}

#[test]
fn errors_in_single_precision_are_as_stated() {
    for (function, stated, range, exact) in CASES {
        let x = samples(range);
        let mut worst = (0.0, 0.0);
        for (&x, y) in x.iter().zip(map(function, &x)) {
            let y_exact = exact(f64::from(x));
            // Near a zero of the sine away from 0, `f64::sin` itself is off by the rounding of 2πu.
            let slack = if matches!(function, Sine | Cosine) { 1e-15 } else { 0.0 };
            let error = ((f64::from(y) - y_exact).abs() - slack) / ulp_f32(y_exact);
            if error > worst.0 || error.is_nan() {
                worst = (error, x);
            }
        }
        println!("{function:?}: {:.2} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 <= stated, "{function:?}: {worst:?}");
    }
}

#[test]
fn errors_in_double_precision_are_as_stated() {
    let cases = [
        (Exp, 1.0, tables::EXP),
        (Ln, 1.0, tables::LN),
        (Log1p, 2.0, tables::LOG1P),
        (Tanh, 2.0, tables::TANH),
        (Sigmoid, 2.5, tables::SIGMOID),
        (Expm1, 2.0, tables::EXPM1),
        (Probability, 5.0, tables::PROBABILITY),
        (Sine, 2.0, tables::SINE),
    ];
    for (function, stated, rows) in cases {
        let x: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let mut worst = (0.0, 0.0);
        for (&(x, high, low), y) in rows.iter().zip(map(function, &x)) {
            let error = ((y - high) - low).abs() / ulp_f64(high);
            if error > worst.0 || error.is_nan() {
                worst = (error, x);
            }
        }
        println!("{function:?}: {:.2} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 <= stated, "{function:?}: {worst:?}");
    }
}

#[test]
fn the_normal_distribution_in_single_precision_is_that_in_double() {
    let x = samples((-14.0, 9.0));
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let mut worst = (0.0, 0.0);
    for ((&x, y), exact) in x.iter().zip(map(Probability, &x)).zip(map(Probability, &wide)) {
        let error = (f64::from(y) - exact).abs() / ulp_f32(exact);
        if error > worst.0 || error.is_nan() {
            worst = (error, x);
        }
    }
    println!("Probability: {:.2} ulp at {:e}", worst.0, worst.1);
    assert!(worst.0 <= 5.0, "{worst:?}");
}

/// Checks values at limits, given as (x, f(x)), in both precisions.
fn check(function: Function, rows: &[(f64, f64)]) {
    for &(x, y) in rows {
        let single = f64::from(map(function, &[x as f32])[0]);
        let double = map(function, &[x])[0];
        for got in [single, double] {
            let same = got == y && got.is_sign_negative() == y.is_sign_negative() || got.is_nan() && y.is_nan();
            assert!(same, "{function:?}({x}) = {got}, not {y}");
        }
    }
}

#[test]
fn limits() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    check(Exp, &[(0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0), (1e30, inf), (-1e30, 0.0), (nan, nan)]);
    check(Ln, &[(1.0, 0.0), (0.0, -inf), (-0.0, -inf), (inf, inf), (-1.0, nan), (-inf, nan), (nan, nan)]);
    check(Log1p, &[(0.0, 0.0), (inf, inf), (nan, nan)]);
    check(Tanh, &[(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (50.0, 1.0), (nan, nan)]);
    check(Sigmoid, &[(0.0, 0.5), (inf, 1.0), (-inf, 0.0), (1e30, 1.0), (-1e30, 0.0), (nan, nan)]);
    check(Expm1, &[(0.0, 0.0), (-inf, -1.0), (-1e30, -1.0), (nan, nan)]);
    check(Probability, &[(0.0, 0.5), (inf, 1.0), (-inf, 0.0), (1e30, 1.0), (-1e30, 0.0), (nan, nan)]);
    check(Density, &[(inf, 0.0), (-inf, 0.0), (nan, nan)]);
    check(Sine, &[(0.0, 0.0), (0.25, 1.0), (0.75, -1.0)]);
    check(Cosine, &[(0.0, 1.0), (0.5, -1.0), (1.0, 1.0)]);
    assert_eq!(map(Exp, &[89.0_f32, -104.0, 88.0])[..2], [f32::INFINITY, 0.0]);
    assert_eq!(map(Exp, &[710.0_f64, -746.0])[..2], [f64::INFINITY, 0.0]);
}

/// Awkward and ordinary arguments, the same for both types.
fn arguments<T: Element>() -> Vec<T> {
    let special = [0.0, -0.0, 1.0, -1.0, 1e-44, 1e-310, 88.8, -88.8, -103.5, 709.9, -745.1, 1e30, -1e30, 0.625];
    let limits = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let ordinary = (0..4000).map(|i| f64::from(i - 2000) * 0.037_17);
    special.into_iter().chain(limits).chain(ordinary).map(T::from_f64).collect()
}

fn levels_agree<T: Element>(bits: fn(T) -> u64) {
    let x = arguments::<T>();
    let functions = [Exp, Ln, Log1p, Tanh, Sigmoid, Expm1, Probability, Density, Sine, Cosine];
    for function in functions {
        // Not all functions are defined everywhere.
        let x: Vec<T> = match function {
            Sine | Cosine => x.iter().map(|x| T::from_f64(x.to_f64().abs().fract())).collect(),
            Log1p => x.iter().map(|x| T::from_f64(x.to_f64().abs())).collect(),
            Expm1 => x.iter().map(|x| T::from_f64(-x.to_f64().abs())).collect(),
            _ => x.clone(),
        };
        let expected: Vec<u64> = dispatch_at(Level::Scalar, Map(function, &x)).into_iter().map(bits).collect();
        for level in available() {
            let got: Vec<u64> = dispatch_at(level, Map(function, &x)).into_iter().map(bits).collect();
            assert_eq!(got, expected, "{function:?} at {level:?}");
        }
    }
}

#[test]
fn levels_return_the_same_bits() {
    levels_agree::<f32>(|x| if x.is_nan() { u64::MAX } else { u64::from(x.to_bits()) });
    levels_agree::<f64>(|x| if x.is_nan() { u64::MAX } else { x.to_bits() });
}
