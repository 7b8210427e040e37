//! Layer 2: the product in bfloat16 by its definition.

use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::simd::bf16::{round, step};

/// `C = A·B`: for every element one chain over pairs of `k`, the odd one first, from zero; after the last `k` of an odd number comes 0 · 0.
///
/// # Panics
/// Where the shapes do not fit.
pub(crate) fn multiply(a: Matrix<'_, f32>, b: Matrix<'_, f32>, mut c: MatrixMut<'_, f32>) {
    assert!(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns);
    for i in 0..c.rows {
        for j in 0..c.columns {
            let mut sum = 0.0;
            for even in (0..a.columns).step_by(2) {
                for k in [even + 1, even] {
                    let there = k < a.columns;
                    let (x, y) = if there { (round(a.at(i, k)), round(b.at(k, j))) } else { (0.0, 0.0) };
                    sum = step(sum, x, y);
                }
            }
            c.set(i, j, sum);
        }
    }
}
