//! Layer 5: what [`super::network`] borrows from NumPy: data sets, labels and targets, parameters, outputs.
//!
//! No borrow is written down, as in NumPy itself: a list of them would be wrong in a process that was forked in the middle of a call.
//! A model has a lock of its own ([`super::turn`]), and this room checks that what is written overlaps nothing that is read.

use std::ops::Range;

use numpy::npyffi::NPY_ARRAY_WRITEABLE;
use numpy::{Element as NumpyElement, PyArray1, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::simd::Element;
use crate::train::gather::Input;
use crate::train::loss::Targets;

/// An array of `T` in C order.
pub(crate) struct Array<'py, T>(Bound<'py, PyArrayDyn<T>>);

impl<'py, T: NumpyElement> Array<'py, T> {
    /// # Errors
    /// TypeError for another dtype, ValueError where the elements don't lie side by side at addresses of their kind.
    pub(crate) fn of(name: &str, array: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = array.cast::<PyArrayDyn<T>>().map_err(|_| dtype_error::<T>(name, array))?;
        if !array.is_c_contiguous() || !is_aligned(array) {
            let (shape, strides) = (array.shape(), array.strides());
            let message = format!(
                "{name} must be C-contiguous and aligned. Received: shape {shape:?}, strides {strides:?}, address {:?}",
                address(array.as_untyped())
            );
            return Err(PyValueError::new_err(message));
        }
        Ok(Self(array.clone()))
    }

    /// The same of `len` elements.
    pub(crate) fn of_len(name: &str, array: &Bound<'py, PyAny>, len: usize) -> PyResult<Self> {
        let array = Self::of(name, array)?;
        if array.len() != len {
            let message =
                format!("{name} must be C-contiguous with {len} elements. Received: shape {:?}", array.shape());
            return Err(PyValueError::new_err(message));
        }
        Ok(array)
    }

    /// The same, to write.
    pub(crate) fn writable(name: &str, array: &Bound<'py, PyAny>, len: usize) -> PyResult<Self> {
        let array = Self::of_len(name, array, len)?;
        if !is_writable(array.0.as_untyped()) {
            return Err(PyValueError::new_err(format!("{name} must be writable. Received: a read-only array")));
        }
        Ok(array)
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The addresses of the elements.
    pub(crate) fn bytes(&self) -> Range<usize> {
        let start = address(self.0.as_untyped()) as usize;
        start..start + self.len() * size_of::<T>()
    }

    /// The elements.
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: aligned and side by side. As with all arrays in NumPy, whoever writes them from another thread meanwhile gets numbers
        // from before or after.
        unsafe { std::slice::from_raw_parts(address(self.0.as_untyped()).cast(), self.len()) }
    }

    /// The elements, to write.
    pub(crate) fn as_slice_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and checked to be writable.
        unsafe { std::slice::from_raw_parts_mut(address(self.0.as_untyped()).cast(), self.len()) }
    }
}

/// Where the elements begin; somewhere aligned where there are none.
fn address(array: &Bound<'_, PyUntypedArray>) -> *mut u8 {
    // SAFETY: an array's header lives as long as the array.
    let found: *mut u8 = unsafe { (*array.as_array_ptr()).fields.data }.cast();
    if array.is_empty() { std::ptr::without_provenance_mut(64) } else { found }
}

/// Whether elements lie at addresses of their kind; NumPy says so of all arrays that have none or one.
fn is_aligned<T: NumpyElement>(array: &Bound<'_, PyArrayDyn<T>>) -> bool {
    (address(array.as_untyped()) as usize).is_multiple_of(align_of::<T>())
}

/// Whether an array may be written.
fn is_writable(array: &Bound<'_, PyUntypedArray>) -> bool {
    // SAFETY: an array's header lives as long as the array.
    unsafe { (*array.as_array_ptr()).fields.flags & NPY_ARRAY_WRITEABLE != 0 }
}

/// Checks that arrays to write overlap neither one another nor any of those to read.
pub(crate) fn check_apart(written: &mut Vec<Range<usize>>, read: &[(&str, Range<usize>)]) -> PyResult<()> {
    written.retain(|range| !range.is_empty());
    written.sort_unstable_by_key(|range| range.start);
    let first_from = |start: usize| written.partition_point(|range| range.end <= start);
    let crosses = |range: &Range<usize>| written.get(first_from(range.start)).is_some_and(|w| w.start < range.end);
    if let Some((name, _)) = read.iter().find(|(_, range)| !range.is_empty() && crosses(range)) {
        let message = format!("{name} must not overlap what is written. Received: an array in the same memory");
        return Err(PyValueError::new_err(message));
    }
    if written.windows(2).any(|pair| pair[1].start < pair[0].end) {
        let message = "parameters and state must be writable and overlap nothing. Received: arrays in the same memory";
        return Err(PyValueError::new_err(message));
    }
    Ok(())
}

