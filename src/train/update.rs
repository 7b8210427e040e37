//! Layer 4: a piece of gradient on its way into a parameter.
//!
//! [`Direct`] hands a tile to the optimizer while it is in the first-level cache. [`Store`] keeps it, for clipping by a
//! norm, which needs all of a gradient before any of it is used.

use std::ops::Range;

use super::late::Late;
use super::layer::Limits;
use super::optimizer::{STATES, UpdateRule};
use crate::gemm::outer::{Descent, Outer, Piece, Sink};
use crate::parallel::Shared;
use crate::simd::{Element, Kernel, Level, Mask, Simd, V, Vector};

/// A parameter with its optimizer state, in the hands of a team: rows of it belong to one member in phase two.
pub(crate) struct Parameter<'a, T> {
    /// The values, `[rows, columns]`; a bias is one row.
    pub(crate) values: Shared<'a, T>,
    /// Columns.
    pub(crate) columns: usize,
    /// The optimizer's slots.
    pub(crate) states: Vec<Shared<'a, T>>,
    /// Penalties and constraint.
    pub(crate) limits: Limits,
}

/// The gradient of the penalties: `l1 · sign(w) + 2 · l2 · w`.
struct Decay<X> {
    l1: X,
    l2: X,
}

impl<X: Vector> Decay<X> {
    #[inline(always)]
    fn new(s: X::Token, limits: Limits) -> Option<Self> {
        let splat = |x| X::splat(s, X::Elem::from_f64(x));
        limits.decays().then(|| Self { l1: splat(limits.l1), l2: splat(2.0 * limits.l2) })
    }

    #[inline(always)]
    fn add_to(&self, s: X::Token, gradient: X, value: X) -> X {
        let not_zero = value.eq(X::zero(s)).not();
        value.mul_add(self.l2, gradient).add(self.l1.copy_sign(value).keep(not_zero))
    }
}

/// Applies pieces of gradient to a parameter.
pub(crate) struct Direct<'a, 'b, S, T, R> {
    /// The level.
    pub(crate) s: S,
    /// The optimizer at this step.
    pub(crate) rule: R,
    /// The parameter.
    pub(crate) parameter: &'a Parameter<'b, T>,
}

/// Elements of a parameter above which its lines are asked for ahead: smaller ones, with some state, stay in the
/// second-level cache from step to step, which answers soon enough.
const FAR: usize = 1 << 18;

impl<S: Simd, T: Element, R: UpdateRule<T>> Sink<T> for Direct<'_, '_, S, T, R> {
    fn expect(&self, rows: Range<usize>, columns: Range<usize>) {
        if self.parameter.values.len() * (1 + R::STATES) < FAR {
            return;
        }
        self.s.run(Expect { parameter: self.parameter, states: R::STATES, rows, columns });
    }

    fn take(&mut self, piece: Piece<'_, T>) {
        let (rule, parameter, limits) = (self.rule, self.parameter, self.parameter.limits);
        self.s.run(Apply { rule, parameter, scale: None, limits, piece });
    }

    fn take_product<P: Simd>(&mut self, s: P, operands: Outer<'_, T>, rows: Range<usize>, n: usize) {
        if R::SLOW && P::LEVEL == Level::Avx512 && !self.parameter.limits.decays() {
            operands.run_late(s, rows, Late::new(self.rule, self.parameter));
        } else {
            operands.run(s, rows, n, self);
        }
    }

    fn descent(&self) -> Option<Descent<'_, T>> {
        let rate = self.rule.descent().filter(|_| !self.parameter.limits.decays())?;
        Some(Descent { kernel: self.parameter.values, rate })
    }
}

/// Asks the cache for a piece of a parameter and of its state.
struct Expect<'a, 'b, T> {
    parameter: &'a Parameter<'b, T>,
    states: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl<T: Element> Kernel for Expect<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for values in std::iter::once(&self.parameter.values).chain(self.parameter.states.iter().take(self.states)) {
            for row in self.rows.clone() {
                let start = values.as_ptr().wrapping_add(row * self.parameter.columns);
                for column in self.columns.clone().step_by(T::LANES) {
                    s.prefetch(start.wrapping_add(column));
                }
                s.prefetch(start.wrapping_add(self.columns.end - 1));
            }
        }
    }
}

/// One piece applied.
pub(crate) struct Apply<'a, 'b, 'c, T, R> {
    /// The optimizer at this step.
    pub(crate) rule: R,
    /// The parameter.
    pub(crate) parameter: &'a Parameter<'b, T>,
    /// Multiplies the gradient (clipping by a norm).
    pub(crate) scale: Option<T>,
    /// Penalties whose gradient is still to be added.
    pub(crate) limits: Limits,
    /// The gradient.
    pub(crate) piece: Piece<'c, T>,
}

