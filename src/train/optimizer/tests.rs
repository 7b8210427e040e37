//! Every rule against Keras' formulas written out in `f64`, over 100 steps, and the same bits on every level.

use super::*;
use crate::simd::{Kernel, Level, Vector, available, dispatch_at};

const SIZE: usize = 16;

/// A parameter and its slots after one step.
struct Step<'a, T> {
    optimizer: Optimizer,
    step: u64,
    values: &'a mut [T],
    gradient: &'a [T],
    states: &'a mut [Vec<T>; STATES],
}

impl<T: Element> Kernel for Step<'_, T> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        let (optimizer, step) = (self.optimizer, self.step);
        with_rule(&optimizer, 0.01, step, OnLevel { s, step: self });
    }
}

struct OnLevel<'a, S, T> {
    s: S,
    step: Step<'a, T>,
}

impl<S: Simd, T: Element> RuleVisitor<T> for OnLevel<'_, S, T> {
    type Output = ();

    fn visit<R: UpdateRule<T>>(self, rule: R) {
        let OnLevel { s, step } = self;
        assert_eq!(R::STATES, step.optimizer.states());
        for start in (0..SIZE).step_by(T::LANES) {
            let slots = std::array::from_fn(|slot| V::<S, T>::read(s, &step.states[slot][start..]));
            let gradient = V::<S, T>::read(s, &step.gradient[start..]);
            let (value, slots) = rule.update(s, V::<S, T>::read(s, &step.values[start..]), gradient, slots);
            value.write(&mut step.values[start..]);
            for (slot, state) in slots.into_iter().zip(step.states.iter_mut()) {
                slot.write(&mut state[start..]);
            }
        }
    }
}

fn number(i: usize) -> f64 {
    (i as f64 * 1.618 + 0.3).sin()
}

fn gradient(step: u64, i: usize) -> f64 {
    2.0 * number(17 * step as usize + i) + 0.5
}

/// Values after 100 steps.
fn run<T: Element>(level: Level, optimizer: Optimizer) -> Vec<T> {
    let mut values: Vec<T> = (0..SIZE).map(|i| T::from_f64(number(i))).collect();
    let mut states = [(); STATES].map(|()| vec![T::ZERO; SIZE]);
    for step in 1..=100 {
        let gradient: Vec<T> = (0..SIZE).map(|i| T::from_f64(gradient(step, i))).collect();
        dispatch_at(level, Step { optimizer, step, values: &mut values, gradient: &gradient, states: &mut states });
    }
    values
}

/// One element after 100 steps, by the book.
fn expected(optimizer: &Optimizer, i: usize) -> f64 {
    let (lr, mut w) = (0.01, number(i));
    let (mut a, mut b, mut c) = (0.0_f64, 0.0_f64, 0.0_f64);
    for step in 1..=100 {
        let mut g = gradient(step, i);
        if let Some(bound) = optimizer.clipvalue {
            g = g.clamp(-bound, bound);
        }
        w -= w * optimizer.weight_decay * lr;
        match optimizer.kind {
            OptimizerKind::Sgd { momentum, nesterov } => {
                a = momentum * a - lr * g;
                w += if nesterov { momentum * a - lr * g } else { a };
            }
            OptimizerKind::Adam { beta_1, beta_2, epsilon, amsgrad } => {
                let t = step as f64;
                a = beta_1 * a + (1.0 - beta_1) * g;
                b = beta_2 * b + (1.0 - beta_2) * g * g;
                c = c.max(b);
                let alpha = lr * (1.0 - beta_2.powf(t)).sqrt() / (1.0 - beta_1.powf(t));
                w -= alpha * a / (if amsgrad { c } else { b }.sqrt() + epsilon);
            }
            OptimizerKind::RmsProp { rho, momentum, epsilon, centered } => {
                a = rho * a + (1.0 - rho) * g * g;
                b = rho * b + (1.0 - rho) * g;
                let step = lr * g / (a - if centered { b * b } else { 0.0 } + epsilon).sqrt();
                c = momentum * c + step;
                w -= c;
            }
            OptimizerKind::Nadam { beta_1, beta_2, epsilon } => {
                let u = |t: u64| beta_1 * (1.0 - 0.5 * 0.96_f64.powf(t as f64));
                let product: f64 = (1..=step).map(u).product();
                a += (g - a) * (1.0 - beta_1);
                b += (g * g - b) * (1.0 - beta_2);
                let m = u(step + 1) * a / (1.0 - product * u(step + 1)) + (1.0 - u(step)) * g / (1.0 - product);
                w -= lr * m / ((b / (1.0 - beta_2.powf(step as f64))).sqrt() + epsilon);
            }
            OptimizerKind::Adamax { beta_1, beta_2, epsilon } => {
                a += (g - a) * (1.0 - beta_1);
                b = (beta_2 * b).max(g.abs());
                w -= lr * a / ((1.0 - beta_1.powf(step as f64)) * (b + epsilon));
            }
            OptimizerKind::Adagrad { epsilon } => {
                a += g * g;
                w -= lr * g / (a + epsilon).sqrt();
            }
            OptimizerKind::Adadelta { rho, epsilon } => {
                a = rho * a + (1.0 - rho) * g * g;
                let change = (b + epsilon).sqrt() * g / (a + epsilon).sqrt();
                b = rho * b + (1.0 - rho) * change * change;
                w -= lr * change;
            }
            OptimizerKind::Lion { beta_1, beta_2 } => {
                w -= lr * (beta_1 * a + (1.0 - beta_1) * g).signum();
                a = beta_2 * a + (1.0 - beta_2) * g;
            }
        }
    }
    w
}

