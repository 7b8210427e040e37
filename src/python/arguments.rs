//! Layer 5: arguments of dropout: rates, integers, shapes, and the layout of the noise.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyTuple};

use super::floats::Floats;
use crate::dropout::{Axis, Layout};

/// Positions of a stream.
pub(crate) const POSITIONS: u64 = 1 << 63;

/// The rate, a probability to drop.
#[inline]
pub(crate) fn rate_of(rate: &Bound<'_, PyAny>) -> PyResult<f64> {
    let number = match rate.cast_exact::<PyFloat>() {
        Ok(number) => number.value(),
        Err(_) => rate.extract().unwrap_or(f64::NAN),
    };
    if (0.0..=1.0).contains(&number) {
        return Ok(number);
    }
    Err(PyValueError::new_err(format!("rate must be in [0, 1]. Received: rate={}", rate.repr()?)))
}

/// The rate of Gaussian dropout, whose deviation grows without bound towards 1.
pub(crate) fn gaussian_rate_of(rate: &Bound<'_, PyAny>) -> PyResult<f64> {
    match rate_of(rate)? {
        1.0 => Err(PyValueError::new_err(format!(
            "rate must be in [0, 1) for Gaussian dropout. Received: rate={}",
            rate.repr()?
        ))),
        number => Ok(number),
    }
}

/// An integer in `low..=high`; booleans and floats are none.
pub(crate) fn integer(name: &str, value: &Bound<'_, PyAny>, low: u64, high: u64) -> PyResult<u64> {
    let index = value.call_method0("__index__");
    let (Ok(index), false) = (index, value.is_instance_of::<PyBool>()) else {
        return Err(PyTypeError::new_err(format!("{name} must be an integer. Received: {name}={}", value.repr()?)));
    };
    match index.extract::<u64>() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => {
            let received = value.repr()?;
            Err(PyValueError::new_err(format!("{name} must be in [{low}, {high}]. Received: {name}={received}")))
        }
    }
}

/// A position of the stream from which on `size` elements are left.
#[inline]
pub(crate) fn offset_of(offset: Option<&Bound<'_, PyAny>>, size: u64) -> PyResult<u64> {
    offset.map_or(Ok(0), |offset| integer("offset", offset, 0, POSITIONS - size))
}

/// How the noise lies over an array: sizes of the noise axes, or row groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noise {
    /// A decision for each element.
    Full,
    /// So many consecutive rows share their decisions.
    RowGroups(usize),
    /// One size for each axis, 1 where all positions share.
    Shape(Vec<usize>),
}

impl Noise {
    /// Checks the two arguments against the shape of the array.
    #[inline]
    pub(crate) fn of(
        shape: &[usize],
        noise_shape: Option<&Bound<'_, PyAny>>,
        rows_per_mask: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let rows = match rows_per_mask {
            None => 1,
            Some(rows) => integer("rows_per_mask", rows, 1, POSITIONS - 1)? as usize,
        };
        match noise_shape {
            None if rows == 1 || shape.is_empty() => Ok(Self::Full),
            None => Ok(Self::RowGroups(rows)),
            Some(noise_shape) => Self::of_shape(shape, noise_shape, rows),
        }
    }

    #[cold]
    fn of_shape(shape: &[usize], noise_shape: &Bound<'_, PyAny>, rows: usize) -> PyResult<Self> {
        let py = noise_shape.py();
        let Ok(entries) = py.get_type::<PyTuple>().call1((noise_shape,)) else {
            return Err(PyTypeError::new_err(format!(
                "noise_shape must be a tuple of integers and None. Received: noise_shape={}",
                noise_shape.repr()?
            )));
        };
        let entries = entries.cast_into::<PyTuple>()?;
        if rows != 1 {
            return Err(PyValueError::new_err(format!(
                "rows_per_mask must be 1 when noise_shape is given. Received: rows_per_mask={rows}, noise_shape={}",
                entries.repr()?
            )));
        }
        let mut filled = Vec::with_capacity(shape.len());
        let mut fits = entries.len() == shape.len();
        for (entry, &size) in entries.iter().zip(shape) {
            let known = if entry.is_none() { size } else { integer("noise_shape", &entry, 1, POSITIONS - 1)? as usize };
            fits &= known == 1 || known == size;
            filled.push(known);
        }
        if fits {
            return Ok(Self::Shape(filled));
        }
        Err(PyValueError::new_err(format!(
            "noise_shape must have one entry per dimension of x, each None, 1 or that dimension's size. \
             Received: noise_shape={} for shape {}",
            entries.repr()?,
            PyTuple::new(py, shape)?.repr()?
        )))
    }

