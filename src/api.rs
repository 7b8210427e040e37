//! Layer 5: the functions of the crate for users of Rust: safe, checked, in `f32`.

use crate::aligned::caught;
use crate::dense::activation;
use crate::dense::forward::{self, forward};
use crate::dropout::{Decisions, Scale, apply_contiguous};
use crate::error::{Error, Result};
use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::rng::{self, Key, Threshold, check_rate};

/// What a layer does to each of its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `exp(x)` over the row's sum.
    Softmax,
}

impl Activation {
    /// The same for the engine.
    pub(crate) fn native(self) -> activation::Activation {
        match self {
            Self::Linear => activation::Activation::Linear,
            Self::Relu => activation::Activation::Relu,
            Self::Sigmoid => activation::Activation::Sigmoid,
            Self::Tanh => activation::Activation::Tanh,
            Self::Softmax => activation::Activation::Softmax,
        }
    }
}

/// An error that names a slice, the length it must have, and the one it has.
pub(crate) fn check_len(name: &str, len: usize, expected: usize) -> Result<()> {
    if len == expected {
        return Ok(());
    }
    Err(Error::value(format!("{name} must hold {expected} elements. Received: {len}")))
}

/// Keep decisions of `n` consecutive elements from `start` on, as bits: element `start + i` is bit `i mod 32` of word
/// `i div 32`, set where kept.
///
/// # Errors
/// [`Error::Value`] for a rate outside [0, 1].
///
/// ```
/// use dropfast::{Key, keep_bits};
///
/// let bits = keep_bits(Key::new(0, 0, 0), 0.5, 1000, 100)?;
/// let later = keep_bits(Key::new(0, 0, 0), 0.5, 1007, 20)?;
/// assert_eq!(later[0], bits[0] >> 7 & 0xF_FFFF);
/// # Ok::<(), dropfast::Error>(())
/// ```
pub fn keep_bits(key: Key, rate: f64, start: u64, n: usize) -> Result<Vec<u32>> {
    check_rate(rate)?;
    let mut bits = vec![0; n.div_ceil(32)];
    rng::keep_bits(key, Threshold::new(rate), start, &mut bits, n);
    Ok(bits)
}

/// Normal variates: `out[i]` is element `start + i` of the key's stream.
///
/// ```
/// use dropfast::{Key, normals};
///
/// let mut all = [0.0; 100];
/// normals(Key::new(1, 2, 3), 0, &mut all);
/// let mut some = [0.0; 10];
/// normals(Key::new(1, 2, 3), 33, &mut some);
/// assert_eq!(some, all[33..43]);
/// ```
pub fn normals(key: Key, start: u64, out: &mut [f32]) {
    rng::normals(key, start, out);
}

/// A random order of `0..n`, every one as likely (Fisher and Yates).
///
/// ```
/// let mut order = dropfast::permutation(5, dropfast::Key::new(0, 0, 0));
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
#[must_use]
pub fn permutation(n: usize, key: Key) -> Vec<i64> {
    rng::permutation(n, key)
}

/// Inverted dropout (Srivastava et al. 2014): `y[i]` is `x[i] / (1 - rate)` or 0, as element `start + i` of the key's
/// stream decides. Its gradient is the same function of the gradient of `y`.
///
/// # Errors
/// [`Error::Value`] for a rate outside [0, 1], or slices of different lengths.
///
/// ```
/// use dropfast::{Key, dropout};
///
/// let x = [1.0; 8];
/// let mut y = [0.0; 8];
/// dropout(Key::new(0, 0, 0), 0.5, 0, &x, &mut y)?;
/// assert!(y.iter().all(|&y| y == 0.0 || y == 2.0));
/// # Ok::<(), dropfast::Error>(())
/// ```
pub fn dropout(key: Key, rate: f64, start: u64, x: &[f32], y: &mut [f32]) -> Result<()> {
    check_rate(rate)?;
    check_len("y", y.len(), x.len())?;
    let decisions = Decisions { key, threshold: Threshold::new(rate), offset: start };
    // SAFETY: both hold `x.len()` elements, and `y` is borrowed exclusively.
    unsafe { apply_contiguous(decisions, Scale::inverted(rate), x.as_ptr(), y.as_mut_ptr(), x.len()) };
    Ok(())
}

/// A dense layer: `activation(x · kernel + bias)`, all of them by rows; `kernel` is `[inputs][units]`, and the number of
/// units is the length of `bias`.
///
/// # Errors
/// [`Error::Value`] where the lengths do not fit together.
///
/// ```
/// use dropfast::{Activation, dense};
///
/// let y = dense(&[1.0, 2.0], &[1.0, 0.0, 0.0, -1.0], &[0.5, 0.5], Activation::Relu)?;
/// assert_eq!(y, [1.5, 0.0]);
/// # Ok::<(), dropfast::Error>(())
/// ```
pub fn dense(x: &[f32], kernel: &[f32], bias: &[f32], activation: Activation) -> Result<Vec<f32>> {
    let units = bias.len();
    if units == 0 || kernel.is_empty() {
        return Err(Error::value("bias and kernel must not be empty"));
    }
    let inputs = kernel.len() / units;
    check_len("kernel", kernel.len(), inputs * units)?;
    let rows = x.len().checked_div(inputs).unwrap_or(0);
    check_len("x", x.len(), rows * inputs)?;
    let mut y = vec![0.0; rows * units];
    let layer = forward::Layer { bias: Some(bias), activation: activation.native(), masks: None };
    let out = MatrixMut::by_rows(&mut y, rows, units);
    let (x, kernel) = (Matrix::by_rows(x, rows, inputs), Matrix::by_rows(kernel, inputs, units));
    caught(|| forward(x, kernel, layer, out))?;
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_input_is_named() {
        let text = |error: Error| error.to_string();
        let key = Key::default();
        assert_eq!(text(dropout(key, 0.5, 0, &[1.0], &mut []).unwrap_err()), "y must hold 1 elements. Received: 0");
        assert!(text(keep_bits(key, 1.5, 0, 1).unwrap_err()).contains("rate must be in [0, 1]"));
        assert_eq!(
            text(dense(&[1.0; 3], &[1.0; 4], &[0.0; 2], Activation::Linear).unwrap_err()),
            "x must hold 2 elements. Received: 3"
        );
        assert!(dense(&[], &[1.0; 3], &[0.0; 2], Activation::Linear).is_err());
        assert!(dense(&[], &[1.0; 4], &[0.0; 2], Activation::Softmax).unwrap().is_empty());
    }
}