impl<T: Element, R: UpdateRule<T>> Kernel for Apply<'_, '_, '_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Piece { rows, columns, gradient, stride } = self.piece;
        // A closure would be compiled without the level's instructions.
        #[allow(clippy::manual_map, reason = "see above")]
        let each = Each::<S, T, R> {
            s,
            rule: self.rule,
            decay: Decay::new(s, self.limits),
            scale: match self.scale {
                Some(scale) => Some(V::<S, T>::splat(s, scale)),
                None => None,
            },
        };
        if rows.is_empty() {
            return;
        }
        let width = self.parameter.columns;
        let range = rows.start * width + columns.start..(rows.end - 1) * width + columns.end;
        assert!(columns.len() <= stride && columns.end <= width && rows.len() * stride <= gradient.len());
        let mut values = self.parameter.values.at(range.clone());
        let mut states = [values; STATES];
        for (to, state) in states.iter_mut().zip(&self.parameter.states).take(R::STATES) {
            *to = state.at(range.clone());
        }
        let mut gradient = gradient.as_ptr();
        let whole = columns.len() / T::LANES * T::LANES;
        for _ in rows {
            // SAFETY: this member has these rows of the parameter for itself until the next barrier, and the pointers stay
            // within what was checked; gradients are whole vectors, as long as the values at least.
            unsafe {
                for first in (0..whole).step_by(T::LANES) {
                    each.vector::<true>(gradient.add(first), values.add(first), at(states, first), T::LANES);
                }
                if whole < columns.len() {
                    let lanes = columns.len() - whole;
                    each.vector::<false>(gradient.add(whole), values.add(whole), at(states, whole), lanes);
                }
            }
            (gradient, values, states) = (gradient.wrapping_add(stride), values.wrapping_add(width), at(states, width));
        }
    }
}

/// Pointers moved on.
#[inline(always)]
pub(super) fn at<T>([a, b, c]: [*mut T; STATES], first: usize) -> [*mut T; STATES] {
    [a.wrapping_add(first), b.wrapping_add(first), c.wrapping_add(first)]
}

/// [`Apply`] on one vector.
pub(super) struct Each<S: Simd, T: Element, R> {
    s: S,
    rule: R,
    decay: Option<Decay<V<S, T>>>,
    scale: Option<V<S, T>>,
}

impl<S: Simd, T: Element, R: UpdateRule<T>> Each<S, T, R> {
    /// The rule, and nothing else.
    #[inline(always)]
    pub(super) fn new(s: S, rule: R) -> Self {
        Self { s, rule, decay: None, scale: None }
    }

    #[inline(always)]
    fn update(&self, mut change: V<S, T>, old: V<S, T>, slots: [V<S, T>; STATES]) -> (V<S, T>, [V<S, T>; STATES]) {
        if let Some(decay) = &self.decay {
            change = decay.add_to(self.s, change, old);
        }
        if let Some(scale) = self.scale {
            change = change.mul(scale);
        }
        self.rule.update(self.s, old, change, slots)
    }

    /// The first `count` lanes of a vector, or with `WHOLE` all, which need no lane mask.
    ///
    /// # Safety
    /// So many elements at each pointer are readable, and but for the gradient's writable; so for the states in use.
    #[inline(always)]
    pub(super) unsafe fn vector<const WHOLE: bool>(
        &self,
        gradient: *const T,
        value: *mut T,
        states: [*mut T; STATES],
        count: usize,
    ) {
        let s = self.s;
        // SAFETY: the caller's promise.
        unsafe {
            let mut slots = [V::<S, T>::zero(s); STATES];
            for (slot, &state) in slots.iter_mut().zip(&states).take(R::STATES) {
                *slot = fetch::<S, T, WHOLE>(s, state, count);
            }
            let (change, old) = (fetch::<S, T, WHOLE>(s, gradient, count), fetch::<S, T, WHOLE>(s, value, count));
            let (new, slots) = self.update(change, old, slots);
            put::<S, T, WHOLE>(new, value, count);
            for (slot, state) in slots.into_iter().zip(states).take(R::STATES) {
                put::<S, T, WHOLE>(slot, state, count);
            }
        }
    }
}

/// # Safety
/// `count` elements at `p` are readable, with `WHOLE` a vector.
#[inline(always)]
unsafe fn fetch<S: Simd, T: Element, const WHOLE: bool>(s: S, p: *const T, count: usize) -> V<S, T> {
    // SAFETY: the caller's promise.
    unsafe { if WHOLE { V::<S, T>::load(s, p) } else { V::<S, T>::load_first(s, p, count) } }
}

/// # Safety
/// `count` elements at `p` are writable, with `WHOLE` a vector.
#[inline(always)]
unsafe fn put<S: Simd, T: Element, const WHOLE: bool>(vector: V<S, T>, p: *mut T, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { if WHOLE { vector.store(p) } else { vector.store_first(p, count) } }
}

