//! Layer 3: the backward pass of a dense layer.
//!
//! ```text
//! dz [m, n]      = activation'(dropout'(dy))    the mask is drawn again
//! dx [m, k]      = dz · kernelᵀ
//! dkernel [k, n] = xᵀ · dz                      chains over the rows in ascending order
//! dbias [n]      = Σ dz[i]                      rows in ascending order
//! ```

use super::activation::{Activation, activate_backward};
use super::forward::{Masks, Real, softmax_rows};
use crate::aligned::{room, with_room};
use crate::error::Result;
use crate::gemm::driver::multiply;
use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::parallel::{Shared, for_each_range};
use crate::simd::{Element, Kernel, Simd, V, Vector, dispatch};

/// What a layer did to the product, and what it kept of it.
#[derive(Clone, Copy)]
pub(crate) struct Trace<'a, T> {
    /// The layer's output, needed unless the activation is linear. The activation is one whose derivative is computed
    /// from its result; softmax comes without dropout.
    pub(crate) y: Option<Matrix<'a, T>>,
    /// Applied to the product.
    pub(crate) activation: Activation,
    /// Dropout of the result.
    pub(crate) masks: Option<Masks>,
}

/// Where the gradients go.
pub(crate) struct Gradients<'a, T> {
    /// With respect to the input.
    pub(crate) dx: MatrixMut<'a, T>,
    /// With respect to the kernel.
    pub(crate) dkernel: MatrixMut<'a, T>,
    /// With respect to the bias.
    pub(crate) dbias: &'a mut [T],
}

/// Computes the gradients.
///
/// # Errors
/// [`crate::error::Error::Memory`] where there is no room for a gradient on the way.
///
/// # Panics
/// Where shapes do not fit, or `y` is missing.
pub(crate) fn backward<T: Real>(
    dy: Matrix<'_, T>,
    x: Matrix<'_, T>,
    kernel: Matrix<'_, T>,
    trace: Trace<'_, T>,
    gradients: Gradients<'_, T>,
) -> Result<()> {
    let dropped = trace.masks.is_some_and(|masks| masks.rate > 0.0);
    let mut memory;
    let dz = if !dropped && trace.activation == Activation::Linear {
        dy
    } else {
        memory = with_room(dy.rows.saturating_mul(dy.columns))?;
        below(dy, trace, &mut memory);
        Matrix::by_rows(&memory, dy.rows, dy.columns)
    };
    multiply(dz, kernel.transposed(), gradients.dx);
    multiply(x.transposed(), dz, gradients.dkernel);
    column_sums(dz, gradients.dbias);
    Ok(())
}

/// Elements of a gradient for a thread: some 20 µs.
const GRAIN: usize = 1 << 15;

/// The gradient with respect to the product, by rows.
fn below<T: Real>(dy: Matrix<'_, T>, trace: Trace<'_, T>, dz: &mut [T]) {
    let units = dy.columns;
    let saved = trace.y.filter(|_| trace.activation != Activation::Linear);
    assert!(saved.is_some() || trace.activation == Activation::Linear, "y is needed");
    assert!(saved.is_none_or(|y| y.rows == dy.rows && y.columns == units), "y has the shape of dy");
    let memory = Shared::new(dz);
    for_each_range(dy.rows, GRAIN.div_ceil(units.max(1)), |rows| {
        let mut output = room::<T>(units);
        for i in rows {
            // SAFETY: a row belongs to one thread.
            let gradient = unsafe { memory.part(i * units..(i + 1) * units) };
            dy.copy_row(i, gradient);
            if let Some(masks) = &trace.masks {
                masks.apply(i, 0, units, gradient);
            }
            if let Some(y) = saved.filter(|_| !trace.activation.is_softmax()) {
                y.copy_row(i, &mut output);
                dispatch(RowBackward { trace: &trace, output: &mut output, gradient });
            }
        }
    });
    if trace.activation.is_softmax() {
        assert!(trace.masks.is_none_or(|masks| masks.rate == 0.0), "softmax comes without dropout");
        // SAFETY: the threads above are done.
        let dz = unsafe { memory.part(0..memory.len()) };
        softmax_rows(&mut MatrixMut::by_rows(dz, dy.rows, units), saved, None);
    }
}

/// One row through an elementwise activation.
struct RowBackward<'a, 'b, T> {
    trace: &'a Trace<'b, T>,
    output: &'a mut [T],
    gradient: &'a mut [T],
}

impl<T: Real> Kernel for RowBackward<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if let Some(Masks { rate, .. }) = self.trace.masks
            && rate > 0.0
            && rate < 1.0
        {
            // Kept values of `y` are the activation's result times this.
            let scale = V::<S, T>::splat(s, T::from_f64(1.0 / (1.0 - rate)));
            for values in self.output.chunks_mut(T::LANES) {
                V::<S, T>::from_slice(s, values).div(scale).write_first(values);
            }
        }
        activate_backward(s, self.trace.activation, self.output, self.gradient);
    }
}

/// Columns that are summed at a time: four vectors, so that an addition need not wait for the one before.
const CHAINS: usize = 4;

/// `sums[j] = Σᵢ dz[i, j]`
fn column_sums<T: Element>(dz: Matrix<'_, T>, sums: &mut [T]) {
    assert_eq!(dz.columns, sums.len());
    let width = CHAINS * T::LANES;
    let sums = Shared::new(sums);
    for_each_range(dz.columns.div_ceil(width), GRAIN.div_ceil(width * dz.rows.max(1)), |blocks| {
        let columns = blocks.start * width..dz.columns.min(blocks.end * width);
        // SAFETY: columns belong to one thread.
        let sums = unsafe { sums.part(columns.clone()) };
        dispatch(ColumnSums { dz: dz.block(0..dz.rows, columns), sums });
    });
}

/// One thread's columns.
struct ColumnSums<'a, T> {
    dz: Matrix<'a, T>,
    sums: &'a mut [T],
}

impl<T: Element> Kernel for ColumnSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = CHAINS * T::LANES;
        let mut row = [T::default(); CHAINS * 16];
        for (block, sums) in self.sums.chunks_mut(width).enumerate() {
            let columns = block * width..block * width + sums.len();
            let dz = self.dz.block(0..self.dz.rows, columns);
            let mut chains = [V::<S, T>::zero(s); CHAINS];
            for i in 0..dz.rows {
                dz.copy_row(i, &mut row[..sums.len()]);
                for (chain, values) in chains.iter_mut().zip(row.chunks_exact(T::LANES)) {
                    *chain = chain.add(V::<S, T>::read(s, values));
                }
            }
            for (chain, sums) in chains.into_iter().zip(sums.chunks_mut(T::LANES)) {
                chain.write_first(sums);
            }
        }
    }
}
