//! Layer 2: products of a stored matrix with panels: the rows of a batch in vector lanes.
//!
//! A *panel* holds `LANES` rows of a batch, turned: `[feature][lane]`. A kernel is read in its own layout through
//! broadcasts, so nothing is packed and every number of features is as good as any other. Up to four panels are
//! multiplied at a time, which reads the kernel once for all of them.

use std::ops::Range;

use super::tile::{
    Across, All, Broadcast, Kept, Next, Picked, ROWS_AHEAD, Rows, Steps, Stride, Target, Vectors, accumulate,
    rows_of_tiles, zeros,
};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector};

/// Panels that are multiplied at a time on a level: as many as keep a tile at least as tall as wide.
pub fn panels_at_once(level: Level) -> usize {
    match level {
        Level::Avx512 => 4,
        Level::Avx2 | Level::Scalar => 1,
    }
}

/// A kernel and the panels on both sides of it, one after another without gaps.
pub struct PanelProduct<'a, T> {
    /// `k` inputs and `n` outputs.
    pub shape: (usize, usize),
    /// `W [k, n]`, by rows.
    pub kernel: &'a [T],
    /// How many panels.
    pub count: usize,
    /// Panels that are read.
    pub from: &'a [T],
    /// Panels that are written.
    pub to: &'a mut [T],
}

impl<T: Element> PanelProduct<'_, T> {
    /// `y[j][lane] = Σᵢ W[i, j] · x[i][lane]` for panels `from` of inputs and `to` of outputs.
    ///
    /// # Panics
    /// Where a slice is shorter than the shapes say.
    pub fn forward<S: Simd>(mut self, s: S) {
        let (k, n) = self.shape;
        let panels = self.panels(k, n);
        for rows in strips::<T>(k, n) {
            let next = &self.kernel[rows.end * n..];
            let a = Broadcast { start: self.kernel[rows.start * n..].as_ptr(), rows: Across, step: n };
            s.run(Product {
                steps: All(rows.len()),
                a,
                m: n,
                carry: rows.start > 0,
                next: Next::new(&next[..next.len().min(rows.len() * n)]),
                panels: Panels { b: self.from[rows.start * T::LANES..].as_ptr(), ..panels },
            });
        }
    }

    /// `dx[i][lane] = Σⱼ W[i, j] · dy[j][lane]` for panels `from` of output gradients and `to` of input gradients.
    ///
    /// # Panics
    /// As [`PanelProduct::forward`].
    pub fn backward<S: Simd>(mut self, s: S) {
        let (k, n) = self.shape;
        let panels = self.panels(n, k);
        let a = Broadcast { start: self.kernel.as_ptr(), rows: Stride(n), step: 1 };
        s.run(Product { steps: All(n), a, m: k, carry: false, next: Next::new(&[]), panels });
    }

    /// [`PanelProduct::forward`] for some outputs from some inputs: as if the other inputs were 0; other outputs are left alone.
    /// With `carry`, `to` holds the chains over inputs before these. The rows of the kernel in `next` are asked for,
    /// ahead of their product.
    ///
    /// # Panics
    /// As [`PanelProduct::forward`], and for indices out of range.
    pub fn forward_part<S: Simd>(mut self, s: S, part: Part<'_>, carry: bool, next: Range<usize>) {
        let (k, n) = self.shape;
        let panels = self.panels(k, n);
        part.check(self.shape);
        s.run(PartProduct::<T, true> {
            steps: part.inputs,
            picks: part.outputs,
            a: self.kernel.as_ptr(),
            row: 1,
            step: n,
            carry,
            next: Next::new(&self.kernel[next.start * n..next.end * n]),
            panels,
        });
    }

    /// [`PanelProduct::backward`] for some inputs from some outputs: as if the other outputs' gradients were 0; other inputs are
    /// left alone.
    ///
    /// # Panics
    /// As [`PanelProduct::backward`], and for indices out of range.
    pub fn backward_part<S: Simd>(mut self, s: S, part: Part<'_>) {
        let (k, n) = self.shape;
        let panels = self.panels(n, k);
        part.check(self.shape);
        s.run(PartProduct::<T, false> {
            steps: part.outputs,
            picks: part.inputs,
            a: self.kernel.as_ptr(),
            row: n,
            step: 1,
            carry: false,
            next: Next::new(&[]),
            panels,
        });
    }

    /// Pointers to the panels, of `from` and `to` features, which lie in the slices, or this panics.
    fn panels(&mut self, from: usize, to: usize) -> Panels<T> {
        let (count, b_stride, c_stride) = (self.count, from * T::LANES, to * T::LANES);
        assert_eq!(self.kernel.len(), self.shape.0 * self.shape.1);
        assert!(count * b_stride <= self.from.len() && count * c_stride <= self.to.len(), "{count} panels in a slice");
        Panels { b: self.from.as_ptr(), b_stride, c: self.to.as_mut_ptr(), c_stride, count }
    }
}

