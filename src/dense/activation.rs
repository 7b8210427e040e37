//! Layer 3: the activation functions as values, and their application to blocks of memory.
//!
//! The choice among them is made once a block: [`with_elementwise`] hands a formula to a [`Visitor`] as a type, so
//! that no loop branches on it.

use super::curves::Curve;
use super::elementwise::{Elementwise, Elu, Gelu, GeluTanh, LeakyRelu, Linear, Relu, Selu, Sigmoid, Silu, Tanh};
use super::softmax::{Softmax, SoftmaxBackward};
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// An activation function with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Activation {
    /// `x`
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `x` above 0, else `negative_slope * x`.
    LeakyRelu {
        /// At least 0.
        negative_slope: f64,
    },
    /// `x` above 0, else `alpha * (exp(x) - 1)`.
    Elu {
        /// At least 0.
        alpha: f64,
    },
    /// `elu` with the constants that keep mean 0 and variance 1.
    Selu,
    /// `x` times the normal distribution function, or an approximation of it through tanh.
    Gelu {
        /// Whether the approximation is meant.
        approximate: bool,
    },
    /// `x * sigmoid(x)`
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// One of those that few networks use.
    Curve(Curve),
    /// `exp(x) / Σ exp(x)` over the units.
    Softmax,
}

/// What an activation's derivative is computed from, and so what a forward pass has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saved {
    /// The pre-activation.
    Input,
    /// The activation's result.
    Output,
}

/// Something to do with an elementwise activation, whichever it is.
pub(crate) trait Visitor {
    /// What it returns.
    type Output;

    /// Does it.
    fn visit<F: Elementwise>(self, f: F) -> Self::Output;
}

/// Calls the visitor with the activation's formula; `None` for softmax, which is not elementwise.
pub(crate) fn with_elementwise<O>(activation: Activation, visitor: impl Visitor<Output = O>) -> Option<O> {
    Some(match activation {
        Activation::Linear => visitor.visit(Linear),
        Activation::Relu => visitor.visit(Relu),
        Activation::LeakyRelu { negative_slope } => visitor.visit(LeakyRelu { negative_slope }),
        Activation::Elu { alpha } => visitor.visit(Elu { alpha }),
        Activation::Selu => visitor.visit(Selu),
        Activation::Gelu { approximate: false } => visitor.visit(Gelu),
        Activation::Gelu { approximate: true } => visitor.visit(GeluTanh),
        Activation::Silu => visitor.visit(Silu),
        Activation::Tanh => visitor.visit(Tanh),
        Activation::Sigmoid => visitor.visit(Sigmoid),
        Activation::Curve(curve) => visitor.visit(curve),
        Activation::Softmax => return None,
    })
}

impl Activation {
    /// What the derivative is computed from.
    pub(crate) fn saves(self) -> Saved {
        struct Ask;

        impl Visitor for Ask {
            type Output = Saved;

            fn visit<F: Elementwise>(self, _: F) -> Saved {
                F::SAVES
            }
        }
        with_elementwise(self, Ask).unwrap_or(Saved::Output)
    }

    /// Whether the derivative asks only which outputs are above 0.
    pub(crate) fn saves_signs(self) -> bool {
        matches!(self, Self::Relu | Self::LeakyRelu { .. })
    }

    /// Whether this is softmax, the one that mixes units.
    pub(crate) fn is_softmax(self) -> bool {
        self == Self::Softmax
    }
}

/// Applies an activation in place to a panel `[unit][lane]`.
///
/// Elementwise activations take any values, of any number; softmax panics unless they are whole vectors.
pub(crate) fn activate<S: Simd, T: Element>(s: S, activation: Activation, values: &mut [T]) {
    if activation == Activation::Linear {
        return;
    }
    if activation.is_softmax() {
        return s.run(Softmax { panel: values });
    }
    with_elementwise(activation, Forward { s, values });
}

/// Turns a gradient with respect to an activation's output into that with respect to its input, in place; `saved` is
/// what [`Activation::saves`] says, of the gradient's shape.
///
/// # Panics
/// Where the lengths differ, and as [`activate`].
pub(crate) fn activate_backward<S: Simd, T: Element>(s: S, activation: Activation, saved: &[T], gradient: &mut [T]) {
    assert_eq!(saved.len(), gradient.len());
    if activation == Activation::Linear {
        return;
    }
    if activation.is_softmax() {
        return s.run(SoftmaxBackward { output: saved, gradient });
    }
    with_elementwise(activation, Backward { s, saved, gradient });
}

struct Forward<'a, S, T> {
    s: S,
    values: &'a mut [T],
}

impl<S: Simd, T: Element> Visitor for Forward<'_, S, T> {
    type Output = ();

    fn visit<F: Elementwise>(self, f: F) {
        self.s.run(Map { f, values: self.values });
    }
}

struct Backward<'a, S, T> {
    s: S,
    saved: &'a [T],
    gradient: &'a mut [T],
}

impl<S: Simd, T: Element> Visitor for Backward<'_, S, T> {
    type Output = ();

    fn visit<F: Elementwise>(self, f: F) {
        self.s.run(MapBackward { f, saved: self.saved, gradient: self.gradient });
    }
}

/// One formula over a slice.
struct Map<'a, F, T> {
    f: F,
    values: &'a mut [T],
}

impl<F: Elementwise, T: Element> Kernel for Map<'_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut vectors = self.values.chunks_exact_mut(T::LANES);
        for values in &mut vectors {
            self.f.forward(s, V::<S, T>::read(s, values)).write(values);
        }
        let rest = vectors.into_remainder();
        self.f.forward(s, V::<S, T>::from_slice(s, rest)).write_first(rest);
    }
}

/// One formula's derivative over a slice.
struct MapBackward<'a, F, T> {
    f: F,
    saved: &'a [T],
    gradient: &'a mut [T],
}

impl<F: Elementwise, T: Element> Kernel for MapBackward<'_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let saved = self.saved.chunks_exact(T::LANES);
        let rest_saved = saved.remainder();
        let mut vectors = self.gradient.chunks_exact_mut(T::LANES);
        for (gradient, saved) in (&mut vectors).zip(saved) {
            let (saved, dy) = (V::<S, T>::read(s, saved), V::<S, T>::read(s, gradient));
            self.f.backward(s, saved, dy).write(gradient);
        }
        let rest = vectors.into_remainder();
        let (saved, dy) = (V::<S, T>::from_slice(s, rest_saved), V::<S, T>::from_slice(s, rest));
        self.f.backward(s, saved, dy).write_first(rest);
    }
}
