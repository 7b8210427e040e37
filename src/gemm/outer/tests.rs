//! Weight gradients against their definition, bit for bit, on every level: whole, and by row groups that kept some inputs, or
//! some inputs and outputs.

use std::ops::Range;

use proptest::prelude::*;

use super::{BLOCK_ROWS, Descent, Outer, Piece, RowGroup, Sink, ThinGroup, Update};
use crate::gemm::kept::Kept;
use crate::parallel::Shared;
use crate::simd::{Element, Kernel, Simd, V, Vector, available, dispatch_at};

/// Collects a gradient and counts how often each element came.
struct Collect<T> {
    columns: usize,
    gradient: Vec<T>,
    times: Vec<u32>,
}

impl<T: Element> Sink<T> for Collect<T> {
    fn expect(&self, rows: Range<usize>, columns: Range<usize>) {
        assert!(rows.end * self.columns <= self.gradient.len() && columns.end <= self.columns);
        assert!(!rows.is_empty() && !columns.is_empty());
    }

    fn take(&mut self, piece: Piece<'_, T>) {
        assert!(piece.stride.is_multiple_of(T::LANES));
        for (row, values) in piece.rows.zip(piece.gradient.chunks(piece.stride)) {
            for (column, &value) in piece.columns.clone().zip(values) {
                self.gradient[row * self.columns + column] = value;
                self.times[row * self.columns + column] += 1;
            }
        }
    }
}

/// Which way to compute it.
#[derive(Debug, Clone, Copy)]
enum Way {
    Whole,
    Groups(usize),
    Thin(usize),
}

struct Case<T> {
    batch: usize,
    inputs: usize,
    outputs: usize,
    /// `[row][input]`, zero where dropped.
    x: Vec<T>,
    /// `[row][output]`, zero where dropped.
    dy: Vec<T>,
    way: Way,
}

/// A number in [-0.5, 0.5) for each index.
fn number(index: usize) -> f64 {
    (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) as f64 / 2f64.powi(64) - 0.5
}

/// Whether a mask with `seed` keeps element `index`: some keep half of them, some most, some few, some none.
fn keeps(seed: usize, index: usize) -> bool {
    number(seed * 1_000_003 + index * 7 + 1) > [0.0, -0.3, 0.0, 0.43, 0.5][seed % 5]
}

impl<T: Element> Case<T> {
    fn new(batch: usize, inputs: usize, outputs: usize, way: Way) -> Self {
        let mask_of = |row: usize| match way {
            Way::Whole => 0,
            Way::Groups(rows) | Way::Thin(rows) => 1 + row / rows,
        };
        let x = |index: usize| {
            let seed = mask_of(index / inputs);
            if seed == 0 || keeps(seed, index % inputs) { T::from_f64(number(index)) } else { T::ZERO }
        };
        let dy = |index: usize| {
            let dropped = matches!(way, Way::Thin(rows) if !keeps(77 + index / outputs / rows, index % outputs));
            if dropped { T::ZERO } else { T::from_f64(number(index + 500_000)) }
        };
        Self {
            batch,
            inputs,
            outputs,
            x: (0..batch * inputs).map(x).collect(),
            dy: (0..batch * outputs).map(dy).collect(),
            way,
        }
    }

    /// The gradient by definition: one chain in ascending rows for each element.
    fn exact(&self) -> Vec<T> {
        let element = |index: usize| {
            let (input, output) = (index / self.outputs, index % self.outputs);
            let step = |sum: T, row: usize| {
                self.x[row * self.inputs + input].mul_add(self.dy[row * self.outputs + output], sum)
            };
            (0..self.batch).fold(T::ZERO, step)
        };
        (0..self.inputs * self.outputs).map(element).collect()
    }

    fn kept(seed: usize, range: Range<usize>) -> Vec<u32> {
        range.filter(|&index| keeps(seed, index)).map(|index| index as u32).collect()
    }

    /// What the group of row `row` kept of the outputs.
    fn outputs_of(&self, row: usize) -> Kept {
        let Way::Thin(rows) = self.way else { return Kept::all::<T>(self.outputs) };
        let word =
            |first: usize| (0..32).fold(0, |word, bit| word | u32::from(keeps(77 + row / rows, first + bit)) << bit);
        let mut kept = Kept::default();
        kept.fill::<T>(self.outputs, (0..self.outputs).step_by(32).map(word));
        kept
    }
}

impl<T: Element> Kernel for &Case<T> {
    type Output = Collect<T>;

    fn run<S: Simd>(self, s: S) -> Collect<T> {
        let size = self.inputs * self.outputs;
        let mut sink = Collect { columns: self.outputs, gradient: vec![T::ZERO; size], times: vec![0; size] };
        self.run_with(s, &mut sink);
        sink
    }
}