/// Panels read and written by a product.
#[derive(Clone, Copy)]
struct Panels<T> {
    b: *const T,
    b_stride: usize,
    c: *mut T,
    c_stride: usize,
    count: usize,
}

/// Bytes of a kernel that all panels use before the next: half a second-level cache. In a kernel with long rows they are few
/// pages, whose addresses a processor keeps at hand; going down whole columns of a few MiB, each row another page, a
/// product ran at half the speed.
const STRIP: usize = 1 << 19;

/// Rows of a strip of a kernel with `n` columns.
pub fn strip_rows<T: Element>(n: usize) -> usize {
    (STRIP / size_of::<T>() / n).max(48)
}

/// Cuts the `k` rows of `n` elements of a kernel into strips.
pub fn strips<T: Element>(k: usize, n: usize) -> impl Iterator<Item = Range<usize>> {
    let rows = strip_rows::<T>(n);
    (0..k).step_by(rows).map(move |start| start..k.min(start + rows))
}

/// Which inputs and outputs of a layer take part in a product, ascending.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Inputs, below `k`.
    pub inputs: &'a [u32],
    /// Outputs, below `n`.
    pub outputs: &'a [u32],
}

impl Part<'_> {
    fn check(&self, (k, n): (usize, usize)) {
        let within = |list: &[u32], bound: usize| list.iter().all(|&index| (index as usize) < bound);
        assert!(within(self.inputs, k) && within(self.outputs, n), "indices of a product leave its operands");
    }
}

/// `C = A·B` for panels `B` and `C`; made only where the pointers are valid for the shapes.
struct Product<T, R, K> {
    steps: K,
    a: Broadcast<T, R>,
    m: usize,
    panels: Panels<T>,
    /// `c` holds chains that are carried on.
    carry: bool,
    /// What the tiles of the first panels ask for.
    next: Next<T>,
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
            let b = Vectors {
                start: self.panels.b.add(first * self.panels.b_stride),
                step: T::LANES,
                vector: self.panels.b_stride,
            };
            let c = Target {
                start: self.panels.c.add(first * self.panels.c_stride),
                row: T::LANES,
                vector: self.panels.c_stride,
            };
            rows_of_tiles::<S, T, R, K, NV>(
                s,
                self.m,
                self.steps,
                self.a,
                b,
                c,
                self.carry,
                if first == 0 { self.next } else { Next::new(&[]) },
            );
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
                while self.panels.count - first >= 4 {
                    self.some::<S, 4>(s, first);
                    first += 4;
                }
                match self.panels.count - first {
                    3 => self.some::<S, 3>(s, first),
                    2 => self.some::<S, 2>(s, first),
                    1 => self.some::<S, 1>(s, first),
                    _ => {}
                }
            } else {
                while first < self.panels.count {
                    self.some::<S, 1>(s, first);
                    first += 1;
                }
            }
        }
    }
}

/// Rows `picks` of `C = A·B` over `k` in `steps`; made only where pointers and indices are valid for the shapes.
///
/// `ACROSS`: whether the picked rows lie [`Across`] rows in memory; else they are rows in memory.
struct PartProduct<'a, T, const ACROSS: bool> {
    steps: &'a [u32],
    picks: &'a [u32],
    a: *const T,
    /// Elements from one row of `A` to the next.
    row: usize,
    /// Elements from one `k` of `A` to the next.
    step: usize,
    panels: Panels<T>,
    /// `c` holds chains that are carried on.
    carry: bool,
    /// What the tiles of the first panels ask for.
    next: Next<T>,
}

