//! Layer 5: the part of `dropfast._core.Network` that computes without training.

use numpy::{PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::arguments::POSITIONS;
use super::borrowed::{Array, Data, check_apart, elements};
use super::floats::new_array;
use super::interruptible::interruptible;
use super::network::{Network, Number};
use crate::aligned::caught;
use crate::parallel::{Shared, View};
use crate::rng::Key;
use crate::train::gather::Input;
use crate::train::noise::Origin;
use crate::train::predict::{Moments, Predict};

/// How stochastic layers act.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    /// A key for each; None at inference.
    pub(crate) keys: Option<&'a [Key]>,
    /// Rates that replace their own.
    pub(crate) rates: Option<&'a [f64]>,
    /// The rows whose decisions are taken.
    pub(crate) origin: Origin,
}

/// Multiply-adds from which on predictions answer signals: a millisecond.
const LONG: usize = 1 << 24;

impl Network {
    /// The parameters to read, without the list of borrows that is kept for arrays that are written: with a small network
    /// that would take as long as all else.
    fn weights<'a, T: Number>(&self, params: &'a [Bound<'_, PyAny>]) -> PyResult<Vec<View<'a, T>>> {
        self.check_count("params", params.len())?;
        let each = params.iter().zip(&self.plan.parameters);
        // SAFETY: as with all arrays in NumPy, whoever lets another thread train meanwhile reads numbers from before or after.
        each.map(|(array, &len)| Ok(View::new(unsafe { elements("params", array, len)? }))).collect()
    }

    /// Whether predictions for so many rows take so long that they should answer signals.
    fn is_long_prediction(&self, rows: usize) -> bool {
        rows.saturating_mul(self.plan.parameters.iter().sum()) >= LONG
    }

    /// See [`Network::predict`].
    pub(super) fn predict_as<'py, T: Number>(
        &self,
        py: Python<'py>,
        params: &[Bound<'py, PyAny>],
        x: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(x) = x.cast::<PyArray2<T>>() else { return Ok(None) };
        let [rows, width] = *x.shape() else { return Ok(None) };
        if rows == 0 || width != self.plan.widths[0] || !x.is_c_contiguous() {
            return Ok(None);
        }
        let parameters = self.weights::<T>(params)?;
        // SAFETY: nobody else knows the new array; as to `x`, see `weights`. What cannot be a slice is not just as taken.
        let (x, array, out) = unsafe {
            let Ok(x) = x.as_slice() else { return Ok(None) };
            let array = new_array::<T>(py, &[rows, self.plan.outputs()])?;
            let out = array.as_slice_mut()? as *mut [T];
            (x, array, &mut *out)
        };
        let (plan, input) = (&self.plan, Input::Float(x));
        let predict = Predict { plan, parameters, input, rows, keys: None, rates: None, origin: Origin::default() };
        if self.is_long_prediction(rows) {
            interruptible(py, || predict.outputs(out))??;
        } else {
            py.detach(|| caught(|| predict.outputs(out)))??;
        }
        Ok(Some(array.into_any()))
    }

    /// What to compute for all rows of a data set.
    fn prediction<'a, T: Number>(
        &'a self,
        parameters: Vec<View<'a, T>>,
        data: &'a Data<'_, T>,
        How { keys, rates, origin }: How<'a>,
    ) -> PyResult<Predict<'a, T>> {
        self.check_rates(rates, 1)?;
        let (rows, first) = (data.rows(), origin.first_row);
        // Every element of every layer has its place in the stream.
        let widest = self.plan.widths.iter().copied().max().unwrap_or(1);
        let end = first.checked_add(rows).and_then(|end| end.checked_mul(widest));
        if end.is_none_or(|end| end as u64 >= POSITIONS) {
            let message = format!(
                "first_row must leave room for the positions of {rows} rows of {widest} elements below 2**63. \
                 Received: first_row={first}"
            );
            return Err(PyValueError::new_err(message));
        }
        Ok(Predict { plan: &self.plan, parameters, input: data.input(), rows, keys, rates, origin })
    }

    pub(super) fn forward_as<T: Number>(
        &self,
        py: Python<'_>,
        params: &[Bound<'_, PyAny>],
        x: &Bound<'_, PyAny>,
        out: &Bound<'_, PyAny>,
        how: How<'_>,
    ) -> PyResult<()> {
        let weights = self.weights::<T>(params)?;
        let data = Data::<T>::new(x, self.plan.widths[0])?;
        let rows = data.rows();
        let mut out = Array::<T>::writable("out", out, rows * self.plan.outputs())?;
        check_apart(&mut vec![out.bytes()], &[("x", data.bytes())])?;
        let predict = self.prediction(weights, &data, how)?;
        let out = out.as_slice_mut();
        Ok(interruptible(py, || predict.outputs(out))??)
    }

    pub(super) fn predict_mc_as<T: Number>(
        &self,
        py: Python<'_>,
        params: &[Bound<'_, PyAny>],
        x: &Bound<'_, PyAny>,
        (mean, m2): (&Bound<'_, PyAny>, &Bound<'_, PyAny>),
        (first, count): (u64, u64),
        how: How<'_>,
    ) -> PyResult<()> {
        let weights = self.weights::<T>(params)?;
        let data = Data::<T>::new(x, self.plan.widths[0])?;
        let rows = data.rows();
        let mut mean = Array::<f64>::writable("mean", mean, rows * self.plan.outputs())?;
        let mut m2 = Array::<f64>::writable("m2", m2, rows * self.plan.outputs())?;
        check_apart(&mut vec![mean.bytes(), m2.bytes()], &[("x", data.bytes())])?;
        let predict = self.prediction(weights, &data, how)?;
        let moments =
            Moments { mean: Shared::new(mean.as_slice_mut()), m2: Shared::new(m2.as_slice_mut()), first, count };
        Ok(interruptible(py, || predict.moments(moments))??)
    }
}
