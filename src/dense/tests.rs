//! Activations: formulas in `f64`, finite differences, NaN, and the same bits on every level.

use super::activation::{Activation, Saved, activate, activate_backward};
use super::curves::Curve;
use crate::simd::{Element, Kernel, Level, Simd, available, dispatch_at};

const ALL: [Activation; 22] = [
    Activation::Linear,
    Activation::Relu,
    Activation::LeakyRelu { negative_slope: 0.2 },
    Activation::Elu { alpha: 1.5 },
    Activation::Selu,
    Activation::Gelu { approximate: false },
    Activation::Gelu { approximate: true },
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Softmax,
    Activation::Curve(Curve::Softplus),
    Activation::Curve(Curve::Softsign),
    Activation::Curve(Curve::HardSigmoid),
    Activation::Curve(Curve::HardSilu),
    Activation::Curve(Curve::Mish),
    Activation::Curve(Curve::Exponential),
    Activation::Curve(Curve::LogSigmoid),
    Activation::Curve(Curve::HardTanh),
    Activation::Curve(Curve::TanhShrink),
    Activation::Curve(Curve::Celu { alpha: 0.7 }),
    Activation::Curve(Curve::Rectifier { negative_slope: 0.1, max_value: 6.0, threshold: 0.4 }),
];

struct Activate<'a, T>(Activation, &'a [T]);

impl<T: Element> Kernel for Activate<'_, T> {
    type Output = Vec<T>;

    fn run<S: Simd>(self, s: S) -> Vec<T> {
        let mut values = self.1.to_vec();
        activate(s, self.0, &mut values);
        values
    }
}

struct ActivateBackward<'a, T>(Activation, &'a [T], &'a [T]);

impl<T: Element> Kernel for ActivateBackward<'_, T> {
    type Output = Vec<T>;

    fn run<S: Simd>(self, s: S) -> Vec<T> {
        let mut gradient = self.2.to_vec();
        activate_backward(s, self.0, self.1, &mut gradient);
        gradient
    }
}

fn forward<T: Element>(level: Level, activation: Activation, x: &[T]) -> Vec<T> {
    dispatch_at(level, Activate(activation, x))
}

fn backward<T: Element>(level: Level, activation: Activation, x: &[T], dy: &[T]) -> Vec<T> {
    let saved = match activation.saves() {
        Saved::Input => x.to_vec(),
        Saved::Output => forward(level, activation, x),
    };
    dispatch_at(level, ActivateBackward(activation, &saved, dy))
}

fn best() -> Level {
    available().last().unwrap()
}

/// `count` numbers of either sign up to `size`, none near 0.
fn numbers(count: usize, size: f64) -> Vec<f64> {
    (0..count).map(|i| size * (i as f64 * 1.618 + 0.4).sin()).map(|x| if x.abs() < 1e-3 { 0.5 } else { x }).collect()
}

#[test]
fn formulas() {
    let x = [-40.0, -3.0, -0.5, -1e-9, 0.0, 1e-9, 0.5, 3.0, 40.0];
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let hard = |x: f64| (x / 6.0 + 0.5).clamp(0.0, 1.0);
    let cases: [(Activation, &dyn Fn(f64) -> f64); 18] = [
        (Activation::Relu, &|x| x.max(0.0)),
        (Activation::LeakyRelu { negative_slope: 0.2 }, &|x| x.max(0.2 * x)),
        (Activation::Elu { alpha: 1.5 }, &|x| if x > 0.0 { x } else { 1.5 * x.exp_m1() }),
        (Activation::Selu, &|x| 1.0507009873554805 * if x > 0.0 { x } else { 1.6732632423543772 * x.exp_m1() }),
        (Activation::Gelu { approximate: true }, &|x| {
            x * sigmoid(2.0 * std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x))
        }),
        (Activation::Silu, &|x| x * sigmoid(x)),
        (Activation::Tanh, &f64::tanh),
        (Activation::Sigmoid, &sigmoid),
        (Activation::Curve(Curve::Softplus), &softplus),
        (Activation::Curve(Curve::Softsign), &|x| x / (1.0 + x.abs())),
        (Activation::Curve(Curve::HardSigmoid), &hard),
        (Activation::Curve(Curve::HardSilu), &|x| x * hard(x)),
        (Activation::Curve(Curve::Mish), &|x| x * softplus(x).tanh()),
        (Activation::Curve(Curve::Exponential), &f64::exp),
        (Activation::Curve(Curve::LogSigmoid), &|x| -softplus(-x)),
        (Activation::Curve(Curve::HardTanh), &|x| x.clamp(-1.0, 1.0)),
        (Activation::Curve(Curve::Celu { alpha: 0.7 }), &|x| if x > 0.0 { x } else { 0.7 * (x / 0.7).exp_m1() }),
        (Activation::Curve(Curve::Rectifier { negative_slope: 0.1, max_value: 6.0, threshold: 0.4 }), &|x| {
            if x >= 0.4 { x.min(6.0) } else { 0.1 * (x - 0.4) }
        }),
    ];
    for (activation, f) in cases {
        for (&x, y) in x.iter().zip(forward(best(), activation, &x)) {
            let expected = f(x);
            assert!((y - expected).abs() <= 4e-15 * expected.abs(), "{activation:?}({x}) = {y}, not {expected}");
        }
    }
    // Φ(1) and Φ(-1), from tables of the normal distribution.
    let gelu = forward(best(), Activation::Gelu { approximate: false }, &[1.0_f64, -1.0]);
    assert!((gelu[0] - 0.841344746068543).abs() < 1e-14 && (gelu[1] + 0.158655253931457).abs() < 1e-14);
}

