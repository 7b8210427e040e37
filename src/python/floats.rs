//! Layer 5: arrays of floats in and out: types, layouts, new arrays, overlap.

use std::sync::atomic::{AtomicI32, Ordering};

use numpy::npyffi::{NPY_ARRAY_ALIGNED, NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_WRITEABLE, NPY_TYPES};
use numpy::npyffi::{PY_ARRAY_API, PyArrayObject_fields, npy_intp};
use numpy::{Element, PyArray1, PyArrayDescrMethods, PyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::ffi::{Py_IncRef, PyObject};
use pyo3::prelude::*;

/// A new array of `n` elements; an error, not a panic, where there is no memory for it.
///
/// # Safety
/// The elements are not initialised: all must be written before any is read.
pub(crate) unsafe fn uninitialised<T: Element>(py: Python<'_>, n: usize) -> PyResult<Bound<'_, PyArray1<T>>> {
    // SAFETY: the caller's promise; it has one dimension.
    unsafe { Ok(new_array::<T>(py, &[n])?.cast_into_unchecked()) }
}

/// The same of any shape.
///
/// # Safety
/// As [`uninitialised`].
pub(crate) unsafe fn new_array<'py, T: Element>(
    py: Python<'py>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let many = |size: &usize| {
        npy_intp::try_from(*size).map_err(|_| PyMemoryError::new_err(format!("{size} elements are too many")))
    };
    let mut sizes = [0; 32];
    for (known, size) in sizes.iter_mut().zip(shape) {
        *known = many(size)?;
    }
    // SAFETY: the call takes over the reference to the dtype that is made here, and reads so many sizes.
    unsafe {
        let descr = T::get_dtype(py).into_dtype_ptr();
        let array: *mut PyObject = PY_ARRAY_API.PyArray_Empty(py, shape.len() as i32, sizes.as_mut_ptr(), descr, 0);
        Ok(Bound::from_owned_ptr_or_err(py, array)?.cast_into_unchecked())
    }
}

/// The element types that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// float16
    F16,
    /// bfloat16 of the package ml_dtypes
    Bf16,
    /// float32
    F32,
    /// float64
    F64,
}

/// An array of floats: of native byte order and aligned, so that its memory can be used as it is.
pub(crate) struct Floats<'py> {
    /// The array.
    pub(crate) array: Bound<'py, PyUntypedArray>,
    /// Its element type.
    pub(crate) kind: Kind,
}

/// The type number that bfloat16 got when ml_dtypes was imported; -1 until it was seen.
static BFLOAT16: AtomicI32 = AtomicI32::new(-1);

/// Type numbers below this are NumPy's own.
const FIRST_USER_TYPE: i32 = 256;

fn fields<'a>(array: &'a Bound<'_, PyUntypedArray>) -> &'a PyArrayObject_fields {
    // SAFETY: an array's header lives as long as the array.
    unsafe { &(*array.as_array_ptr()).fields }
}

/// The element type, where it is one of ours in whatever byte order.
#[inline]
fn kind_of(array: &Bound<'_, PyUntypedArray>) -> Option<Kind> {
    // SAFETY: an array has a dtype as long as it lives.
    let number = unsafe { (*fields(array).descr).fields.type_num };
    if number == NPY_TYPES::NPY_FLOAT as i32 {
        Some(Kind::F32)
    } else if number == NPY_TYPES::NPY_DOUBLE as i32 {
        Some(Kind::F64)
    } else if number == NPY_TYPES::NPY_HALF as i32 {
        Some(Kind::F16)
    } else if number == BFLOAT16.load(Ordering::Relaxed) || is_bfloat16(array, number) {
        Some(Kind::Bf16)
    } else {
        None
    }
}

/// Knows bfloat16 by its name, so that ml_dtypes needs no import.
#[cold]
fn is_bfloat16(array: &Bound<'_, PyUntypedArray>, number: i32) -> bool {
    let named = |dtype: Bound<'_, PyAny>| dtype.getattr("name").is_ok_and(|name| name.eq("bfloat16").unwrap_or(false));
    let is = number >= FIRST_USER_TYPE && named(array.dtype().into_any());
    if is {
        BFLOAT16.store(number, Ordering::Relaxed);
    }
    is
}

/// Whether the memory can be used as it is: aligned, and in the machine's byte order.
#[inline]
fn is_plain(array: &Bound<'_, PyUntypedArray>) -> bool {
    let f = fields(array);
    // SAFETY: an array has a dtype as long as it lives.
    let order = unsafe { (*f.descr).fields.byteorder } as u8;
    let swapped = if cfg!(target_endian = "little") { b'>' } else { b'<' };
    f.flags & NPY_ARRAY_ALIGNED != 0 && order != swapped
}

impl<'py> Floats<'py> {
    /// The argument as an array of floats; other array-likes become one.
    #[inline]
    pub(crate) fn of(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = value.cast::<PyUntypedArray>()
            && let Some(kind) = kind_of(array)
            && is_plain(array)
        {
            return Ok(Self { array: array.clone(), kind });
        }
        Self::convert(name, value)
    }

