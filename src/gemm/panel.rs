//! Layer 2: products of a stored matrix with panels: the rows of a batch in vector lanes.
//!
//! A *panel* holds `LANES` rows of a batch, turned: `[feature][lane]`. A kernel is read in its own layout through
//! broadcasts, so nothing is packed and every number of features is as good as any other. Up to four panels are
//! multiplied at a time, which reads the kernel once for all of them.

use super::tile::{Broadcast, Rows, Steps, Stride, Target, Unit, Vectors, rows_of_tiles};
use crate::simd::{Element, Kernel, Level, Simd};

/// Panels that are multiplied at a time on a level: as many as keep a tile at least as tall as wide.
pub fn panels_at_once(level: Level) -> usize {
    match level {
        Level::Avx512 => 4,
        Level::Avx2 | Level::Scalar => 1,
    }
}

/// Panels of `features` rows each, one after the other.
#[derive(Clone, Copy)]
pub struct Panels<T> {
    /// The first panel.
    pub start: *const T,
    /// Features of a panel.
    pub features: usize,
}

/// `y = Wᵀ·x` for panels: `x [k][lanes]`, kernel `W [k, n]` by rows, `y [n][lanes]`.
pub struct Forward<T, K> {
    /// Which of the `k` inputs take part.
    pub steps: K,
    /// The kernel `[k, n]`.
    pub kernel: *const T,
    /// Outputs.
    pub n: usize,
    /// Inputs: panels of `k` features.
    pub x: Panels<T>,
    /// Outputs: panels of `n` features.
    pub y: *mut T,
    /// Number of panels.
    pub panels: usize,
}

/// `dx = W·dy` for panels: `dy [n][lanes]`, kernel `W [k, n]` by rows, `dx [k][lanes]`.
pub struct Backward<T, K> {
    /// Which of the `n` outputs take part.
    pub steps: K,
    /// The kernel `[k, n]`.
    pub kernel: *const T,
    /// Inputs.
    pub k: usize,
    /// Columns of the kernel.
    pub n: usize,
    /// Gradients of the outputs: panels of `n` features.
    pub dy: Panels<T>,
    /// Gradients of the inputs: panels of `k` features.
    pub dx: *mut T,
    /// Number of panels.
    pub panels: usize,
}

impl<T: Element, K: Steps> Forward<T, K> {
    /// Runs the product on level `S`.
    ///
    /// # Safety
    /// The pointers are valid for the shapes above; `y` overlaps nothing.
    pub unsafe fn run<S: Simd>(self, s: S) {
        let a = Broadcast { start: self.kernel, rows: Unit, step: self.n };
        s.run(Product { steps: self.steps, a, m: self.n, b: self.x, c: self.y, panels: self.panels });
    }
}

impl<T: Element, K: Steps> Backward<T, K> {
    /// Runs the product on level `S`.
    ///
    /// # Safety
    /// The pointers are valid for the shapes above; `dx` overlaps nothing.
    pub unsafe fn run<S: Simd>(self, s: S) {
        let a = Broadcast { start: self.kernel, rows: Stride(self.n), step: 1 };
        s.run(Product { steps: self.steps, a, m: self.k, b: self.dy, c: self.dx, panels: self.panels });
    }
}

/// `C = A·B` for panels `B` and `C`; made only by callers that promised valid pointers.
struct Product<T, R, K> {
    steps: K,
    a: Broadcast<T, R>,
    m: usize,
    b: Panels<T>,
    c: *mut T,
    panels: usize,
}

impl<T: Element, R: Rows, K: Steps> Product<T, R, K> {
    /// `NV` panels from panel `first` on.
    ///
    /// # Safety
    /// The pointers are valid for them.
    #[inline(always)]
    unsafe fn some<S: Simd, const NV: usize>(&self, s: S, first: usize) {
        let (from, to) = (self.b.features * T::LANES, self.m * T::LANES);
        // SAFETY: panels `first..first + NV` exist on both sides.
        unsafe {
            let b = Vectors { start: self.b.start.add(first * from), step: T::LANES, vector: from };
            let c = Target { start: self.c.add(first * to), row: T::LANES, vector: to };
            rows_of_tiles::<S, T, R, K, NV>(s, self.m, self.steps, self.a, b, c);
        }
    }
}

impl<T: Element, R: Rows, K: Steps> Kernel for Product<T, R, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut first = 0;
        // SAFETY: whoever made this promised valid pointers for all panels.
        unsafe {
            if panels_at_once(S::LEVEL) == 4 {
                while self.panels - first >= 4 {
                    self.some::<S, 4>(s, first);
                    first += 4;
                }
                match self.panels - first {
                    3 => self.some::<S, 3>(s, first),
                    2 => self.some::<S, 2>(s, first),
                    1 => self.some::<S, 1>(s, first),
                    _ => {}
                }
            } else {
                while first < self.panels {
                    self.some::<S, 1>(s, first);
                    first += 1;
                }
            }
        }
    }
}
