//! Layer 5: float32 and float64 arrays in and out.

use std::ops::Range;

use numpy::npyffi::NPY_ARRAY_WRITEABLE;
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::floats::new_array;
use super::interruptible::interruptible;
use crate::aligned::caught;
use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::simd::Element;

/// The element types of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// float32
    Single,
    /// float64
    Double,
}

/// An array of float32 or float64 whose memory can be used as it is: aligned, of native byte order, strides that are
/// whole elements.
pub(crate) struct Real<'py> {
    /// The array.
    pub(crate) array: Bound<'py, PyUntypedArray>,
    /// Its element type.
    pub(crate) precision: Precision,
}

impl<'py> Real<'py> {
    /// The argument as such an array; what merely lies unusually in memory is copied.
    pub(crate) fn of(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = match value.cast::<PyUntypedArray>() {
            Ok(array) => array.clone(),
            Err(_) => value.py().import("numpy")?.call_method1("asarray", (value,))?.cast_into()?,
        };
        let Some(precision) = precision(&array) else {
            return Err(PyTypeError::new_err(format!(
                "{name} must be an array of float32 or float64. Received: dtype={}",
                array.dtype().str()?
            )));
        };
        if is_usable(&array) {
            return Ok(Self { array, precision });
        }
        let native = array.dtype().call_method1("newbyteorder", ("=",))?;
        let array = array.call_method1("astype", (native,))?.cast_into()?;
        Ok(Self { array, precision })
    }

    /// The argument as an array of two dimensions.
    pub(crate) fn matrix_of(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = Self::of(name, value)?;
        if array.array.ndim() != 2 {
            return Err(PyValueError::new_err(format!(
                "{name} must have 2 dimensions. Received: shape {}",
                array.shape_text()
            )));
        }
        Ok(array)
    }

    /// Checks that `self` has the type of `other`.
    pub(crate) fn like(self, name: &str, other: &Self, other_name: &str) -> PyResult<Self> {
        if self.precision == other.precision {
            return Ok(self);
        }
        Err(PyTypeError::new_err(format!(
            "{name} must have {other_name}'s dtype {}. Received: dtype={}",
            other.array.dtype().str()?,
            self.array.dtype().str()?
        )))
    }

    /// A new array of this type in C order, not initialised.
    pub(crate) fn empty(&self, shape: &[usize]) -> PyResult<Self> {
        let py = self.array.py();
        // SAFETY: callers write every element.
        let array = unsafe {
            match self.precision {
                Precision::Single => new_array::<f32>(py, shape)?.into_any(),
                Precision::Double => new_array::<f64>(py, shape)?.into_any(),
            }
        };
        Ok(Self { array: array.cast_into()?, precision: self.precision })
    }

