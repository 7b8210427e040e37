//! Layer 5: what the benchmarks of the crate reach, and nobody else: no promise holds for it.

use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::gemm::{driver, naive, peak};
use crate::{dropout, parallel, simd};

/// The names of the instruction sets that this processor has, scalar code left out: it is an oracle, too slow to time.
pub fn levels() -> Vec<&'static str> {
    simd::available().filter(|&level| level != simd::Level::Scalar).map(simd::Level::name).collect()
}

fn level(name: &str) -> simd::Level {
    simd::available().find(|level| level.name() == name).expect("a level of this processor")
}

/// Threads that calls use.
pub fn num_threads() -> usize {
    parallel::num_threads()
}

/// # Errors
/// As the Python function of the same name.
pub fn set_num_threads(threads: usize) -> crate::Result<()> {
    parallel::set_num_threads(threads)
}

/// The names of the instruction sets for masks.
pub fn aes_levels() -> Vec<&'static str> {
    simd::available_aes().map(simd::AesLevel::name).collect()
}

/// Inverted dropout on one thread at a level for masks.
pub fn dropout_at(name: &str, key: crate::Key, rate: f64, x: &[f32], y: &mut [f32], stream: bool) {
    assert_eq!(x.len(), y.len());
    let level = simd::available_aes().find(|level| level.name() == name).expect("a level of this processor");
    let decisions = dropout::Decisions { key, threshold: crate::rng::Threshold::new(rate), offset: 0 };
    let scale = dropout::Scale::inverted(rate);
    // SAFETY: both hold as many elements, and `y` is borrowed exclusively.
    unsafe { dropout::apply_at(level, decisions, scale, x.as_ptr(), y.as_mut_ptr(), x.len(), stream) };
}

/// A copy on several threads: what dropout is compared with.
pub fn copy(x: &[f32], y: &mut [f32], threads: usize) {
    assert_eq!(x.len(), y.len());
    let to = parallel::Shared::new(y);
    parallel::for_each_range(x.len(), x.len() / threads, |range| {
        // SAFETY: ranges of different threads do not overlap.
        unsafe { to.part(range.clone()) }.copy_from_slice(&x[range]);
    });
}

/// A matrix by rows, or the transposed of one.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    matrix: Matrix<'a, f32>,
}

impl<'a> Operand<'a> {
    /// A matrix that is stored row by row.
    pub fn by_rows(elements: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { matrix: Matrix::by_rows(elements, rows, columns) }
    }

    /// Its transposed.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { matrix: self.matrix.transposed() }
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.matrix.rows, self.matrix.columns)
    }
}

/// `c = a·b`, row by row, at a level on some threads.
pub fn multiply_at(name: &str, threads: usize, a: Operand<'_>, b: Operand<'_>, c: &mut [f32]) {
    let c = MatrixMut::by_rows(c, a.matrix.rows, b.matrix.columns);
    driver::multiply_at(level(name), threads, a.matrix, b.matrix, c);
}

/// The first row of `a·b` by definition.
pub fn first_row(a: Operand<'_>, b: Operand<'_>) -> Vec<f32> {
    let mut row = vec![0.0; b.matrix.columns];
    let first = a.matrix.block(0..1, 0..a.matrix.columns);
    naive::multiply(first, b.matrix, MatrixMut::by_rows(&mut row, 1, b.matrix.columns));
    row
}

/// GFLOP/s of the loop of multiply-adds.
pub fn fma_peak_gflops(name: &str, threads: usize) -> f64 {
    peak::fma_peak_gflops(level(name), threads)
}