impl<T: Element, const ACROSS: bool> PartProduct<'_, T, ACROSS> {
    /// Tiles of `MR` picked rows of `NV` panels from panel `first` on, while there are so many; returns the rest.
    ///
    /// # Safety
    /// The pointers are valid for them.
    #[inline(always)]
    unsafe fn tiles<'p, S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        first: usize,
        mut picks: &'p [u32],
    ) -> &'p [u32] {
        while let Some((rows, rest)) = picks.split_first_chunk::<MR>() {
            if first == 0 {
                let done = self.picks.len() - picks.len();
                self.next.ask(s, done..done + MR, self.picks.len());
            }
            let offsets = rows.map(|i| i as usize * self.row);
            let (start, step) = (self.a, self.step);
            // SAFETY: panels `first..first + NV` exist on both sides, and the indices are in range.
            unsafe {
                let b = Vectors {
                    start: self.panels.b.add(first * self.panels.b_stride),
                    step: T::LANES,
                    vector: self.panels.b_stride,
                };
                let mut c = zeros::<S, T, MR, NV>(s);
                if self.carry {
                    for (vectors, &row) in c.iter_mut().zip(rows) {
                        for (j, vector) in vectors.iter_mut().enumerate() {
                            let from = self.panels.c.add((first + j) * self.panels.c_stride + row as usize * T::LANES);
                            *vector = V::<S, T>::load(s, from);
                        }
                    }
                }
                // A step of one panel along rows in memory is too short to ask for what the processor fetches by itself.
                if ACROSS || NV > 1 {
                    let a = Broadcast { start, rows: Picked::<MR, ROWS_AHEAD>(offsets), step };
                    accumulate(s, &mut c, Kept(self.steps), a, b);
                } else {
                    let a = Broadcast { start, rows: Picked::<MR, 0>(offsets), step };
                    accumulate(s, &mut c, Kept(self.steps), a, b);
                }
                for (vectors, &row) in c.into_iter().zip(rows) {
                    for (j, vector) in vectors.into_iter().enumerate() {
                        vector.store(self.panels.c.add((first + j) * self.panels.c_stride + row as usize * T::LANES));
                    }
                }
            }
            picks = rest;
        }
        picks
    }

    /// All picked rows of `NV` panels; tiles as in [`rows_of_tiles`], but at most 8 rows of those that are rows in memory
    /// ([`Stride`]). The offsets of 24 rows do not fit the registers, but a step of 24 cycles, which the lines asked for ahead
    /// need to arrive, has time to load them.
    ///
    /// # Safety
    /// The pointers are valid for them.
    #[inline(always)]
    unsafe fn some<S: Simd, const NV: usize>(&self, s: S, first: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let rest = match (S::LEVEL, NV) {
                (Level::Avx512, 1) if ACROSS => {
                    let rest = self.tiles::<S, 24, NV>(s, first, self.picks);
                    self.tiles::<S, 8, NV>(s, first, rest)
                }
                (Level::Avx512, 2) if ACROSS => self.tiles::<S, 12, NV>(s, first, self.picks),
                (Level::Avx512, 1..=3) => self.tiles::<S, 8, NV>(s, first, self.picks),
                _ => self.tiles::<S, 6, NV>(s, first, self.picks),
            };
            let rest = self.tiles::<S, 4, NV>(s, first, rest);
            self.tiles::<S, 1, NV>(s, first, rest);
        }
    }
}

impl<T: Element, const ACROSS: bool> Kernel for PartProduct<'_, T, ACROSS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut first = 0;
        // SAFETY: whoever made this checked pointers and indices for all panels.
        unsafe {
            if panels_at_once(S::LEVEL) == 4 {
                while self.panels.count - first >= 4 {
                    self.some::<S, 4>(s, first);
                    first += 4;
                }
                while self.panels.count - first >= 2 {
                    self.some::<S, 2>(s, first);
                    first += 2;
                }
            }
            while first < self.panels.count {
                self.some::<S, 1>(s, first);
                first += 1;
            }
        }
    }
}
