//! Layer 5: alpha and Gaussian dropout and their gradients, from NumPy arrays to NumPy arrays.

use pyo3::prelude::*;

use super::arguments::{gaussian_rate_of, rate_of};
use super::dropout::{Argument, Call, Optional};
use super::floats::Floats;
use super::key::key_of;
use crate::dropout::{Affine, Scale};

/// Alpha dropout: dropped elements become SELU's saturation value, then all are rescaled.
///
/// Keeps mean 0 and variance 1 of its input (Klambauer et al., "Self-normalizing neural networks", 2017):
/// kept elements become a x + b, dropped ones a alpha' + b, with alpha' = -1.7580993408473766,
/// a = ((1 - rate) (1 + rate alpha'^2))^(-1/2) and b = -a alpha' rate. At rate 1 all elements are +0.0.
///
/// Parameters
/// ----------
/// x : ndarray of float16, bfloat16, float32 or float64
///     Any shape and layout.
/// rate : float
///     Probability to drop an element, in [0, 1].
/// key, training, noise_shape, offset, out
///     As for `dropout`, whose mask it shares.
///
/// Returns
/// -------
/// ndarray
///     Of x's shape and dtype.
///
/// Raises
/// ------
/// ValueError, TypeError
///     As `dropout`.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> import numpy as np
/// >>> y = df.alpha_dropout(np.random.default_rng(0).normal(size=100_000), 0.2, df.Key(0))
/// >>> bool(abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02)
/// True
#[pyfunction]
#[pyo3(
    signature = (x, rate, key, training=true, noise_shape=None, offset=None, out=None),
    text_signature = "(x, rate, key, training=True, noise_shape=None, offset=0, out=None)"
)]
pub(crate) fn alpha_dropout<'py>(
    x: Argument<'_, 'py>,
    rate: Argument<'_, 'py>,
    key: Argument<'_, 'py>,
    training: bool,
    noise_shape: Optional<'_, 'py>,
    offset: Optional<'_, 'py>,
    out: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let x = Floats::of("x", x)?;
    let (rate, key) = (rate_of(rate)?, key_of(key)?);
    let call = Call::new(x, rate, key, noise_shape, None, offset, out)?;
    if !training || rate == 0.0 { call.copy() } else { call.apply(Affine::alpha(rate)) }
}

/// Gradient of `alpha_dropout` with respect to x: a dy where kept, +0.0 where dropped.
///
/// Parameters
/// ----------
/// dy : ndarray of float16, bfloat16, float32 or float64
///     Gradient with respect to the result.
/// rate, key, noise_shape, offset
///     As given to `alpha_dropout`.
/// out : ndarray, optional
///     Where to write; may be dy itself.
///
/// Returns
/// -------
/// ndarray
///     Of dy's shape and dtype.
///
/// Raises
/// ------
/// ValueError, TypeError
///     As `dropout`.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> import numpy as np
/// >>> df.alpha_dropout_backward(np.ones(3), 0.0, df.Key(0)).tolist()
/// [1.0, 1.0, 1.0]
#[pyfunction]
#[pyo3(
    signature = (dy, rate, key, noise_shape=None, offset=None, out=None),
    text_signature = "(dy, rate, key, noise_shape=None, offset=0, out=None)"
)]
pub(crate) fn alpha_dropout_backward<'py>(
    dy: Argument<'_, 'py>,
    rate: Argument<'_, 'py>,
    key: Argument<'_, 'py>,
    noise_shape: Optional<'_, 'py>,
    offset: Optional<'_, 'py>,
    out: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let dy = Floats::of("dy", dy)?;
    let (rate, key) = (rate_of(rate)?, key_of(key)?);
    let call = Call::new(dy, rate, key, noise_shape, None, offset, out)?;
    if rate == 0.0 { call.copy() } else { call.apply(Scale::alpha_gradient(rate)) }
}

/// Gaussian dropout: multiply by noise of mean 1 and standard deviation sqrt(rate / (1 - rate)).
///
/// Dropout's multiplicative Gaussian relative (Srivastava et al. 2014, section 10). Element i takes normal
/// variate i of the key's stream with the Gaussian domain folded in.
///
/// Parameters
/// ----------
/// x : ndarray of float16, bfloat16, float32 or float64
///     Any shape and layout.
/// rate : float
///     Drop probability of the dropout that has the same variance, in [0, 1).
/// key, training, offset, out
///     As for `dropout`.
///
/// Returns
/// -------
/// ndarray
///     Of x's shape and dtype.
///
/// Raises
/// ------
/// ValueError
///     If `rate` is not in [0, 1), or `offset` or `out` is outside what is accepted.
/// TypeError
///     As `dropout`.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> import numpy as np
/// >>> y = df.gaussian_dropout(np.ones(100_000), 0.5, df.Key(0))
/// >>> bool(abs(y.mean() - 1) < 0.02 and abs(y.std() - 1) < 0.02)
/// True
#[pyfunction]
#[pyo3(
    signature = (x, rate, key, training=true, offset=None, out=None),
    text_signature = "(x, rate, key, training=True, offset=0, out=None)"
)]
pub(crate) fn gaussian_dropout<'py>(
    x: Argument<'_, 'py>,
    rate: Argument<'_, 'py>,
    key: Argument<'_, 'py>,
    training: bool,
    offset: Optional<'_, 'py>,
    out: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let x = Floats::of("x", x)?;
    let (rate, key) = (gaussian_rate_of(rate)?, key_of(key)?);
    let call = Call::new(x, rate, key, None, None, offset, out)?;
    if !training || rate == 0.0 { call.copy() } else { call.gaussian(rate) }
}

/// Gradient of `gaussian_dropout` with respect to x: dy times the same noise, drawn again.
///
/// Parameters
/// ----------
/// dy : ndarray of float16, bfloat16, float32 or float64
///     Gradient with respect to the result.
/// rate, key, offset
///     As given to `gaussian_dropout`.
/// out : ndarray, optional
///     Where to write; may be dy itself.
///
/// Returns
/// -------
/// ndarray
///     Of dy's shape and dtype.
///
/// Raises
/// ------
/// ValueError, TypeError
///     As `gaussian_dropout`.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> import numpy as np
/// >>> df.gaussian_dropout_backward(np.ones(2), 0.0, df.Key(0)).tolist()
/// [1.0, 1.0]
#[pyfunction]
#[pyo3(signature = (dy, rate, key, offset=None, out=None), text_signature = "(dy, rate, key, offset=0, out=None)")]
pub(crate) fn gaussian_dropout_backward<'py>(
    dy: Argument<'_, 'py>,
    rate: Argument<'_, 'py>,
    key: Argument<'_, 'py>,
    offset: Optional<'_, 'py>,
    out: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let dy = Floats::of("dy", dy)?;
    let (rate, key) = (gaussian_rate_of(rate)?, key_of(key)?);
    let call = Call::new(dy, rate, key, None, None, offset, out)?;
    if rate == 0.0 { call.copy() } else { call.gaussian(rate) }
}
