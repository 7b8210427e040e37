//! Layer 2: products of a stored matrix with panels: the rows of a batch in vector lanes.
//!
//! A *panel* holds `LANES` rows of a batch, turned: `[feature][lane]`. A kernel is read in its own layout through
//! broadcasts, so nothing is packed and every number of features is as good as any other. Up to four panels are
//! multiplied at a time, which reads the kernel once for all of them.

use super::tile::{All, Broadcast, Rows, Steps, Stride, Target, Unit, Vectors, rows_of_tiles};
use crate::simd::{Element, Kernel, Level, Simd};

/// Panels that are multiplied at a time on a level: as many as keep a tile at least as tall as wide.
pub fn panels_at_once(level: Level) -> usize {
    match level {
        Level::Avx512 => 4,
        Level::Avx2 | Level::Scalar => 1,
    }
}

/// `y[j][lane] = Σᵢ W[i, j] · x[i][lane]` for `count` panels: `kernel` is `W [k, n]` by rows, `x` has panels of `x_stride`
/// elements with at least `k` features, `y` panels of `y_stride` elements with at least `n` features.
///
/// # Panics
/// Where a slice is shorter than that.
#[allow(clippy::too_many_arguments, reason = "two operands, a target and their shapes")]
pub fn forward<S: Simd, T: Element>(
    s: S,
    (k, n): (usize, usize),
    kernel: &[T],
    count: usize,
    x: &[T],
    x_stride: usize,
    y: &mut [T],
    y_stride: usize,
) {
    assert_eq!(kernel.len(), k * n);
    check(x.len(), x_stride, k * T::LANES, count);
    check(y.len(), y_stride, n * T::LANES, count);
    let a = Broadcast { start: kernel.as_ptr(), rows: Unit, step: n };
    s.run(Product {
        steps: All(k),
        a,
        m: n,
        b: x.as_ptr(),
        b_stride: x_stride,
        c: y.as_mut_ptr(),
        c_stride: y_stride,
        count,
    });
}

/// `dx[i][lane] = Σⱼ W[i, j] · dy[j][lane]` for `count` panels, with shapes as in [`forward`].
///
/// # Panics
/// Where a slice is shorter than that.
#[allow(clippy::too_many_arguments, reason = "two operands, a target and their shapes")]
pub fn backward<S: Simd, T: Element>(
    s: S,
    (k, n): (usize, usize),
    kernel: &[T],
    count: usize,
    dy: &[T],
    dy_stride: usize,
    dx: &mut [T],
    dx_stride: usize,
) {
    assert_eq!(kernel.len(), k * n);
    check(dy.len(), dy_stride, n * T::LANES, count);
    check(dx.len(), dx_stride, k * T::LANES, count);
    let a = Broadcast { start: kernel.as_ptr(), rows: Stride(n), step: 1 };
    s.run(Product {
        steps: All(n),
        a,
        m: k,
        b: dy.as_ptr(),
        b_stride: dy_stride,
        c: dx.as_mut_ptr(),
        c_stride: dx_stride,
        count,
    });
}

/// Panels of `used <= stride` elements, `count` of them, lie within `len` elements.
fn check(len: usize, stride: usize, used: usize, count: usize) {
    assert!(used <= stride && count * stride <= len, "{count} panels of {used} elements, {stride} apart, in {len}");
}

/// `C = A·B` for panels `B` and `C`; made only where the pointers are valid for the shapes.
struct Product<T, R, K> {
    steps: K,
    a: Broadcast<T, R>,
    m: usize,
    b: *const T,
    b_stride: usize,
    c: *mut T,
    c_stride: usize,
    count: usize,
}

impl<T: Element, R: Rows, K: Steps> Product<T, R, K> {
    /// `NV` panels from panel `first` on.
    ///
    /// # Safety
    /// The pointers are valid for them.
    #[inline(always)]
    unsafe fn some<S: Simd, const NV: usize>(&self, s: S, first: usize) {
        // SAFETY: panels `first..first + NV` exist on both sides.
        unsafe {
            let b = Vectors { start: self.b.add(first * self.b_stride), step: T::LANES, vector: self.b_stride };
            let c = Target { start: self.c.add(first * self.c_stride), row: T::LANES, vector: self.c_stride };
            rows_of_tiles::<S, T, R, K, NV>(s, self.m, self.steps, self.a, b, c);
        }
    }
}

impl<T: Element, R: Rows, K: Steps> Kernel for Product<T, R, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut first = 0;
        // SAFETY: whoever made this checked the pointers for all panels.
        unsafe {
            if panels_at_once(S::LEVEL) == 4 {
                while self.count - first >= 4 {
                    self.some::<S, 4>(s, first);
                    first += 4;
                }
                match self.count - first {
                    3 => self.some::<S, 3>(s, first),
                    2 => self.some::<S, 2>(s, first),
                    1 => self.some::<S, 1>(s, first),
                    _ => {}
                }
            } else {
                while first < self.count {
                    self.some::<S, 1>(s, first);
                    first += 1;
                }
            }
        }
    }
}