/// A readable data set, borrowed from NumPy.
pub(crate) enum Data<'py, T: Element + NumpyElement> {
    Float(Array<'py, T>),
    Byte(Array<'py, u8>),
}

impl<'py, T: Element + NumpyElement> Data<'py, T> {
    /// # Errors
    /// TypeError for another dtype, ValueError for another shape or layout.
    pub(crate) fn new(x: &Bound<'py, PyAny>, width: usize) -> PyResult<Self> {
        let data = if x.cast::<PyArrayDyn<u8>>().is_ok() {
            Self::Byte(Array::of("x", x)?)
        } else {
            Self::Float(Array::of("x", x)?)
        };
        let shape = data.shape();
        if shape.len() != 2 || shape[1] != width {
            let message = format!("x must be C-contiguous of shape [n, {width}]. Received: shape {shape:?}");
            return Err(PyValueError::new_err(message));
        }
        Ok(data)
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Float(x) => x.shape(),
            Self::Byte(x) => x.shape(),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.shape()[0]
    }

    pub(crate) fn bytes(&self) -> Range<usize> {
        match self {
            Self::Float(x) => x.bytes(),
            Self::Byte(x) => x.bytes(),
        }
    }

    pub(crate) fn input(&self) -> Input<'_, T> {
        match self {
            Self::Float(x) => Input::Float(x.as_slice()),
            Self::Byte(x) => Input::Byte(x.as_slice()),
        }
    }
}

/// The elements of a C-contiguous array of `len` numbers `T`: without a handle, which a small network would notice.
///
/// # Safety
/// Nobody writes them while the slice is in use.
pub(crate) unsafe fn elements<'a, T: Element + NumpyElement>(
    name: &str,
    array: &'a Bound<'_, PyAny>,
    len: usize,
) -> PyResult<&'a [T]> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| dtype_error::<T>(name, array))?;
    if array.len() != len || !array.is_c_contiguous() {
        let message = format!("{name} must be C-contiguous with {len} elements. Received: shape {:?}", array.shape());
        return Err(PyValueError::new_err(message));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { array.as_slice()? })
}

fn dtype_error<T: NumpyElement>(name: &str, array: &Bound<'_, PyAny>) -> PyErr {
    let dtype = T::get_dtype(array.py());
    let received = array.getattr("dtype").map_or_else(|_| array.get_type().to_string(), |dtype| dtype.to_string());
    PyTypeError::new_err(format!("{name} must be a {dtype} array. Received: {received}"))
}

/// Labels or targets, borrowed from NumPy.
pub(crate) enum TargetArray<'py, T: Element + NumpyElement> {
    Labels(Array<'py, i64>),
    Values(Array<'py, T>),
}

impl<'py, T: Element + NumpyElement> TargetArray<'py, T> {
    /// # Errors
    /// TypeError for another dtype, ValueError for another shape or labels out of range.
    pub(crate) fn new(y: &Bound<'py, PyAny>, rows: usize, units: usize) -> PyResult<Self> {
        if y.cast::<PyArray1<i64>>().is_ok() {
            let labels = Array::<i64>::of("y", y)?;
            if labels.len() != rows {
                let message = format!("y must have {rows} labels. Received: {}", labels.len());
                return Err(PyValueError::new_err(message));
            }
            if let Some(label) = labels.as_slice().iter().find(|&&label| label < 0 || label as usize >= units) {
                return Err(PyValueError::new_err(format!("y must be labels in [0, {units}). Received: {label}")));
            }
            return Ok(Self::Labels(labels));
        }
        let values = Array::<T>::of("y", y)?;
        if values.len() != rows * units {
            let message = format!("y must be C-contiguous of shape [{rows}, {units}]. Received: {:?}", values.shape());
            return Err(PyValueError::new_err(message));
        }
        Ok(Self::Values(values))
    }

    pub(crate) fn bytes(&self) -> Range<usize> {
        match self {
            Self::Labels(labels) => labels.bytes(),
            Self::Values(values) => values.bytes(),
        }
    }

    pub(crate) fn targets(&self) -> Targets<'_, T> {
        match self {
            Self::Labels(labels) => Targets::Labels(labels.as_slice()),
            Self::Values(values) => Targets::Values(values.as_slice()),
        }
    }
}
