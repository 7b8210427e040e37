//! Layer 4: the update rules, in vectors.

use super::{STATES, UpdateRule};
use crate::simd::{Element, Simd, V, Vector};

/// A parameter's vector with its state, before or after an update.
type Updated<S, T> = (V<S, T>, [V<S, T>; STATES]);

/// Clipping by value, then decay, then another rule.
#[derive(Clone, Copy)]
pub(crate) struct Regulated<T, R> {
    /// The other rule.
    pub(crate) rule: R,
    /// Largest magnitude of an element of the gradient, possibly infinite.
    pub(crate) bound: T,
    /// What fraction of a parameter is taken off.
    pub(crate) decay: T,
}

impl<T: Element, R: UpdateRule<T>> UpdateRule<T> for Regulated<T, R> {
    const STATES: usize = R::STATES;
    const SLOW: bool = R::SLOW;
    /// Of SGD without momentum and of Adam.
    const FUSED: bool = R::FUSED && R::STATES != 1;

    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: V<S, T>, g: V<S, T>, states: [V<S, T>; STATES]) -> Updated<S, T> {
        let bound = V::<S, T>::splat(s, self.bound);
        // In this order of operands NaN passes.
        let g = bound.neg().max(bound.min(g));
        let w = w.neg_mul_add(V::<S, T>::splat(s, self.decay), w);
        self.rule.update(s, w, g, states)
    }
}

/// `w -= rate · g`
#[derive(Clone, Copy)]
pub(crate) struct Descent<T> {
    rate: T,
}

impl<T: Element> Descent<T> {
    /// Gradient descent.
    pub(crate) fn new(rate: f64) -> Self {
        Self { rate: T::from_f64(rate) }
    }
}

impl<T: Element> UpdateRule<T> for Descent<T> {
    const STATES: usize = 0;
    const FUSED: bool = true;

    #[inline(always)]
    fn descent(&self) -> Option<T> {
        Some(self.rate)
    }

    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: V<S, T>, g: V<S, T>, states: [V<S, T>; STATES]) -> Updated<S, T> {
        (g.neg_mul_add(V::<S, T>::splat(s, self.rate), w), states)
    }
}

/// `v = momentum · v - rate · g; w += v`
#[derive(Clone, Copy)]
pub(crate) struct Momentum<T> {
    rate: T,
    momentum: T,
}

impl<T: Element> Momentum<T> {
    /// Gradient descent with momentum.
    pub(crate) fn new(rate: f64, momentum: f64) -> Self {
        Self { rate: T::from_f64(rate), momentum: T::from_f64(momentum) }
    }

    /// The new velocity, and the gradient's step `rate · g`.
    #[inline(always)]
    fn velocity<S: Simd>(self, s: S, g: V<S, T>, v: V<S, T>) -> (V<S, T>, V<S, T>) {
        let step = g.mul(V::<S, T>::splat(s, self.rate));
        (v.mul_add(V::<S, T>::splat(s, self.momentum), step.neg()), step)
    }
}

impl<T: Element> UpdateRule<T> for Momentum<T> {
    const STATES: usize = 1;
    const FUSED: bool = true;

    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: V<S, T>, g: V<S, T>, mut states: [V<S, T>; STATES]) -> Updated<S, T> {
        states[0] = self.velocity(s, g, states[0]).0;
        (w.add(states[0]), states)
    }
}

/// `v = momentum · v - rate · g; w += momentum · v - rate · g`
#[derive(Clone, Copy)]
pub(crate) struct Nesterov<T>(pub(crate) Momentum<T>);

impl<T: Element> UpdateRule<T> for Nesterov<T> {
    const STATES: usize = 1;
    const FUSED: bool = true;

    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: V<S, T>, g: V<S, T>, mut states: [V<S, T>; STATES]) -> Updated<S, T> {
        let (velocity, step) = self.0.velocity(s, g, states[0]);
        states[0] = velocity;
        (w.add(velocity.mul_add(V::<S, T>::splat(s, self.0.momentum), step.neg())), states)
    }
}

/// `m += (1 - beta_1)(g - m); v += (1 - beta_2)(g² - v); w -= rate · m / (√v + epsilon)`, with the two corrections of
/// bias in the rate; with `AMSGRAD` the largest v so far stands under the root.
#[derive(Clone, Copy)]
pub(crate) struct Adam<T, const AMSGRAD: bool> {
    rate: T,
    blend_1: T,
    blend_2: T,
    epsilon: T,
}

