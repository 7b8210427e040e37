//! Layer 4: the update rules that few models use: which one it is, is asked once a vector.
//!
//! One type for all of them with one slot of state and one for those with two, so that the loops over parameters are
//! compiled for two more rules and not for five.

use super::{OptimizerKind, STATES, UpdateRule, power};
use crate::simd::{Element, Mask, Simd, V, Vector};

/// Which formula.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Formula {
    Nadam,
    Adamax,
    Adagrad,
    Adadelta,
    Lion,
}

/// A formula at one step, its constants computed in `f64`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    formula: Formula,
    /// What each is, the formulas say.
    constants: [f64; 5],
}

impl Rule {
    /// The rule of an optimizer of this file at a step, counted from 1.
    ///
    /// # Panics
    /// For other optimizers.
    pub(crate) fn new(kind: OptimizerKind, rate: f64, step: u64) -> Self {
        let (formula, constants) = match kind {
            OptimizerKind::Nadam { beta_1, beta_2, epsilon } => {
                // Keras' schedule of the momentum, and its product up to this step.
                let momentum = |step| beta_1 * (1.0 - 0.5 * power(0.96, step));
                // Later factors are beta_1: 0.96^900 is below what 1 can tell.
                let product =
                    power(beta_1, step) * (1..=step.min(1024)).map(|i| 1.0 - 0.5 * power(0.96, i)).product::<f64>();
                let (now, next) = (momentum(step), momentum(step + 1));
                let unbias = (1.0 - power(beta_2, step)).sqrt();
                // w -= (a m + b g) / (√v + epsilon'), all times √(1 - beta_2^t)
                let a = rate * unbias * next / (1.0 - product * next);
                let b = rate * unbias * (1.0 - now) / (1.0 - product);
                (Formula::Nadam, [a, b, 1.0 - beta_1, 1.0 - beta_2, epsilon * unbias])
            }
            OptimizerKind::Adamax { beta_1, beta_2, epsilon } => {
                (Formula::Adamax, [rate / (1.0 - power(beta_1, step)), 1.0 - beta_1, beta_2, epsilon, 0.0])
            }
            OptimizerKind::Adagrad { epsilon } => (Formula::Adagrad, [rate, epsilon, 0.0, 0.0, 0.0]),
            OptimizerKind::Adadelta { rho, epsilon } => (Formula::Adadelta, [rate, rho, 1.0 - rho, epsilon, 0.0]),
            OptimizerKind::Lion { beta_1, beta_2 } => {
                (Formula::Lion, [rate, beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2])
            }
            _ => unreachable!("{kind:?} has a rule of its own"),
        };
        Self { formula, constants }
    }
}

/// A rule with so many slots of state.
#[derive(Clone, Copy)]
pub(crate) struct Further<T, const SLOTS: usize> {
    formula: Formula,
    constants: [T; 5],
}

impl<T: Element, const SLOTS: usize> Further<T, SLOTS> {
    /// The rule in the type of the parameters.
    pub(crate) fn new(rule: Rule) -> Self {
        Self { formula: rule.formula, constants: rule.constants.map(T::from_f64) }
    }
}

impl<T: Element, const SLOTS: usize> UpdateRule<T> for Further<T, SLOTS> {
    const STATES: usize = SLOTS;

    #[inline(always)]
    fn update<S: Simd>(
        self,
        s: S,
        w: V<S, T>,
        g: V<S, T>,
        [first, second, third]: [V<S, T>; STATES],
    ) -> (V<S, T>, [V<S, T>; STATES]) {
        let constant = |index: usize| V::<S, T>::splat(s, self.constants[index]);
        let (step, first, second) = match self.formula {
            // m += (1 - beta_1)(g - m); v += (1 - beta_2)(g² - v); w -= (a m + b g) / (√v + epsilon)
            Formula::Nadam => {
                let m = g.sub(first).mul_add(constant(2), first);
                let v = g.mul_add(g, second.neg()).mul_add(constant(3), second);
                let above = m.mul_add(constant(0), g.mul(constant(1)));
                (above.div(v.sqrt().add(constant(4))), m, v)
            }
            // m += (1 - beta_1)(g - m); u = max(beta_2 u, |g|); w -= rate · m / (u + epsilon)
            Formula::Adamax => {
                let m = g.sub(first).mul_add(constant(1), first);
                let u = second.mul(constant(2)).max(g.abs());
                (m.mul(constant(0)).div(u.add(constant(3))), m, u)
            }
            // sum += g²; w -= rate · g / √(sum + epsilon)
            Formula::Adagrad => {
                let sum = g.mul_add(g, first);
                (g.mul(constant(0)).div(sum.add(constant(1)).sqrt()), sum, second)
            }
            // v = rho v + (1 - rho) g²; d = g √(u + epsilon) / √(v + epsilon); u = rho u + (1 - rho) d²; w -= rate · d
            Formula::Adadelta => {
                let v = first.mul_add(constant(1), g.mul(g).mul(constant(2)));
                let root = second.add(constant(3)).sqrt();
                let change = g.mul(root).div(v.add(constant(3)).sqrt());
                let u = second.mul_add(constant(1), change.mul(change).mul(constant(2)));
                (change.mul(constant(0)), v, u)
            }
            // w -= rate · sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g
            Formula::Lion => {
                let way = first.mul_add(constant(1), g.mul(constant(2)));
                let m = first.mul_add(constant(3), g.mul(constant(4)));
                // NaN passes; 0 stays.
                let moved = constant(0).copy_sign(way).keep(way.eq(V::<S, T>::zero(s)).not());
                (way.select(way.is_nan(), moved), m, second)
            }
        };
        (w.sub(step), [first, second, third])
    }
}