    /// Number of noise elements; saturates, as only the limit of positions matters.
    pub(crate) fn size(&self, shape: &[usize]) -> u64 {
        let product = |sizes: &[usize]| sizes.iter().fold(1u64, |product, &size| product.saturating_mul(size as u64));
        match self {
            Self::Full => product(shape),
            Self::RowGroups(rows) => product(&shape[1..]).saturating_mul(shape[0].div_ceil(*rows) as u64),
            Self::Shape(sizes) => product(sizes),
        }
    }

    /// Steps of the noise along each axis of an array of this shape; row groups are cut by the caller.
    fn steps(&self, shape: &[usize]) -> Vec<u64> {
        let sizes = if let Self::Shape(sizes) = self { sizes } else { shape };
        let mut step = 1;
        let mut steps = vec![0; shape.len()];
        for (i, &size) in sizes.iter().enumerate().rev() {
            steps[i] = if size == 1 { 0 } else { step };
            step *= size as u64;
        }
        steps
    }
}

/// One piece of an array: a layout, and where it starts.
pub(crate) struct Piece {
    /// The loops.
    pub(crate) layout: Layout,
    /// Bytes from the input's start.
    pub(crate) input: isize,
    /// Bytes from the output's start.
    pub(crate) output: isize,
    /// Noise elements from the offset.
    pub(crate) noise: u64,
}

/// The loops over an array: one piece, or two where the last row group is short.
pub(crate) fn pieces(shape: &[usize], input: &[isize], output: &[isize], noise: &Noise) -> Vec<Piece> {
    let steps = noise.steps(shape);
    let axis = |i: usize| Axis { size: shape[i], input: input[i], output: output[i], noise: steps[i] };
    let Noise::RowGroups(rows) = *noise else {
        let layout = Layout::new((0..shape.len()).map(axis));
        return vec![Piece { layout, input: 0, output: 0, noise: 0 }];
    };
    let inner: Vec<Axis> = (1..shape.len()).map(axis).collect();
    let features: u64 = shape[1..].iter().map(|&size| size as u64).product();
    let rows = rows.min(shape[0].max(1));
    let groups = shape[0] / rows;
    let (row_in, row_out) = (input[0], output[0]);
    let group = Axis { size: groups, input: rows as isize * row_in, output: rows as isize * row_out, noise: features };
    let row = |size| Axis { size, input: row_in, output: row_out, noise: 0 };
    let whole = Layout::new([group, row(rows)].into_iter().chain(inner.iter().copied()));
    let mut pieces = vec![Piece { layout: whole, input: 0, output: 0, noise: 0 }];
    if !shape[0].is_multiple_of(rows) {
        let layout = Layout::new([row(shape[0] % rows)].into_iter().chain(inner));
        let first = (groups * rows) as isize;
        pieces.push(Piece { layout, input: first * row_in, output: first * row_out, noise: groups as u64 * features });
    }
    pieces
}

/// The loops over two arrays of the same shape.
pub(crate) fn array_pieces(x: &Floats, out: &Floats, noise: &Noise) -> Vec<Piece> {
    use numpy::PyUntypedArrayMethods;
    pieces(x.array.shape(), x.array.strides(), out.array.strides(), noise)
}

/// A shape: a sequence of sizes, or one size.
pub(crate) fn shape_of(shape: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let size = |value: &Bound<'_, PyAny>| integer("shape", value, 0, POSITIONS - 1).map(|size| size as usize);
    let sizes = match shape.try_iter() {
        Ok(sizes) => sizes.map(|value| size(&value?)).collect::<PyResult<Vec<_>>>()?,
        Err(_) => vec![size(shape)?],
    };
    let elements = sizes.iter().fold(1u64, |product, &size| product.saturating_mul(size as u64));
    if elements >= POSITIONS {
        return Err(PyValueError::new_err(format!(
            "shape must have less than 2**63 elements. Received: shape={}",
            shape.repr()?
        )));
    }
    Ok(sizes)
}