/// Keeps a gradient, that of the penalties included.
pub(crate) struct Store<'a, 'b, S, T> {
    /// The level.
    pub(crate) s: S,
    /// The parameter, whose shape the gradient has.
    pub(crate) parameter: &'a Parameter<'b, T>,
    /// Where the gradient goes.
    pub(crate) gradient: Shared<'b, T>,
}

impl<S: Simd, T: Element> Sink<T> for Store<'_, '_, S, T> {
    fn expect(&self, _rows: Range<usize>, _columns: Range<usize>) {}

    fn take(&mut self, piece: Piece<'_, T>) {
        self.s.run(Keep { parameter: self.parameter, gradient: self.gradient, piece });
    }
}

/// One piece kept.
struct Keep<'a, 'b, 'c, T> {
    parameter: &'a Parameter<'b, T>,
    gradient: Shared<'b, T>,
    piece: Piece<'c, T>,
}

impl<T: Element> Kernel for Keep<'_, '_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Piece { rows, columns, gradient, stride } = self.piece;
        let decay = Decay::<V<S, T>>::new(s, self.parameter.limits);
        for (row, gradient) in rows.zip(gradient.chunks(stride)) {
            let start = row * self.parameter.columns + columns.start;
            let range = start..start + columns.len();
            // SAFETY: this member has these rows of parameter and gradient for itself until the next barrier.
            let (values, kept) = unsafe { (self.parameter.values.part(range.clone()), self.gradient.part(range)) };
            for (index, (value, kept)) in values.chunks(T::LANES).zip(kept.chunks_mut(T::LANES)).enumerate() {
                let mut change = V::<S, T>::from_slice(s, &gradient[index * T::LANES..]);
                if let Some(decay) = &decay {
                    change = decay.add_to(s, change, V::<S, T>::from_slice(s, value));
                }
                change.write_first(kept);
            }
        }
    }
}

/// The sum of squares by sixteen (`f64`: eight) fixed lanes and one fixed tree.
pub(crate) struct SumOfSquares<'a, T>(pub(crate) &'a [T]);

impl<T: Element + std::ops::Add<Output = T>> Kernel for SumOfSquares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let mut sum = V::<S, T>::zero(s);
        for chunk in self.0.chunks(T::LANES) {
            let x = V::<S, T>::from_slice(s, chunk);
            sum = x.mul_add(x, sum);
        }
        sum.reduce_sum().to_f64()
    }
}

/// The penalty of some weights in the loss, summed in ascending order.
pub(crate) fn penalty<T: Element>(values: &[T], limits: Limits) -> f64 {
    values.iter().map(|w| w.to_f64()).map(|w| limits.l1 * w.abs() + limits.l2 * w * w).sum()
}

/// Scales columns whose Euclidean norm exceeds `max_norm` down to it (Srivastava 2014, section 5.1), by Keras' formula:
/// `w · min(norm, max_norm) / (norm + 1e-7)`.
pub(crate) struct MaxNorm<'a, 'b, T> {
    /// The parameter.
    pub(crate) parameter: &'a Parameter<'b, T>,
    /// Elements of a row: those of a kernel `[inputs, units]`, 1 for a bias, which is one column.
    pub(crate) width: usize,
    /// The columns to look at.
    pub(crate) columns: Range<usize>,
    /// The bound.
    pub(crate) max_norm: f64,
}

impl<T: Element> Kernel for MaxNorm<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.parameter.values.len() / self.width;
        let bound = V::<S, T>::splat(s, T::from_f64(self.max_norm));
        let epsilon = V::<S, T>::splat(s, T::from_f64(1e-7));
        let one = V::<S, T>::splat(s, T::ONE);
        for first in self.columns.clone().step_by(T::LANES) {
            let lanes = T::LANES.min(self.columns.end - first);
            let mut squares = V::<S, T>::zero(s);
            for row in 0..rows {
                // SAFETY: this member has these columns for itself until the next barrier.
                let part = unsafe { self.part(row, first, lanes) };
                let w = V::<S, T>::from_slice(s, part);
                squares = w.mul_add(w, squares);
            }
            let norm = squares.sqrt();
            let factor = norm.min(bound).div(norm.add(epsilon));
            if factor.eq(one).not().to_bits() & ((1 << lanes) - 1) == 0 {
                continue;
            }
            for row in 0..rows {
                // SAFETY: as above.
                let part = unsafe { self.part(row, first, lanes) };
                V::<S, T>::from_slice(s, part).mul(factor).write_first(part);
            }
        }
    }
}

impl<'b, T: Element> MaxNorm<'_, 'b, T> {
    /// Up to a vector of elements of a row.
    ///
    /// # Safety
    /// The caller has them for itself.
    #[inline(always)]
    unsafe fn part(&self, row: usize, first: usize, lanes: usize) -> &'b mut [T] {
        let start = row * self.width + first;
        // SAFETY: the caller's promise.
        unsafe { self.parameter.values.part(start..start + lanes) }
    }
}
