//! Layer 3: softmax over the units of a panel `[unit][lane]`, a row of the batch a lane.

use crate::math::exp;
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// Turns a panel of logits into probabilities: `y = exp(x - max) / Σ exp(x - max)`, the sum in ascending order of units.
///
/// A NaN makes its whole row NaN. A panel is whole vectors, or this panics.
pub(crate) struct Softmax<'a, T> {
    /// Logits in, probabilities out.
    pub(crate) panel: &'a mut [T],
}

/// `dx = y (dy - Σ y dy)`, the sum one chain of fused multiply-adds in ascending order of units.
pub(crate) struct SoftmaxBackward<'a, T> {
    /// Softmax's result `y`.
    pub(crate) output: &'a [T],
    /// `dy` in, `dx` out; of the same length.
    pub(crate) gradient: &'a mut [T],
}

/// The largest logit of each lane; NaN where the first is.
#[inline(always)]
pub(crate) fn largest<S: Simd, T: Element>(s: S, panel: &[T]) -> V<S, T> {
    let mut largest = V::<S, T>::read(s, panel);
    for x in panel.chunks_exact(T::LANES) {
        largest = V::<S, T>::read(s, x).max(largest);
    }
    largest
}

impl<T: Element> Kernel for Softmax<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.panel.is_empty() {
            return;
        }
        let largest = largest(s, self.panel);
        let mut sum = V::<S, T>::zero(s);
        for x in self.panel.chunks_exact_mut(T::LANES) {
            let e = exp(s, V::<S, T>::read(s, x).sub(largest));
            sum = sum.add(e);
            e.write(x);
        }
        for e in self.panel.chunks_exact_mut(T::LANES) {
            V::<S, T>::read(s, e).div(sum).write(e);
        }
    }
}

impl<T: Element> Kernel for SoftmaxBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut sum = V::<S, T>::zero(s);
        for (y, dy) in self.output.chunks_exact(T::LANES).zip(self.gradient.chunks_exact(T::LANES)) {
            sum = V::<S, T>::read(s, y).mul_add(V::<S, T>::read(s, dy), sum);
        }
        for (y, dy) in self.output.chunks_exact(T::LANES).zip(self.gradient.chunks_exact_mut(T::LANES)) {
            V::<S, T>::read(s, y).mul(V::<S, T>::read(s, dy).sub(sum)).write(dy);
        }
    }
}
