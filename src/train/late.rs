//! Layer 4: a parameter's update a vector at a time, for products that bring in one tile while they compute the next.

use std::marker::PhantomData;

use super::optimizer::{STATES, UpdateRule};
use super::update::{Each, Parameter, at};
use crate::gemm::outer::Update;
use crate::simd::{Element, Simd};

/// Elements of a parameter and its state above which a late update asks for lines ahead: what the second-level cache has not
/// is soon there from the third, but not from memory.
const VERY_FAR: usize = 1 << 20;

/// Applies a rule, without penalties, to a parameter of which the rows that are asked for belong to the caller.
#[derive(Clone, Copy)]
pub(crate) struct Late<'a, T, R> {
    rule: R,
    width: usize,
    len: usize,
    values: *mut T,
    states: [*mut T; STATES],
    parameter: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element, R: UpdateRule<T>> Late<'a, T, R> {
    /// The rule of this step for a parameter.
    pub(crate) fn new(rule: R, parameter: &Parameter<'a, T>) -> Self {
        let len = parameter.values.len();
        let values = parameter.values.as_ptr();
        let mut states = [values; STATES];
        for (to, state) in states.iter_mut().zip(&parameter.states).take(R::STATES) {
            *to = state.at(0..len);
        }
        Self { rule, width: parameter.columns, len, values, states, parameter: PhantomData }
    }
}

impl<T: Element, R: UpdateRule<T>> Update<T> for Late<'_, T, R> {
    #[inline(always)]
    fn width(&self) -> usize {
        self.width
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn is_far(&self) -> bool {
        self.len * (1 + R::STATES) >= VERY_FAR
    }

    #[inline(always)]
    fn expect<S: Simd>(&self, s: S, start: usize) {
        s.prefetch(self.values.wrapping_add(start));
        for state in self.states.iter().take(R::STATES) {
            s.prefetch(state.wrapping_add(start));
        }
    }

    #[inline(always)]
    unsafe fn update<S: Simd>(&self, s: S, start: usize, lanes: usize, gradient: *const T) {
        let each = Each::<S, T, R>::new(s, self.rule);
        let (values, states) = (self.values.wrapping_add(start), at(self.states, start));
        // SAFETY: the caller's promise; states are as long as the values.
        unsafe {
            if lanes == T::LANES {
                each.vector::<true>(gradient, values, states, lanes);
            } else {
                each.vector::<false>(gradient, values, states, lanes);
            }
        }
    }
}
