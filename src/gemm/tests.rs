//! Products of stored matrices against the naive one: odd shapes, strides, tails, levels, threads. All bits are equal.

use proptest::prelude::*;

use super::driver::multiply_at;
use super::few_rows::multiply_few;
use super::matrix::{Matrix, MatrixMut};
use super::naive;
use crate::simd::{Element, Level, available, level};

/// Numbers of mixed size and sign, so that another order of a sum has other bits.
fn numbers<T: Element>(len: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Rows,
    Columns,
    Padded,
    Spaced,
    Backward,
}

const LAYOUTS: [Layout; 5] = [Layout::Rows, Layout::Columns, Layout::Padded, Layout::Spaced, Layout::Backward];

/// A matrix of `rows` x `columns` in `memory`, which has room for twice as many rows and columns.
fn lay<T: Element>(memory: &[T], layout: Layout, rows: usize, columns: usize) -> Matrix<'_, T> {
    assert!(memory.len() >= 4 * (rows + 1) * (columns + 1));
    let (m, n) = (rows as isize, columns as isize);
    let (first, strides) = match layout {
        Layout::Rows => (0, (n, 1)),
        Layout::Columns => (0, (1, m)),
        Layout::Padded => (0, (n + 3, 1)),
        Layout::Spaced => (0, (2 * n + 1, 2)),
        Layout::Backward => ((m * n - 1).max(0), (-n, -1)),
    };
    // SAFETY: all elements are within the memory, as the assertion above says.
    unsafe { Matrix::from_raw(memory.as_ptr().offset(first), (rows, columns), strides) }
}

/// Compares one product on all levels and several numbers of threads with the naive one.
fn check<T: Element>((m, k, n): (usize, usize, usize), a: Layout, b: Layout, turned: bool) {
    let memory = (numbers::<T>(4 * (m + 1) * (k + 1), 1), numbers::<T>(4 * (k + 1) * (n + 1), 2));
    let (a, b) = (lay(&memory.0, a, m, k), lay(&memory.1, b, k, n));
    let mut expected = vec![T::ZERO; m * n];
    naive::multiply(a, b, MatrixMut::by_rows(&mut expected, m, n));
    for level in available() {
        for threads in [1, 2, 3] {
            let mut c = vec![T::ONE; m * n];
            let target =
                if turned { MatrixMut::by_rows(&mut c, n, m).transposed() } else { MatrixMut::by_rows(&mut c, m, n) };
            multiply_at(level, threads, a, b, target);
            let c = if turned { Matrix::by_rows(&c, n, m).transposed() } else { Matrix::by_rows(&c, m, n) };
            for i in 0..m {
                for j in 0..n {
                    assert!(c.at(i, j) == expected[i * n + j], "{level:?}, {threads} threads, element ({i}, {j})");
                }
            }
        }
    }
}