impl<T: Element, const AMSGRAD: bool> Adam<T, AMSGRAD> {
    /// Adam with a rate that corrects the bias of this step.
    pub(crate) fn new(rate: f64, beta_1: f64, beta_2: f64, epsilon: f64) -> Self {
        Self {
            rate: T::from_f64(rate),
            blend_1: T::from_f64(1.0 - beta_1),
            blend_2: T::from_f64(1.0 - beta_2),
            epsilon: T::from_f64(epsilon),
        }
    }
}

impl<T: Element, const AMSGRAD: bool> UpdateRule<T> for Adam<T, AMSGRAD> {
    const STATES: usize = if AMSGRAD { 3 } else { 2 };
    // The others are used so seldom that they don't pay for their size.
    const SLOW: bool = !AMSGRAD;
    const FUSED: bool = !AMSGRAD;

    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: V<S, T>, g: V<S, T>, [m, v, largest]: [V<S, T>; STATES]) -> Updated<S, T> {
        let m = g.sub(m).mul_add(V::<S, T>::splat(s, self.blend_1), m);
        let v = g.mul_add(g, v.neg()).mul_add(V::<S, T>::splat(s, self.blend_2), v);
        let largest = if AMSGRAD { largest.max(v) } else { largest };
        let root = if AMSGRAD { largest } else { v }.sqrt();
        let step = m.mul(V::<S, T>::splat(s, self.rate)).div(root.add(V::<S, T>::splat(s, self.epsilon)));
        (w.sub(step), [m, v, largest])
    }
}

/// `v = rho · v + (1 - rho) g²; w -= rate · g / √(v + epsilon)`; `CENTERED` takes the squared average gradient off v;
/// with `MOMENTUM` steps accumulate: `p = momentum · p + step; w -= p`.
#[derive(Clone, Copy)]
pub(crate) struct RmsProp<T, const CENTERED: bool, const MOMENTUM: bool> {
    rate: T,
    rho: T,
    blend: T,
    momentum: T,
    epsilon: T,
}

impl<T: Element, const CENTERED: bool, const MOMENTUM: bool> RmsProp<T, CENTERED, MOMENTUM> {
    /// RMSprop.
    pub(crate) fn new(rate: f64, rho: f64, momentum: f64, epsilon: f64) -> Self {
        Self {
            rate: T::from_f64(rate),
            rho: T::from_f64(rho),
            blend: T::from_f64(1.0 - rho),
            momentum: T::from_f64(momentum),
            epsilon: T::from_f64(epsilon),
        }
    }

    /// `rho · average + (1 - rho) x`
    #[inline(always)]
    fn average<S: Simd>(self, s: S, average: V<S, T>, x: V<S, T>) -> V<S, T> {
        average.mul_add(V::<S, T>::splat(s, self.rho), x.mul(V::<S, T>::splat(s, self.blend)))
    }
}

impl<T: Element, const CENTERED: bool, const MOMENTUM: bool> UpdateRule<T> for RmsProp<T, CENTERED, MOMENTUM> {
    const STATES: usize = 1 + CENTERED as usize + MOMENTUM as usize;
    const FUSED: bool = !CENTERED && !MOMENTUM;

    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: V<S, T>, g: V<S, T>, mut states: [V<S, T>; STATES]) -> Updated<S, T> {
        states[0] = self.average(s, states[0], g.mul(g));
        let mut under_root = states[0];
        if CENTERED {
            states[1] = self.average(s, states[1], g);
            // A variance: rounding must not make it negative. In this order of operands NaN passes.
            under_root = V::<S, T>::zero(s).max(states[1].neg_mul_add(states[1], under_root));
        }
        let root = under_root.add(V::<S, T>::splat(s, self.epsilon)).sqrt();
        let mut step = g.mul(V::<S, T>::splat(s, self.rate)).div(root);
        if MOMENTUM {
            let slot = 1 + CENTERED as usize;
            step = states[slot].mul_add(V::<S, T>::splat(s, self.momentum), step);
            states[slot] = step;
        }
        (w.sub(step), states)
    }
}