#[test]
fn softmax_sums_to_one_over_units() {
    // Five units of eight lanes; one row is huge, which must not overflow.
    let mut x = numbers(40, 5.0);
    (0..5).for_each(|unit| x[unit * 8 + 3] = 1000.0 * unit as f64);
    let y = forward(best(), Activation::Softmax, &x);
    for lane in 0..8 {
        let sum: f64 = (0..5).map(|unit| y[unit * 8 + lane]).sum();
        assert!((sum - 1.0).abs() < 1e-15);
        let ratio = (y[lane] / y[8 + lane]).ln();
        assert!(lane == 3 || (ratio - (x[lane] - x[8 + lane])).abs() < 1e-14);
    }
    assert_eq!(y[4 * 8 + 3], 1.0);
}

#[test]
fn derivatives_are_those_of_finite_differences() {
    let (x, dy) = (numbers(40, 3.0), numbers(40, 1.0));
    let h = 1e-6;
    for activation in ALL {
        let dx = backward(best(), activation, &x, &dy);
        for i in 0..x.len() {
            let at = |step: f64| {
                let mut x = x.clone();
                x[i] += step;
                forward(best(), activation, &x).iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
            };
            let expected = (at(h) - at(-h)) / (2.0 * h);
            // What rounding of the sums leaves, divided by the step.
            let bound = 1e-8 * at(0.0).abs().max(1.0);
            assert!((dx[i] - expected).abs() < bound, "{activation:?} at {}: {} {expected}", x[i], dx[i]);
        }
    }
}

#[test]
fn nan_passes_and_a_kink_has_the_left_slope() {
    for activation in ALL {
        let mut x = vec![1.0_f32; 32];
        x[5] = f32::NAN;
        let y = forward(best(), activation, &x);
        assert!(y[5].is_nan(), "{activation:?}");
        assert!(!y[4].is_nan(), "{activation:?}");
        if activation == Activation::Softmax {
            assert!(y[16 + 5].is_nan());
        }
    }
    let slope = |activation| backward(best(), activation, &[0.0_f64], &[1.0])[0];
    assert_eq!(slope(Activation::Relu), 0.0);
    assert_eq!(slope(Activation::LeakyRelu { negative_slope: 0.2 }), 0.2);
    assert_eq!(slope(Activation::Elu { alpha: 1.5 }), 1.5);
}

fn levels_agree<T: Element>(bits: fn(&T) -> u64) {
    // Elementwise activations take any length; softmax whole vectors.
    for activation in ALL {
        let count = if activation.is_softmax() { 160 } else { 165 };
        let x: Vec<T> = numbers(count, 9.0).into_iter().map(T::from_f64).collect();
        let dy: Vec<T> = numbers(count, 1.0).into_iter().rev().map(T::from_f64).collect();
        let y: Vec<u64> = forward(Level::Scalar, activation, &x).iter().map(bits).collect();
        let dx: Vec<u64> = backward(Level::Scalar, activation, &x, &dy).iter().map(bits).collect();
        for level in available() {
            assert_eq!(forward(level, activation, &x).iter().map(bits).collect::<Vec<_>>(), y);
            assert_eq!(backward(level, activation, &x, &dy).iter().map(bits).collect::<Vec<_>>(), dx);
        }
    }
}

#[test]
fn levels_return_the_same_bits() {
    levels_agree::<f32>(|x| u64::from(x.to_bits()));
    levels_agree::<f64>(|x| x.to_bits());
}