impl<T: Element> Case<T> {
    /// Computes the gradient and hands it to a sink.
    fn run_with<S: Simd>(&self, s: S, sink: &mut impl Sink<T>) {
        let panels = self.batch.div_ceil(T::LANES);
        let x_stride = self.inputs * T::LANES;
        let mut x = vec![T::ZERO; panels * x_stride];
        for row in 0..self.batch {
            for input in 0..self.inputs {
                x[row / T::LANES * x_stride + input * T::LANES + row % T::LANES] = self.x[row * self.inputs + input];
            }
        }
        let dy_stride = self.outputs.next_multiple_of(T::LANES);
        // What a row does not hold must not matter.
        let mut dy = vec![T::from_f64(f64::NAN); self.batch * dy_stride + T::LANES];
        for row in 0..self.batch {
            for (place, &output) in self.outputs_of(row).list.iter().enumerate() {
                dy[row * dy_stride + place] = self.dy[row * self.outputs + output as usize];
            }
        }
        let operands = Outer { x: &x, x_stride, dy: &dy, dy_stride, batch: self.batch };
        for start in (0..self.inputs).step_by(BLOCK_ROWS) {
            let rows = start..self.inputs.min(start + BLOCK_ROWS);
            match self.way {
                Way::Whole => sink.take_product(s, operands, rows, self.outputs),
                Way::Groups(size) => {
                    let kept = |start: usize| {
                        (start..self.batch.min(start + size), Case::<T>::kept(1 + start / size, rows.clone()))
                    };
                    let kept: Vec<_> = (0..self.batch).step_by(size).map(kept).collect();
                    let groups: Vec<_> =
                        kept.iter().map(|(rows, kept)| RowGroup { rows: rows.clone(), kept }).collect();
                    operands.run_groups(s, rows.clone(), self.outputs, &groups, sink);
                }
                Way::Thin(size) => {
                    let kept = |start: usize| {
                        (
                            start..self.batch.min(start + size),
                            Case::<T>::kept(1 + start / size, rows.clone()),
                            self.outputs_of(start),
                        )
                    };
                    let kept: Vec<_> = (0..self.batch).step_by(size).map(kept).collect();
                    let groups: Vec<_> = kept
                        .iter()
                        .map(|(rows, inputs, outputs)| ThinGroup { rows: rows.clone(), inputs, outputs })
                        .collect();
                    operands.run_thin(s, rows, self.outputs, &groups, sink);
                }
            }
        }
    }
}

fn check<T: Element>(batch: usize, inputs: usize, outputs: usize, way: Way) {
    let case = Case::<T>::new(batch, inputs, outputs, way);
    let exact = case.exact();
    for level in available() {
        let sink = dispatch_at(level, &case);
        assert!(sink.times.iter().all(|&times| times == 1), "{level:?} {way:?}: an element came twice or never");
        for (index, (got, want)) in sink.gradient.iter().zip(&exact).enumerate() {
            assert_eq!(got.to_f64().to_bits(), want.to_f64().to_bits(), "{level:?} {way:?}: element {index}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whole_gradients_are_their_definition(batch in 1_usize..70, inputs in 1_usize..110, outputs in 1_usize..120) {
        check::<f32>(batch, inputs, outputs, Way::Whole);
        check::<f64>(batch, inputs, outputs, Way::Whole);
    }

    #[test]
    fn row_groups_add_to_what_they_kept(batch in 1_usize..70, inputs in 1_usize..110, outputs in 1_usize..120) {
        check::<f32>(batch, inputs, outputs, Way::Groups(16));
        check::<f64>(batch, inputs, outputs, Way::Groups(24));
    }

    #[test]
    fn row_groups_add_to_where_both_sides_were_kept(batch in 1_usize..90, inputs in 1_usize..110, outputs in 1_usize..500) {
        check::<f32>(batch, inputs, outputs, Way::Thin(16));
        check::<f32>(batch, inputs, outputs, Way::Thin(batch));
        check::<f64>(batch, inputs, outputs, Way::Thin(24));
    }
}

/// A kernel from which tiles subtract the gradient; no piece comes.
struct Descends<'a, T>(Shared<'a, T>);

impl<T: Element> Sink<T> for Descends<'_, T> {
    fn expect(&self, _rows: Range<usize>, _columns: Range<usize>) {}

    fn take(&mut self, _piece: Piece<'_, T>) {
        unreachable!("tiles subtract the gradient themselves");
    }

    fn descent(&self) -> Option<Descent<'_, T>> {
        Some(Descent { kernel: self.0, rate: T::from_f64(0.1) })
    }
}

/// A case, and the kernel it is subtracted from.
struct Descend<'a, T>(&'a Case<T>, Shared<'a, T>);

