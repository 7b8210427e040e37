//! Layer 5: arrays of floats as slices of `f32` or `f64` in C order, whatever they came as.

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyTuple};

use super::floats::{Floats, Kind};
use crate::parallel::Shared;
use crate::simd::Element;

/// The type in which elements of a kind are computed with.
fn wide(kind: Kind) -> &'static str {
    match kind {
        Kind::F64 => "float64",
        Kind::F16 | Kind::Bf16 | Kind::F32 => "float32",
    }
}

impl<'py> Floats<'py> {
    /// Whether elements of this kind are computed with as `f64`.
    pub(crate) fn is_double(&self) -> bool {
        self.kind == Kind::F64
    }

    /// Whether [`Floats::wide`] is this array itself.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self.kind, Kind::F32 | Kind::F64) && self.is_contiguous() && Self::is_plain(&self.array)
    }

    /// The array in C order as float32 or float64: itself, or a copy.
    pub(crate) fn wide(&self) -> PyResult<Self> {
        self.wide_as(wide(self.kind))
    }

    /// The array in C order as the type that `other` is computed in.
    pub(crate) fn wide_like(&self, other: &Self) -> PyResult<Self> {
        self.wide_as(wide(other.kind))
    }

    fn wide_as(&self, dtype: &str) -> PyResult<Self> {
        if self.is_wide() && wide(self.kind) == dtype {
            return Ok(Self { array: self.array.clone(), kind: self.kind });
        }
        let numpy = self.array.py().import("numpy")?;
        Self::of("array", &numpy.call_method1("ascontiguousarray", (&self.array, dtype))?)
    }

    /// A new array of this shape, as [`Floats::wide`] would give it.
    pub(crate) fn new_wide(&self) -> PyResult<Self> {
        let numpy = self.array.py().import("numpy")?;
        let shape = PyTuple::new(self.array.py(), self.array.shape())?;
        Self::of("array", &numpy.call_method1("empty", (shape, wide(self.kind)))?)
    }

    /// Copies the values of `result`, rounding them to this array's type.
    pub(crate) fn assign(&self, result: &Self) -> PyResult<()> {
        let py = self.array.py();
        let unsafely = [("casting", "unsafe")].into_py_dict(py)?;
        py.import("numpy")?.call_method("copyto", (&self.array, &result.array), Some(&unsafely))?;
        Ok(())
    }

    /// The elements to write, or to read where nothing else writes.
    ///
    /// # Safety
    /// The array is [`Floats::is_wide`] with elements `T`, and outlives the result.
    pub(crate) unsafe fn shared<'a, T: Element>(&self) -> Shared<'a, T> {
        if self.len() == 0 {
            return Shared::new(&mut []);
        }
        // SAFETY: the caller's promise.
        Shared::new(unsafe { std::slice::from_raw_parts_mut(self.data().cast(), self.len()) })
    }

    /// The shape as Python writes it.
    pub(crate) fn shape_text(&self) -> PyResult<String> {
        Ok(PyTuple::new(self.array.py(), self.array.shape())?.repr()?.to_string())
    }

    /// # Errors
    /// ValueError unless the array has the shape of `other`.
    pub(crate) fn check_shape(&self, name: &str, other: &Self, other_name: &str) -> PyResult<()> {
        if self.array.shape() == other.array.shape() {
            return Ok(());
        }
        Err(PyValueError::new_err(format!(
            "{name} must have {other_name}'s shape {}. Received: shape {}",
            other.shape_text()?,
            self.shape_text()?
        )))
    }
}
