//! Layer 3: the forward pass of a dense layer.
//!
//! ```text
//! y [m, n] = dropout(activation(x [m, k] · kernel [k, n] + bias [n]))
//! ```
//!
//! Bias, activation and dropout are applied to a few rows of `y` at a time, right after the product has written them.

use std::ops::Range;

use super::activation::{Activation, activate, activate_backward};
use crate::aligned::{room, room_for_all};
use crate::dropout::{Decisions, Sample, Scale, apply_at};
use crate::gemm::driver::{Epilogue, multiply_then};
use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::parallel::{Shared, for_each_range, num_threads};
use crate::rng::{Key, Threshold};
use crate::simd::{Element, Kernel, Level, Simd, aes_level, dispatch, dispatch_at, level};

/// The element types of layers.
pub(crate) trait Real: Element + Sample<Work = Self> {}

impl Real for f32 {}
impl Real for f64 {}

/// Dropout of a layer's output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Masks {
    /// Where masks are drawn.
    pub(crate) key: Key,
    /// Probability to drop.
    pub(crate) rate: f64,
    /// So many consecutive rows share a mask.
    pub(crate) rows_per_mask: usize,
}

impl Masks {
    /// Drops some of `values`, which start at `column` of `row` in a matrix of `units` columns.
    pub(super) fn apply<T: Real>(&self, row: usize, column: usize, units: usize, values: &mut [T]) {
        if self.rate == 0.0 {
            return;
        }
        let offset = row as u64 / self.rows_per_mask as u64 * units as u64 + column as u64;
        let decisions = Decisions { key: self.key, threshold: Threshold::new(self.rate), offset };
        let start = values.as_mut_ptr();
        let (scale, n) = (Scale::inverted(self.rate), values.len());
        // SAFETY: in place, on exactly these values. They are in the cache and stay there: nothing is streamed past it.
        unsafe { apply_at(aes_level(), decisions, scale, start.cast_const(), start, n, false) };
    }
}

/// What a layer does to the product.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a, T> {
    /// Added to every row.
    pub(crate) bias: Option<&'a [T]>,
    /// Applied to the sum.
    pub(crate) activation: Activation,
    /// Dropout of the result.
    pub(crate) masks: Option<Masks>,
}

/// Computes `y`, whose columns are neighbours in memory.
///
/// # Panics
/// Where shapes do not fit.
pub(crate) fn forward<T: Real>(x: Matrix<'_, T>, kernel: Matrix<'_, T>, layer: Layer<'_, T>, mut y: MatrixMut<'_, T>) {
    assert!(layer.bias.is_none_or(|bias| bias.len() == y.columns), "a bias for each column");
    let units = y.columns;
    if !layer.activation.is_softmax() {
        return multiply_then(level(), num_threads(), x, kernel, y, Some(&Finish { layer, units }));
    }
    // Softmax needs whole rows: the product adds the bias only.
    let logits = Layer { activation: Activation::Linear, masks: None, ..layer };
    multiply_then(level(), num_threads(), x, kernel, y.reborrow(), Some(&Finish { layer: logits, units }));
    softmax_rows(&mut y, None, layer.masks);
}

/// A layer's epilogue.
struct Finish<'a, T> {
    layer: Layer<'a, T>,
    units: usize,
}

impl<T: Real> Epilogue<T> for Finish<'_, T> {
    unsafe fn finish(&self, level: Level, rows: Range<usize>, columns: Range<usize>, c: *mut T, stride: usize) {
        for (i, row) in rows.enumerate() {
            // SAFETY: the caller's promise.
            let values = unsafe { std::slice::from_raw_parts_mut(c.add(i * stride), columns.len()) };
            dispatch_at(level, FinishRow { layer: &self.layer, column: columns.start, values });
            if let Some(masks) = &self.layer.masks {
                masks.apply(row, columns.start, self.units, values);
            }
        }
    }
}

/// Bias and activation of a row, from `column` on.
struct FinishRow<'a, T> {
    layer: &'a Layer<'a, T>,
    column: usize,
    values: &'a mut [T],
}

impl<T: Real> Kernel for FinishRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if let Some(bias) = self.layer.bias {
            let bias = &bias[self.column..self.column + self.values.len()];
            s.run(AddTo { values: &mut *self.values, bias });
        }
        activate(s, self.layer.activation, self.values);
    }
}

/// `values += bias`, of equal length.
pub(crate) struct AddTo<'a, T> {
    /// A row.
    pub(crate) values: &'a mut [T],
    /// What is added.
    pub(crate) bias: &'a [T],
}

impl<T: Element> Kernel for AddTo<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        use crate::simd::{V, Vector};

        let mut vectors = self.values.chunks_exact_mut(T::LANES);
        let bias = self.bias.chunks_exact(T::LANES);
        let rest_of_bias = V::<S, T>::from_slice(s, bias.remainder());
        for (values, bias) in (&mut vectors).zip(bias) {
            V::<S, T>::read(s, values).add(V::<S, T>::read(s, bias)).write(values);
        }
        let rest = vectors.into_remainder();
        V::<S, T>::from_slice(s, rest).add(rest_of_bias).write_first(rest);
    }
}

/// Elements of softmax for a thread: some 50 µs.
const GRAIN: usize = 1 << 14;

/// Turns rows of logits into probabilities and drops some; or, given softmax's result, gradients below dropout into
/// gradients with respect to logits.
pub(crate) fn softmax_rows<T: Real>(rows: &mut MatrixMut<'_, T>, output: Option<Matrix<'_, T>>, masks: Option<Masks>) {
    let (count, units, stride) = (rows.rows, rows.columns, rows.row_stride.unsigned_abs());
    if count == 0 || units == 0 {
        return;
    }
    let memory = Shared::new(rows.memory());
    // Before a row is written; each thread asks again for its own.
    room_for_all::<T>(2 * num_threads() * units * T::LANES);
    for_each_range(count.div_ceil(T::LANES), GRAIN.div_ceil(units * T::LANES), |panels| {
        let mut panel = room::<T>(units * T::LANES);
        let mut saved = room::<T>(if output.is_some() { panel.len() } else { 0 });
        for first in panels.map(|panel| panel * T::LANES) {
            let group = first..count.min(first + T::LANES);
            // SAFETY: a group of rows belongs to one thread.
            let row = |i: usize| unsafe { memory.part(i * stride..i * stride + units) };
            for (lane, i) in group.clone().enumerate() {
                for (j, &value) in row(i).iter().enumerate() {
                    panel[j * T::LANES + lane] = value;
                }
                for j in 0..if output.is_some() { units } else { 0 } {
                    saved[j * T::LANES + lane] = output.as_ref().map_or(T::default(), |y| y.at(i, j));
                }
            }
            dispatch(SoftmaxPanel { panel: &mut panel, saved: output.is_some().then_some(&saved) });
            for (lane, i) in group.enumerate() {
                let values = row(i);
                for (j, value) in values.iter_mut().enumerate() {
                    *value = panel[j * T::LANES + lane];
                }
                if let Some(masks) = &masks {
                    masks.apply(i, 0, units, values);
                }
            }
        }
    });
}

/// Softmax of a panel, or its gradient.
struct SoftmaxPanel<'a, T> {
    panel: &'a mut [T],
    saved: Option<&'a Vec<T>>,
}

impl<T: Element> Kernel for SoftmaxPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.saved {
            None => activate(s, Activation::Softmax, self.panel),
            Some(saved) => activate_backward(s, Activation::Softmax, saved, self.panel),
        }
    }
}