    /// The array to write to: `out`, of this type, of the given shape and apart from all `inputs`, or a new one.
    pub(crate) fn output(
        &self,
        out: Option<&Bound<'py, PyAny>>,
        shape: &[usize],
        inputs: &[(&str, &Self)],
    ) -> PyResult<Output<'py>> {
        let Some(out) = out else {
            let array = self.empty(shape)?;
            return Ok(Output { returned: array.array.clone(), array });
        };
        let given = match out.cast::<PyUntypedArray>() {
            Ok(array) if precision(array) == Some(self.precision) && array.shape() == shape => array,
            _ => return Err(self.unfit(out, shape)),
        };
        // SAFETY: an array's header lives as long as the array.
        if unsafe { (*given.as_array_ptr()).fields.flags } & NPY_ARRAY_WRITEABLE == 0 {
            return Err(PyValueError::new_err("out must be writable. Received: a read-only array"));
        }
        for (name, input) in inputs {
            let (a, b) = (bytes(given), bytes(&input.array));
            let numpy = || self.array.py().import("numpy");
            if a.start < b.end
                && b.start < a.end
                && numpy()?.call_method1("shares_memory", (given, &input.array))?.extract::<bool>()?
            {
                return Err(PyValueError::new_err(format!(
                    "out must not overlap {name}. Received: an array in the same memory"
                )));
            }
        }
        let array = if is_usable(given) && has_plain_rows(given) {
            Self { array: given.clone(), precision: self.precision }
        } else {
            self.empty(shape)?
        };
        Ok(Output { returned: given.clone(), array })
    }

    #[cold]
    fn unfit(&self, out: &Bound<'py, PyAny>, shape: &[usize]) -> PyErr {
        let came = match out.cast::<PyUntypedArray>() {
            Ok(array) => format!("{} {}", array.dtype(), shape_text(array.shape())),
            Err(_) => out.get_type().to_string(),
        };
        PyValueError::new_err(format!(
            "out must be an array of dtype {} and shape {}. Received: out={came}",
            self.array.dtype(),
            shape_text(shape)
        ))
    }

    /// The shape as Python prints it.
    pub(crate) fn shape_text(&self) -> String {
        shape_text(self.array.shape())
    }

    /// The address of the first element.
    pub(crate) fn data<T>(&self) -> *mut T {
        // SAFETY: an array's header lives as long as the array.
        unsafe { (*self.array.as_array_ptr()).fields.data.cast() }
    }

    /// Strides in elements.
    fn strides(&self) -> impl Iterator<Item = isize> {
        self.array.strides().iter().map(|stride| stride / self.itemsize())
    }

    /// Bytes of an element.
    fn itemsize(&self) -> isize {
        match self.precision {
            Precision::Single => 4,
            Precision::Double => 8,
        }
    }

    /// Number of elements.
    fn len(&self) -> usize {
        self.array.shape().iter().product()
    }

    /// The array, copied unless its elements lie side by side in C order.
    pub(crate) fn contiguous(self) -> PyResult<Self> {
        if self.array.is_c_contiguous() {
            return Ok(self);
        }
        let numpy = self.array.py().import("numpy")?;
        let array = numpy.call_method1("ascontiguousarray", (&self.array,))?.cast_into()?;
        Ok(Self { array, precision: self.precision })
    }

    /// All elements.
    ///
    /// # Safety
    /// `T` is the array's type; the elements lie side by side, live and keep their values while the slice is used.
    pub(crate) unsafe fn elements<'a, T: Element>(&self) -> &'a [T] {
        if self.len() == 0 {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.data::<T>(), self.len()) }
    }

    /// All elements, to write.
    ///
    /// # Safety
    /// As [`Real::elements`], and nobody else uses the array.
    pub(crate) unsafe fn elements_mut<'a, T: Element>(&self) -> &'a mut [T] {
        if self.len() == 0 {
            return &mut [];
        }
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data::<T>(), self.len()) }
    }

    /// The array as a matrix.
    ///
    /// # Safety
    /// `T` is the array's type, the array has two dimensions, lives and keeps its values while the matrix is used.
    pub(crate) unsafe fn matrix<'a, T: Element>(&self) -> Matrix<'a, T> {
        let strides: Vec<isize> = self.strides().collect();
        // SAFETY: an array's elements are where its strides say.
        unsafe {
            Matrix::from_raw(self.data(), (self.array.shape()[0], self.array.shape()[1]), (strides[0], strides[1]))
        }
    }

    /// The array as a matrix to write.
    ///
    /// # Safety
    /// As [`Real::matrix`], and nobody else uses the array.
    pub(crate) unsafe fn matrix_mut<'a, T: Element>(&self) -> MatrixMut<'a, T> {
        let strides: Vec<isize> = self.strides().collect();
        let shape = (self.array.shape()[0], self.array.shape()[1]);
        // SAFETY: an array's elements are where its strides say, and [`Real::output`] took care that none share a place.
        unsafe { MatrixMut::from_raw(self.data(), shape, (strides[0], strides[1])) }
    }
}