fn all() -> Vec<Optimizer> {
    let mut kinds = Vec::new();
    for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
        kinds.push(OptimizerKind::Sgd { momentum, nesterov });
    }
    for amsgrad in [false, true] {
        kinds.push(OptimizerKind::Adam { beta_1: 0.9, beta_2: 0.98, epsilon: 1e-7, amsgrad });
    }
    for (momentum, centered) in [(0.0, false), (0.5, false), (0.0, true), (0.5, true)] {
        kinds.push(OptimizerKind::RmsProp { rho: 0.9, momentum, epsilon: 1e-3, centered });
    }
    kinds.push(OptimizerKind::Nadam { beta_1: 0.9, beta_2: 0.98, epsilon: 1e-7 });
    kinds.push(OptimizerKind::Adamax { beta_1: 0.9, beta_2: 0.98, epsilon: 1e-7 });
    kinds.push(OptimizerKind::Adagrad { epsilon: 1e-3 });
    kinds.push(OptimizerKind::Adadelta { rho: 0.9, epsilon: 1e-3 });
    kinds.push(OptimizerKind::Lion { beta_1: 0.9, beta_2: 0.99 });
    let plain = |kind| Optimizer { kind, weight_decay: 0.0, clipvalue: None };
    let regulated = |kind| Optimizer { kind, weight_decay: 0.1, clipvalue: Some(1.5) };
    kinds.into_iter().flat_map(|kind| [plain(kind), regulated(kind)]).collect()
}

#[test]
fn a_hundred_steps_are_those_of_the_formulas() {
    for optimizer in all() {
        for (i, got) in run::<f64>(best(), optimizer).into_iter().enumerate() {
            let expected = expected(&optimizer, i);
            assert!((got - expected).abs() < 1e-12, "{optimizer:?}: {got} {expected}");
        }
        for (i, got) in run::<f32>(best(), optimizer).into_iter().enumerate() {
            let expected = expected(&optimizer, i);
            assert!((f64::from(got) - expected).abs() < 2e-5, "{optimizer:?}: {got} {expected}");
        }
    }
}

fn best() -> Level {
    available().last().unwrap()
}

#[test]
fn levels_return_the_same_bits() {
    for optimizer in all() {
        for level in available() {
            assert_eq!(run::<f32>(level, optimizer), run::<f32>(Level::Scalar, optimizer));
            assert_eq!(run::<f64>(level, optimizer), run::<f64>(Level::Scalar, optimizer));
        }
    }
}

#[test]
fn nan_gradients_are_not_clipped_away() {
    let kind = OptimizerKind::Sgd { momentum: 0.0, nesterov: false };
    let optimizer = Optimizer { kind, weight_decay: 0.0, clipvalue: Some(1.0) };
    let (mut values, gradient) = (vec![1.0_f32; SIZE], vec![f32::NAN; SIZE]);
    let mut states = [(); STATES].map(|()| vec![0.0; SIZE]);
    dispatch_at(best(), Step { optimizer, step: 1, values: &mut values, gradient: &gradient, states: &mut states });
    assert!(values.iter().all(|w| w.is_nan()));
}

#[test]
fn powers() {
    assert_eq!(power(0.999, 0), 1.0);
    assert_eq!(power(2.0, 10), 1024.0);
    // Squaring doubles an error, so it grows with the exponent.
    assert!((power(0.999, 12_345) / 0.999_f64.powf(12_345.0) - 1.0).abs() < 12_345.0 * f64::EPSILON);
}
