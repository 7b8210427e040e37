//! Layer 5: what [`super::network`] borrows from NumPy: data sets, labels and targets, parameters, outputs.

use numpy::{
    Element as NumpyElement, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyReadonlyArrayDyn,
    PyReadwriteArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::simd::Element;
use crate::train::gather::Input;
use crate::train::loss::Targets;

/// A readable data set, borrowed from NumPy.
pub(crate) enum Data<'py, T: Element + NumpyElement> {
    Float(PyReadonlyArrayDyn<'py, T>),
    Byte(PyReadonlyArrayDyn<'py, u8>),
}

impl<'py, T: Element + NumpyElement> Data<'py, T> {
    /// # Errors
    /// TypeError for another dtype, ValueError for another shape or layout.
    pub(crate) fn new(x: &Bound<'py, PyAny>, width: usize) -> PyResult<Self> {
        let data = if let Ok(bytes) = x.cast::<PyArrayDyn<u8>>() {
            Self::Byte(bytes.try_readonly()?)
        } else {
            Self::Float(readable("x", x)?)
        };
        let (shape, contiguous) = match &data {
            Self::Float(x) => (x.shape(), x.is_c_contiguous()),
            Self::Byte(x) => (x.shape(), x.is_c_contiguous()),
        };
        if shape.len() != 2 || shape[1] != width || !contiguous {
            let message = format!("x must be C-contiguous of shape [n, {width}]. Received: shape {shape:?}");
            return Err(PyValueError::new_err(message));
        }
        Ok(data)
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Float(x) => x.shape()[0],
            Self::Byte(x) => x.shape()[0],
        }
    }

    pub(crate) fn input(&self) -> PyResult<Input<'_, T>> {
        Ok(match self {
            Self::Float(x) => Input::Float(x.as_slice()?),
            Self::Byte(x) => Input::Byte(x.as_slice()?),
        })
    }
}

/// An array of `T` to read, of any layout.
pub(crate) fn readable<'py, T: Element + NumpyElement>(
    name: &str,
    array: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| dtype_error::<T>(name, array))?;
    Ok(array.try_readonly()?)
}

/// The elements of a C-contiguous array of `len` numbers `T`.
///
/// # Safety
/// Nobody writes them while the slice is in use.
pub(crate) unsafe fn elements<'a, T: Element + NumpyElement>(
    name: &str,
    array: &'a Bound<'_, PyAny>,
    len: usize,
) -> PyResult<&'a [T]> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| dtype_error::<T>(name, array))?;
    check_whole(name, array, len)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { array.as_slice()? })
}

/// A C-contiguous array of `T` to write, of `len` elements.
pub(crate) fn writable<'py, T: Element + NumpyElement>(
    name: &str,
    array: &Bound<'py, PyAny>,
    len: usize,
) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    let array = array.cast::<PyArrayDyn<T>>().map_err(|_| dtype_error::<T>(name, array))?;
    check_whole(name, array, len)?;
    array.try_readwrite().map_err(|error| PyValueError::new_err(format!("{name} cannot be written: {error}")))
}

fn check_whole<T: Element + NumpyElement>(name: &str, array: &Bound<'_, PyArrayDyn<T>>, len: usize) -> PyResult<()> {
    if array.len() != len || !array.is_c_contiguous() {
        let message = format!("{name} must be C-contiguous with {len} elements. Received: shape {:?}", array.shape());
        return Err(PyValueError::new_err(message));
    }
    Ok(())
}

fn dtype_error<T: Element + NumpyElement>(name: &str, array: &Bound<'_, PyAny>) -> PyErr {
    let dtype = if size_of::<T>() == 4 { "float32" } else { "float64" };
    let received = array.getattr("dtype").map_or_else(|_| array.get_type().to_string(), |dtype| dtype.to_string());
    PyTypeError::new_err(format!("{name} must be a {dtype} array. Received: {received}"))
}

/// Labels or targets, borrowed from NumPy.
pub(crate) enum TargetArray<'py, T: Element + NumpyElement> {
    Labels(PyReadonlyArray1<'py, i64>),
    Values(PyReadonlyArrayDyn<'py, T>),
}

impl<'py, T: Element + NumpyElement> TargetArray<'py, T> {
    /// # Errors
    /// TypeError for another dtype, ValueError for another shape or labels out of range.
    pub(crate) fn new(y: &Bound<'py, PyAny>, rows: usize, units: usize) -> PyResult<Self> {
        if let Ok(labels) = y.cast::<PyArray1<i64>>() {
            let labels = labels.try_readonly()?;
            if labels.len() != rows {
                let message = format!("y must have {rows} labels. Received: {}", labels.len());
                return Err(PyValueError::new_err(message));
            }
            if let Some(label) = labels.as_slice()?.iter().find(|&&label| label < 0 || label as usize >= units) {
                return Err(PyValueError::new_err(format!("y must be labels in [0, {units}). Received: {label}")));
            }
            return Ok(Self::Labels(labels));
        }
        let values = readable::<T>("y", y)?;
        if values.len() != rows * units || !values.is_c_contiguous() {
            let message = format!("y must be C-contiguous of shape [{rows}, {units}]. Received: {:?}", values.shape());
            return Err(PyValueError::new_err(message));
        }
        Ok(Self::Values(values))
    }

    pub(crate) fn targets(&self) -> PyResult<Targets<'_, T>> {
        Ok(match self {
            Self::Labels(labels) => Targets::Labels(labels.as_slice()?),
            Self::Values(values) => Targets::Values(values.as_slice()?),
        })
    }
}
