//! Layer 2: the weight gradient where all rows share one mask: kept inputs by kept outputs, spread into the whole.

use std::ops::Range;

use super::groups::picked;
use super::{BLOCK, Outer, Piece, Sink};
use crate::gemm::tile::{Target, store, zeros};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector};

/// The tiles of [`Outer::run_thin`], whose operands were checked.
pub(super) struct ThinTiles<'a, 'b, T> {
    pub(super) operands: Outer<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) n: usize,
    pub(super) inputs: &'b [u32],
    pub(super) outputs: &'b [u32],
    pub(super) sink: &'b mut dyn Sink<T>,
}

impl<T: Element> Kernel for ThinTiles<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (mut first, mut column) = (0, 0);
        while column < self.n {
            let wide = S::LEVEL == Level::Avx512 && self.outputs.len() - first > 2 * T::LANES;
            column = if wide {
                self.columns::<S, 8, 3>(s, first, column)
            } else {
                self.columns::<S, 6, 1>(s, first, column)
            };
            first += if wide { 3 * T::LANES } else { T::LANES };
            first = first.min(self.outputs.len());
        }
    }
}

impl<T: Element> ThinTiles<'_, '_, T> {
    /// The kept columns from number `first` on, `NV` vectors of them, with the dropped ones from `column` on until the next
    /// kept one, which is returned.
    #[inline(always)]
    fn columns<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, first: usize, column: usize) -> usize {
        let outputs = &self.outputs[first..];
        let end = outputs.get(NV * T::LANES).map_or(self.n, |&next| next as usize);
        let outputs = &outputs[..outputs.len().min(NV * T::LANES)];
        // Spreading reads a vector from any of its elements on.
        let mut product = [T::ZERO; BLOCK + 16];
        if !outputs.is_empty() {
            let columns = column..end;
            let done = self.tiles::<S, MR, NV>(s, first, 0, &columns, &mut product);
            let done = self.tiles::<S, 4, NV>(s, first, done, &columns, &mut product);
            let done = self.tiles::<S, 2, NV>(s, first, done, &columns, &mut product);
            self.tiles::<S, 1, NV>(s, first, done, &columns, &mut product);
        }
        self.spread(s, &product, NV * T::LANES, outputs, column..end);
        end
    }

    /// Tiles of `MR` kept inputs from number `done` on while there are so many; returns how many are done. They ask for what
    /// the sink will touch of `columns`.
    #[inline(always)]
    fn tiles<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        first: usize,
        mut done: usize,
        columns: &Range<usize>,
        product: &mut [T; BLOCK + 16],
    ) -> usize {
        while let Some((inputs, _)) = self.inputs[done..].split_first_chunk::<MR>() {
            self.sink.expect(inputs[0] as usize..inputs[MR - 1] as usize + 1, columns.clone());
            // SAFETY: `Outer::run_thin` checked the operands, and that there are at most `BLOCK_ROWS` inputs.
            unsafe {
                let mut c = zeros::<S, T, MR, NV>(s);
                picked(s, &mut c, &self.operands, 0..self.operands.batch, inputs, first);
                let start = product.as_mut_ptr().add(done * NV * T::LANES);
                store::<S, T, MR, NV>(c, Target { start, row: NV * T::LANES, vector: T::LANES });
            }
            done += MR;
        }
        done
    }

    /// Hands on columns `columns` of the gradient, of which `product`, a row for each kept input and `stride` apart, has
    /// those in `outputs`.
    #[inline(always)]
    fn spread<S: Simd>(
        &mut self,
        s: S,
        product: &[T; BLOCK + 16],
        stride: usize,
        outputs: &[u32],
        columns: Range<usize>,
    ) {
        let mut gradient = [T::ZERO; BLOCK];
        let wide = 3 * T::LANES;
        let mut place = 0;
        for column in columns.clone().step_by(wide) {
            let columns = column..columns.end.min(column + wide);
            for vector in 0..3 {
                let lanes = column + vector * T::LANES..columns.end.min(column + (vector + 1) * T::LANES);
                let kept = outputs[place..].iter().take_while(|&&output| (output as usize) < lanes.end);
                let bits = kept.fold(0, |bits, &output| bits | 1 << (output as usize - lanes.start));
                for (row, &input) in self.inputs.iter().enumerate() {
                    let to = (input as usize - self.rows.start) * wide + vector * T::LANES;
                    // SAFETY: both arrays hold `BLOCK_ROWS` rows, and `product` a vector more.
                    unsafe {
                        let kept = V::<S, T>::expand(s, product.as_ptr().add(row * stride + place), bits);
                        kept.store(gradient.as_mut_ptr().add(to));
                    }
                }
                place += bits.count_ones() as usize;
            }
            self.sink.take(Piece { rows: self.rows.clone(), columns, gradient: &gradient, stride: wide });
        }
    }
}
