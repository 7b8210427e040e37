//! Layer 4: categorical cross-entropy of logits, softmax included.

use super::target::Target;
use crate::dense::softmax::largest;
use crate::math::{exp, ln};
use crate::simd::{Element, Simd, V, Vector};

/// `loss = -Σ t ln p` and its gradient `p Σ t - t` with respect to the logits `z`, with `p = softmax(z)`.
///
/// `ln p = (z - max) - ln Σ exp(z - max)`: nothing overflows, and no probability is too small for its logarithm.
pub(crate) struct LogitsPanel<'a, G, T, X> {
    /// True values.
    pub(crate) target: G,
    /// Multiplies the gradient, lane by lane; where it is 0 the gradient is.
    pub(crate) scale: X,
    /// Logits `[unit][lane]`.
    pub(crate) output: &'a mut [T],
    /// Receives the gradient.
    pub(crate) gradient: &'a mut [T],
    /// Whether probabilities replace the logits.
    pub(crate) softmax: bool,
}

impl<T: Element, G, X> LogitsPanel<'_, G, T, X> {
    /// The loss of each lane.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(self, s: S) -> V<S, T>
    where
        T: Element<Vector<S> = X>,
        X: Vector<Elem = T, Token = S>,
        G: Target<S, T>,
    {
        let largest = largest::<S, T>(s, self.output);
        let mut sum = X::zero(s);
        for (z, e) in self.output.chunks_exact(T::LANES).zip(self.gradient.chunks_exact_mut(T::LANES)) {
            let power = exp(s, X::read(s, z).sub(largest));
            sum = sum.add(power);
            power.write(e);
        }
        let ln_sum = ln(s, sum);
        let (mut loss, mut total) = (X::zero(s), X::zero(s));
        for (unit, z) in self.output.chunks_exact(T::LANES).enumerate() {
            let t = self.target.at(s, unit);
            loss = t.neg_mul_add(X::read(s, z).sub(largest).sub(ln_sum), loss);
            total = total.add(t);
        }
        let counts = super::not_zero(s, self.scale);
        let lanes = self.output.chunks_exact_mut(T::LANES).zip(self.gradient.chunks_exact_mut(T::LANES));
        for (unit, (z, gradient)) in lanes.enumerate() {
            let p = X::read(s, gradient).div(sum);
            let t = self.target.at(s, unit);
            p.mul_add(total, t.neg()).mul(self.scale).keep(counts).write(gradient);
            if self.softmax {
                p.write(z);
            }
        }
        loss
    }
}