    #[cold]
    fn convert(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let numpy = value.py().import("numpy")?;
        let array = numpy.call_method1("asarray", (value,))?.cast_into::<PyUntypedArray>()?;
        let Some(kind) = kind_of(&array) else {
            return Err(PyTypeError::new_err(format!(
                "{name} must be an array of float16, bfloat16, float32 or float64. Received: dtype={}",
                array.dtype().str()?
            )));
        };
        if is_plain(&array) {
            return Ok(Self { array, kind });
        }
        let native = array.dtype().call_method1("newbyteorder", ("=",))?;
        let array = array.call_method1("astype", (native,))?.cast_into::<PyUntypedArray>()?;
        Ok(Self { array, kind })
    }

    /// Whether the memory can be used as it is.
    #[inline]
    pub(crate) fn is_plain(array: &Bound<'py, PyUntypedArray>) -> bool {
        is_plain(array)
    }

    /// The address of the first element.
    #[inline]
    pub(crate) fn data(&self) -> *mut u8 {
        fields(&self.array).data.cast()
    }

    /// Number of elements.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.array.shape().iter().product()
    }

    /// Whether elements lie side by side in C order.
    #[inline]
    pub(crate) fn is_contiguous(&self) -> bool {
        fields(&self.array).flags & NPY_ARRAY_C_CONTIGUOUS != 0
    }

    /// A new array of the same shape and type, in C order, not initialised.
    #[inline]
    pub(crate) fn new_like(&self) -> PyResult<Self> {
        let py = self.array.py();
        let f = fields(&self.array);
        // SAFETY: the call takes over the reference to the dtype that is made here; dimensions are the array's own.
        let array = unsafe {
            Py_IncRef(f.descr.cast());
            let array: *mut PyObject = PY_ARRAY_API.PyArray_Empty(py, f.nd, f.dimensions, f.descr, 0);
            Bound::from_owned_ptr_or_err(py, array)?.cast_into_unchecked::<PyUntypedArray>()
        };
        Ok(Self { array, kind: self.kind })
    }

    /// The array to write to: `out` where given, which is this array or apart from it, else a new one.
    #[inline]
    pub(crate) fn output(&self, out: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        match out {
            None => self.new_like(),
            Some(out) => self.check_out(out),
        }
    }

    fn check_out(&self, out: &Bound<'py, PyAny>) -> PyResult<Self> {
        let array = match out.cast::<PyUntypedArray>() {
            Ok(array) if kind_of(array) == Some(self.kind) && array.shape() == self.array.shape() => array,
            _ => return Err(self.unfit(out)?),
        };
        if fields(array).flags & NPY_ARRAY_WRITEABLE == 0 {
            return Err(PyValueError::new_err("out must be writable. Received: a read-only array"));
        }
        if !self.is_same_memory(array) && self.overlaps(array)? {
            return Err(PyValueError::new_err(
                "out must be x itself or not overlap it. Received: a partly overlapping array",
            ));
        }
        Ok(Self { array: array.clone(), kind: self.kind })
    }

    #[cold]
    fn unfit(&self, out: &Bound<'py, PyAny>) -> PyResult<PyErr> {
        let came = match out.cast::<PyUntypedArray>() {
            Ok(array) => format!("{} {}", array.dtype().str()?, array.getattr("shape")?.str()?),
            Err(_) => out.get_type().name()?.to_string(),
        };
        let (dtype, shape) = (self.array.dtype(), self.array.getattr("shape")?);
        Ok(PyValueError::new_err(format!(
            "out must be an array of dtype {} and shape {}. Received: out={came}",
            dtype.str()?,
            shape.str()?
        )))
    }

    #[inline]
    fn is_same_memory(&self, other: &Bound<'py, PyUntypedArray>) -> bool {
        fields(other).data.cast() == self.data() && other.strides() == self.array.strides()
    }

    /// First and last byte that belong to the array; None where it is empty.
    fn extent(array: &Bound<'py, PyUntypedArray>) -> Option<(isize, isize)> {
        let start = fields(array).data as isize;
        let (mut low, mut high) = (start, start + array.dtype().itemsize() as isize);
        for (&size, &stride) in array.shape().iter().zip(array.strides()) {
            let reach = (size as isize - 1) * stride;
            match size {
                0 => return None,
                _ if reach < 0 => low += reach,
                _ => high += reach,
            }
        }
        Some((low, high))
    }

    /// Whether an element of `other` shares memory with one of ours.
    pub(crate) fn overlaps(&self, other: &Bound<'py, PyUntypedArray>) -> PyResult<bool> {
        let (Some(own), Some(others)) = (Self::extent(&self.array), Self::extent(other)) else {
            return Ok(false);
        };
        if own.1 <= others.0 || others.1 <= own.0 {
            return Ok(false);
        }
        // Extents that cross may still be apart, as two columns of a matrix are; NumPy solves that.
        self.array.py().import("numpy")?.call_method1("shares_memory", (&self.array, other))?.extract()
    }
}