/// An array to write to, and the one that the caller gets: the same unless that lies unusually in memory.
pub(crate) struct Output<'py> {
    /// Written by the kernel.
    pub(crate) array: Real<'py>,
    returned: Bound<'py, PyUntypedArray>,
}

impl<'py> Output<'py> {
    /// The same with the columns as neighbours in memory.
    pub(crate) fn by_rows(self) -> PyResult<Self> {
        if self.array.array.is_c_contiguous() || self.array.array.strides()[1] == self.array.itemsize() {
            return Ok(self);
        }
        let array = self.array.empty(self.array.array.shape())?;
        Ok(Self { array, returned: self.returned })
    }

    /// Hands the result over.
    pub(crate) fn finish(self) -> PyResult<Bound<'py, PyAny>> {
        if !self.returned.is(&self.array.array) {
            let everything = self.returned.py().Ellipsis();
            self.returned.set_item(everything, &self.array.array)?;
        }
        Ok(self.returned.into_any())
    }
}

/// A shape as Python prints it.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    match sizes.as_slice() {
        [size] => format!("({size},)"),
        sizes => format!("({})", sizes.join(", ")),
    }
}

/// The element type, where it is one of ours in whatever byte order.
fn precision(array: &Bound<'_, PyUntypedArray>) -> Option<Precision> {
    let dtype = array.dtype();
    match (dtype.kind(), dtype.itemsize()) {
        (b'f', 4) => Some(Precision::Single),
        (b'f', 8) => Some(Precision::Double),
        _ => None,
    }
}

/// The addresses between which all elements lie.
fn bytes(array: &Bound<'_, PyUntypedArray>) -> Range<isize> {
    // SAFETY: an array's header lives as long as the array.
    let first = unsafe { (*array.as_array_ptr()).fields.data } as isize;
    let (mut start, mut end) = (first, first + array.dtype().itemsize() as isize);
    for (&size, &stride) in array.shape().iter().zip(array.strides()) {
        if size == 0 {
            return first..first;
        }
        let span = (size as isize - 1) * stride;
        (start, end) = (start + span.min(0), end + span.max(0));
    }
    start..end
}

/// Aligned, of native byte order, strides whole elements.
fn is_usable(array: &Bound<'_, PyUntypedArray>) -> bool {
    let dtype = array.dtype();
    let size = dtype.itemsize() as isize;
    array.is_aligned()
        && dtype.is_native_byteorder() != Some(false)
        && array.strides().iter().all(|stride| stride % size == 0)
}

/// Rows or columns are neighbours in memory and do not overlap, as products write them.
fn has_plain_rows(array: &Bound<'_, PyUntypedArray>) -> bool {
    let size = array.dtype().itemsize() as isize;
    let plain = |inner: usize, outer: usize| {
        let length = array.shape()[inner] as isize * size;
        array.strides()[inner] == size && array.strides()[outer] >= length
    };
    array.is_c_contiguous() || array.ndim() == 2 && (plain(1, 0) || plain(0, 1))
}

/// Runs `work` with the interpreter's lock released; where it is `long`, signals are handled meanwhile.
///
/// # Errors
/// With what a signal handler raised; results are not all written then.
pub(crate) fn without_lock<T, R: Send>(
    py: Python<'_>,
    long: bool,
    target: T,
    work: impl FnOnce(T) -> R + Send,
) -> PyResult<R> {
    /// Raw memory that the caller checked.
    struct Checked<T>(T);

    // SAFETY: the same thread goes on; only the lock is released.
    unsafe impl<T> Send for Checked<T> {}

    let checked = Checked(target);
    let work = move || {
        let Checked(target) = { checked };
        work(target)
    };
    if long { interruptible(py, work) } else { Ok(py.detach(|| caught(work))?) }
}

/// Multiply-adds of a product that takes long: some milliseconds.
pub(crate) const LONG: usize = 1 << 26;