/// Compares a product of a few rows on all levels with the naive one.
fn check_few<T: Element>((m, k, n): (usize, usize, usize)) {
    let (x, matrix) = (numbers::<T>(m * k, 3), numbers::<T>(k * n, 4));
    let mut expected = vec![T::ZERO; m * n];
    let (a, b) = (Matrix::by_rows(&x, m, k), Matrix::by_rows(&matrix, k, n));
    naive::multiply(a, b, MatrixMut::by_rows(&mut expected, m, n));
    for level in available() {
        let mut y = vec![T::ONE; m * n];
        multiply_few(level, &x, &matrix, (k, n), &mut y);
        for (index, (got, want)) in y.iter().zip(&expected).enumerate() {
            assert_eq!(got.to_f64().to_bits(), want.to_f64().to_bits(), "{level:?} {m}x{k}x{n}: element {index}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_shape_and_layout_has_the_bits_of_the_definition(
        m in 0usize..70, k in 0usize..60, n in 0usize..120, a in 0usize..5, b in 0usize..5, turned: bool,
    ) {
        check::<f32>((m, k, n), LAYOUTS[a], LAYOUTS[b], turned);
        check::<f64>((m, k, n), LAYOUTS[a], LAYOUTS[b], turned);
    }
}

proptest! {
    #[test]
    fn few_rows_have_the_bits_of_the_definition(m in 1_usize..9, k in 1_usize..60, n in 1_usize..400) {
        check_few::<f32>((m, k, n));
        check_few::<f64>((m, k, n));
    }
}

#[test]
fn interrupted_chains_have_the_bits_of_the_definition() {
    for shape in [(5, 1000, 40), (130, 800, 300), (1, 900, 270), (70, 400, 1)] {
        check::<f32>(shape, Layout::Rows, Layout::Rows, false);
        check::<f64>(shape, Layout::Columns, Layout::Columns, true);
    }
}

#[test]
fn rows_that_fill_panels_have_the_bits_of_the_definition() {
    for a in LAYOUTS {
        for b in [Layout::Rows, Layout::Columns] {
            check::<f32>((15, 9, 15), a, b, false);
            check::<f32>((48, 70, 50), a, b, false);
            check::<f64>((16, 40, 33), a, b, a as usize == 1);
        }
    }
    check::<f32>((32, 600, 130), Layout::Rows, Layout::Rows, false);
    check::<f32>((300, 300, 200), Layout::Rows, Layout::Columns, false);
    check::<f32>((160, 700, 500), Layout::Columns, Layout::Rows, false);
    check::<f64>((130, 200, 90), Layout::Padded, Layout::Rows, false);
}

#[test]
fn threads_share_out_everything_once() {
    check::<f32>((150, 128, 180), Layout::Rows, Layout::Columns, false);
    check::<f32>((1000, 64, 64), Layout::Columns, Layout::Rows, true);
}

#[test]
fn operands_that_are_read_as_they_lie_have_the_bits_of_the_definition() {
    for steps in [31, 64, 65] {
        check::<f32>((100, steps, 150), Layout::Columns, Layout::Rows, false);
        check::<f32>((70, steps, 50), Layout::Columns, Layout::Padded, false);
        check::<f64>((61, steps, 41), Layout::Columns, Layout::Rows, true);
    }
}

#[test]
fn calls_that_come_thick_and_find_helpers_awake_have_the_bits_of_one_thread() {
    for (m, k, n, layout) in [(32, 200, 100, Layout::Rows), (200, 32, 100, Layout::Columns)] {
        let memory = (numbers::<f32>(4 * (m + 1) * (k + 1), 5), numbers::<f32>(4 * (k + 1) * (n + 1), 6));
        let (a, b) = (lay(&memory.0, layout, m, k), lay(&memory.1, Layout::Rows, k, n));
        let product = |threads| {
            let mut c = vec![1.0_f32; m * n];
            multiply_at(level(), threads, a, b, MatrixMut::by_rows(&mut c, m, n));
            c
        };
        let expected = product(1);
        assert!((0..500).all(|_| product(2) == expected));
    }
    for (rows, (k, n)) in [(1, (784, 200)), (3, (900, 177)), (7, (300, 300))] {
        let (x, matrix) = (numbers::<f32>(rows * k, 7), numbers::<f32>(k * n, 8));
        let mut expected = vec![0.0; rows * n];
        naive::multiply(
            Matrix::by_rows(&x, rows, k),
            Matrix::by_rows(&matrix, k, n),
            MatrixMut::by_rows(&mut expected, rows, n),
        );
        for _ in 0..500 {
            let mut y = vec![1.0; rows * n];
            multiply_few(level(), &x, &matrix, (k, n), &mut y);
            assert_eq!(y, expected);
        }
    }
}

#[test]
fn no_steps_make_zeros() {
    check::<f32>((3, 0, 20), Layout::Rows, Layout::Rows, false);
    assert!(available().any(|level| level == Level::Scalar));
}
