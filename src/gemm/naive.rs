//! Layer 2: the product by its definition, the oracle of all the others.

use super::matrix::{Matrix, MatrixMut};
use crate::simd::Element;

/// `C = A·B`: every element one chain of fused multiply-adds in ascending `k` from zero.
///
/// # Panics
/// Where the shapes do not fit.
pub(crate) fn multiply<T: Element>(a: Matrix<'_, T>, b: Matrix<'_, T>, mut c: MatrixMut<'_, T>) {
    assert!(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns);
    for i in 0..c.rows {
        for j in 0..c.columns {
            let mut sum = T::ZERO;
            for k in 0..a.columns {
                sum = a.at(i, k).mul_add(b.at(k, j), sum);
            }
            c.set(i, j, sum);
        }
    }
}
