//! Layer 5: dropout and its gradient, from NumPy arrays to NumPy arrays; what all calls of the family have in common.

use half::{bf16, f16};
use numpy::PyUntypedArrayMethods;
use pyo3::prelude::*;

use super::arguments::{Noise, array_pieces, offset_of, rate_of};
use super::floats::{Floats, Kind};
use super::interruptible::interruptible;
use super::key::key_of;
use crate::dropout as kernels;
use crate::dropout::{Decisions, Sample, Scale, Transform};
use crate::rng::{Key, Threshold, domain};
use crate::simd::aes_level;

pub(super) type Argument<'a, 'py> = &'a Bound<'py, PyAny>;
pub(super) type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// From so many elements on other Python threads may run meanwhile; below, handing over costs more than the work.
pub(super) const RELEASE: usize = 1 << 15;

/// Pointers that cross the release of the interpreter's lock.
struct Ends(*const u8, *mut u8);

// SAFETY: the arrays they point into are held by the call.
unsafe impl Send for Ends {}

/// Runs `work`, without the interpreter's lock where it is long; signals are handled then, except in the middle of work in place,
/// which must not be left half done.
#[inline]
fn released<F: FnOnce(&Ends) + Send>(py: Python<'_>, elements: usize, ends: Ends, work: F) -> PyResult<()> {
    if elements < RELEASE {
        work(&ends);
        Ok(())
    } else if std::ptr::eq(ends.0, ends.1) {
        py.detach(move || work(&ends));
        Ok(())
    } else {
        interruptible(py, move || work(&ends))
    }
}

/// What all calls of the dropout family have in common, checked.
pub(super) struct Call<'py> {
    x: Floats<'py>,
    out: Floats<'py>,
    noise: Noise,
    decisions: Decisions,
    /// The array that the caller gave as `out`, where its memory could not be used as it is.
    late: Option<Bound<'py, PyAny>>,
}

impl<'py> Call<'py> {
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "the arguments of the Python functions")]
    pub(super) fn new(
        x: Floats<'py>,
        rate: f64,
        key: Key,
        noise_shape: Optional<'_, 'py>,
        rows_per_mask: Optional<'_, 'py>,
        offset: Optional<'_, 'py>,
        out: Optional<'_, 'py>,
    ) -> PyResult<Self> {
        let shape = x.array.shape();
        let noise = Noise::of(shape, noise_shape, rows_per_mask)?;
        let offset = offset_of(offset, noise.size(shape))?;
        let mut out = x.output(out)?;
        let mut late = None;
        if !Floats::is_plain(&out.array) {
            late = Some(out.array.clone().into_any());
            out = x.new_like()?;
        }
        Ok(Self { x, out, noise, decisions: Decisions { key, threshold: Threshold::new(rate), offset }, late })
    }

    /// The result; an `out` with unusual memory gets its values here.
    #[inline]
    fn finish(self) -> PyResult<Bound<'py, PyAny>> {
        let Some(late) = self.late else { return Ok(self.out.array.into_any()) };
        late.py().import("numpy")?.call_method1("copyto", (&late, self.out.array))?;
        Ok(late)
    }

    /// The values unchanged.
    pub(super) fn copy(self) -> PyResult<Bound<'py, PyAny>> {
        if self.x.data() != self.out.data() {
            self.x.array.py().import("numpy")?.call_method1("copyto", (&self.out.array, &self.x.array))?;
        }
        self.finish()
    }

    /// Transforms all elements.
    #[inline]
    pub(super) fn apply<F: Transform<f32> + Transform<f64>>(self, transform: F) -> PyResult<Bound<'py, PyAny>> {
        match self.x.kind {
            Kind::F32 => self.apply_as::<f32, F>(transform),
            Kind::F64 => self.apply_as::<f64, F>(transform),
            Kind::F16 => self.apply_as::<f16, F>(transform),
            Kind::Bf16 => self.apply_as::<bf16, F>(transform),
        }?;
        self.finish()
    }

    #[inline]
    fn apply_as<T: Sample, F: Transform<T::Work>>(&self, transform: F) -> PyResult<()> {
        let (py, elements, decisions) = (self.x.array.py(), self.x.len(), self.decisions);
        let ends = Ends(self.x.data(), self.out.data());
        if self.noise == Noise::Full && self.x.is_contiguous() && self.out.is_contiguous() {
            return released(py, elements, ends, |ends| {
                // SAFETY: both arrays are contiguous, of `elements` elements of this type, held by the call, and
                // the same or apart.
                unsafe { kernels::apply_contiguous(decisions, transform, ends.0.cast::<T>(), ends.1.cast(), elements) }
            });
        }
        let pieces = array_pieces(&self.x, &self.out, &self.noise);
        released(py, elements, ends, |ends| {
            for piece in pieces {
                let decisions = Decisions { offset: decisions.offset + piece.noise, ..decisions };
                let x = ends.0.wrapping_offset(piece.input).cast::<T>();
                let y = ends.1.wrapping_offset(piece.output).cast::<T>();
                // SAFETY: the pieces are the elements of both arrays, which are held by the call and the same or
                // apart; a writable array that NumPy made has no element twice.
                unsafe { kernels::apply(aes_level(), decisions, transform, &piece.layout, x, y) };
            }
        })
    }

    /// Multiplies all elements by Gaussian noise.
    pub(super) fn gaussian(self, rate: f64) -> PyResult<Bound<'py, PyAny>> {
        match self.x.kind {
            Kind::F32 => self.gaussian_as::<f32>(rate),
            Kind::F64 => self.gaussian_as::<f64>(rate),
            Kind::F16 => self.gaussian_as::<f16>(rate),
            Kind::Bf16 => self.gaussian_as::<bf16>(rate),
        }?;
        self.finish()
    }

    fn gaussian_as<T: Sample>(&self, rate: f64) -> PyResult<()> {
        let Decisions { key, offset, .. } = self.decisions;
        let key = key.in_domain(domain::GAUSSIAN);
        let deviation = (rate / (1.0 - rate)).sqrt();
        let pieces = array_pieces(&self.x, &self.out, &self.noise);
        let ends = Ends(self.x.data(), self.out.data());
        released(self.x.array.py(), self.x.len(), ends, |ends| {
            for piece in pieces {
                // SAFETY: as in `apply_as`.
                unsafe {
                    let (x, y) = (ends.0.cast::<T>(), ends.1.cast::<T>());
                    kernels::gaussian_layout(key, offset, deviation, &piece.layout, x, y);
                }
            }
        })
    }
}