impl<T: Element> Kernel for Descend<'_, T> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        self.0.run_with(s, &mut Descends(self.1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tiles_descend_by_themselves(batch in 1_usize..40, inputs in 1_usize..60, outputs in 1_usize..120) {
        let case = Case::<f32>::new(batch, inputs, outputs, Way::Whole);
        let old = |index: usize| number(index + 900_000) as f32;
        for level in available() {
            let mut kernel: Vec<f32> = (0..inputs * outputs).map(old).collect();
            dispatch_at(level, Descend(&case, Shared::new(&mut kernel)));
            for (index, (new, gradient)) in kernel.iter().zip(case.exact()).enumerate() {
                prop_assert_eq!(*new, gradient.mul_add(-0.1, old(index)), "{:?}: element {}", level, index);
            }
        }
    }
}

/// A kernel to which vectors of the gradient are added while tiles are computed.
#[derive(Clone, Copy)]
struct Adds<T> {
    kernel: *mut T,
    width: usize,
    len: usize,
    is_far: bool,
}

impl<T: Element> Update<T> for Adds<T> {
    fn width(&self) -> usize {
        self.width
    }

    fn size(&self) -> usize {
        self.len
    }

    fn is_far(&self) -> bool {
        self.is_far
    }

    fn expect<S: Simd>(&self, _s: S, start: usize) {
        assert!(self.is_far && start < self.len);
    }

    unsafe fn update<S: Simd>(&self, s: S, start: usize, lanes: usize, gradient: *const T) {
        assert!((1..=T::LANES).contains(&lanes) && start + lanes <= self.len);
        // SAFETY: just checked; the caller's promise for the gradient.
        unsafe {
            let place = self.kernel.add(start);
            V::<S, T>::load(s, gradient).add(V::<S, T>::load_first(s, place, lanes)).store_first(place, lanes);
        }
    }
}

/// A case, and the kernel it is added to.
struct AddLate<'a, T>(&'a Case<T>, Adds<T>);

impl<T: Element> Sink<T> for Adds<T> {
    fn expect(&self, _rows: Range<usize>, _columns: Range<usize>) {}

    fn take(&mut self, _piece: Piece<'_, T>) {
        unreachable!("tiles are brought in late");
    }

    fn take_product<S: Simd>(&mut self, s: S, operands: Outer<'_, T>, rows: Range<usize>, n: usize) {
        assert_eq!(n, self.width);
        operands.run_late(s, rows, *self);
    }
}

impl<T: Element> Kernel for AddLate<'_, T> {
    type Output = ();

    fn run<S: Simd>(mut self, s: S) {
        self.0.run_with(s, &mut self.1);
    }
}

fn check_late<T: Element + std::ops::Add<Output = T>>(batch: usize, inputs: usize, outputs: usize) {
    let case = Case::<T>::new(batch, inputs, outputs, Way::Whole);
    let old = |index: usize| T::from_f64(number(index + 900_000));
    for level in available() {
        for is_far in [false, true] {
            let mut kernel: Vec<T> = (0..inputs * outputs).map(old).collect();
            let adds = Adds { kernel: kernel.as_mut_ptr(), width: outputs, len: kernel.len(), is_far };
            dispatch_at(level, AddLate(&case, adds));
            for (index, (&new, gradient)) in kernel.iter().zip(case.exact()).enumerate() {
                assert_eq!(new, gradient + old(index), "{level:?}: element {index}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn late_tiles_are_brought_in_once(batch in 1_usize..70, inputs in 1_usize..110, outputs in 1_usize..120) {
        check_late::<f32>(batch, inputs, outputs);
        check_late::<f64>(batch, inputs, outputs);
    }
}

#[test]
fn a_batch_that_keeps_no_output_has_no_gradient() {
    let x = vec![1.0_f32; 16 * 3];
    let mut sink = Collect { columns: 5, gradient: vec![9.0; 15], times: vec![0; 15] };
    let operands = Outer { x: &x, x_stride: 48, dy: &[0.0; 16], dy_stride: 0, batch: 4 };
    for level in available() {
        struct Empty<'a, 'b>(Outer<'a, f32>, &'b mut Collect<f32>);
        impl Kernel for Empty<'_, '_> {
            type Output = ();

            fn run<S: Simd>(self, s: S) {
                let mut outputs = Kept::default();
                outputs.fill::<f32>(5, [0].into_iter());
                let group = ThinGroup { rows: 0..4, inputs: &[0, 2], outputs: &outputs };
                self.0.run_thin(s, 0..3, 5, &[group], self.1);
            }
        }
        dispatch_at(level, Empty(operands, &mut sink));
    }
    assert!(sink.gradient.iter().all(|&value| value == 0.0));
}