/// Inverted dropout: zero each element with probability `rate`, scale the others by 1 / (1 - rate).
///
/// The mask is a function of `key` and positions alone: the same for every dtype, memory layout,
/// number of threads and processor. Dropped elements become +0.0 by selection, whatever they were.
/// See Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
///
/// Parameters
/// ----------
/// x : ndarray of float16, bfloat16, float32 or float64
///     Any shape and layout; the mask follows the logical C order.
/// rate : float
///     Probability to drop an element, in [0, 1].
/// key : Key
///     Where in the random stream to draw.
/// training : bool
///     False returns the values unchanged.
/// noise_shape : tuple of int and None, optional
///     One entry per dimension: 1 where all positions share a decision, None or the size elsewhere.
/// rows_per_mask : int
///     How many consecutive rows (positions of the first axis) share their decisions.
/// offset : int
///     Position in the stream of the first element.
/// out : ndarray, optional
///     Where to write; may be x itself.
///
/// Returns
/// -------
/// ndarray
///     Of x's shape and dtype: `out`, or a new array in C order.
///
/// Raises
/// ------
/// ValueError
///     If `rate`, `noise_shape`, `rows_per_mask`, `offset` or `out` is outside what is accepted; nothing
///     is written then.
/// TypeError
///     If `x` is not an array of floats, or another argument has a wrong type.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> import numpy as np
/// >>> x = np.ones((2, 4), np.float32)
/// >>> y = df.dropout(x, 0.5, df.Key(seed=0))
/// >>> sorted(set(y.ravel().tolist()))
/// [0.0, 2.0]
/// >>> df.dropout(x, 0.5, df.Key(seed=0), training=False).tolist() == x.tolist()
/// True
#[pyfunction]
#[pyo3(
    signature = (x, rate, key, training=true, noise_shape=None, rows_per_mask=None, offset=None, out=None),
    text_signature = "(x, rate, key, training=True, noise_shape=None, rows_per_mask=1, offset=0, out=None)"
)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn dropout<'py>(
    x: Argument<'_, 'py>,
    rate: Argument<'_, 'py>,
    key: Argument<'_, 'py>,
    training: bool,
    noise_shape: Optional<'_, 'py>,
    rows_per_mask: Optional<'_, 'py>,
    offset: Optional<'_, 'py>,
    out: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let x = Floats::of("x", x)?;
    let (rate, key) = (rate_of(rate)?, key_of(key)?);
    let call = Call::new(x, rate, key, noise_shape, rows_per_mask, offset, out)?;
    if !training || rate == 0.0 { call.copy() } else { call.apply(Scale::inverted(rate)) }
}

/// Gradient of `dropout` with respect to x: the same mask, drawn again, and the same scale.
///
/// Nothing is kept between forward and backward, and no mask is guessed from zeros in the output.
///
/// Parameters
/// ----------
/// dy : ndarray of float16, bfloat16, float32 or float64
///     Gradient with respect to dropout's result.
/// rate, key, noise_shape, rows_per_mask, offset
///     As given to `dropout`.
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
/// >>> x = np.ones(100, np.float32)
/// >>> bool((df.dropout_backward(x, 0.3, df.Key(1)) == df.dropout(x, 0.3, df.Key(1))).all())
/// True
#[pyfunction]
#[pyo3(
    signature = (dy, rate, key, noise_shape=None, rows_per_mask=None, offset=None, out=None),
    text_signature = "(dy, rate, key, noise_shape=None, rows_per_mask=1, offset=0, out=None)"
)]
pub(crate) fn dropout_backward<'py>(
    dy: Argument<'_, 'py>,
    rate: Argument<'_, 'py>,
    key: Argument<'_, 'py>,
    noise_shape: Optional<'_, 'py>,
    rows_per_mask: Optional<'_, 'py>,
    offset: Optional<'_, 'py>,
    out: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let dy = Floats::of("dy", dy)?;
    let (rate, key) = (rate_of(rate)?, key_of(key)?);
    let call = Call::new(dy, rate, key, noise_shape, rows_per_mask, offset, out)?;
    if rate == 0.0 { call.copy() } else { call.apply(Scale::inverted(rate)) }
}
