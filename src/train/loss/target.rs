//! Layer 4: the true values of a panel's rows, unit by unit.

use crate::simd::{Element, Simd, V, Vector};

/// True values of the lanes' rows.
pub(crate) trait Target<S: Simd, T: Element>: Copy {
    /// Those of one unit; 0 in padding.
    fn at(&self, s: S, unit: usize) -> V<S, T>;

    /// The unit with the largest, the first of equals.
    #[inline(always)]
    fn class(&self, s: S, units: usize) -> V<S, T> {
        let mut largest = self.at(s, 0);
        let mut class = V::<S, T>::zero(s);
        for unit in 1..units {
            let t = self.at(s, unit);
            let larger = largest.lt(t);
            largest = t.select(larger, largest);
            class = V::<S, T>::splat(s, T::from_f64(unit as f64)).select(larger, class);
        }
        class
    }
}

/// 1 at a row's label, 0 elsewhere. Labels are compared as floats, which are exact up to 2^24 classes.
#[derive(Clone, Copy)]
pub(crate) struct OneHot<X> {
    labels: X,
}

impl<X: Vector> OneHot<X> {
    /// The labels of some rows; padding has none.
    #[inline(always)]
    pub(crate) fn new(s: X::Token, labels: &[i64], rows: &[i64]) -> Self {
        let mut lanes = [X::Elem::from_f64(-1.0); 16];
        for (lane, &row) in lanes.iter_mut().zip(rows) {
            *lane = X::Elem::from_f64(labels[row as usize] as f64);
        }
        Self { labels: X::read(s, &lanes) }
    }
}

impl<S: Simd, T: Element> Target<S, T> for OneHot<V<S, T>> {
    #[inline(always)]
    fn at(&self, s: S, unit: usize) -> V<S, T> {
        let unit = V::<S, T>::splat(s, T::from_f64(unit as f64));
        V::<S, T>::splat(s, T::ONE).keep(self.labels.eq(unit))
    }

    #[inline(always)]
    fn class(&self, _: S, _: usize) -> V<S, T> {
        self.labels
    }
}

/// Values gathered from `[row][unit]`.
#[derive(Clone, Copy)]
pub(crate) struct Gathered<'a, T> {
    /// Those of the data set.
    pub(crate) values: &'a [T],
    /// The lanes' rows.
    pub(crate) rows: &'a [i64],
    /// Values of a row.
    pub(crate) units: usize,
}

impl<S: Simd, T: Element> Target<S, T> for Gathered<'_, T> {
    #[inline(always)]
    fn at(&self, s: S, unit: usize) -> V<S, T> {
        let mut lanes = [T::ZERO; 16];
        for (lane, &row) in lanes.iter_mut().zip(self.rows) {
            *lane = self.values[row as usize * self.units + unit];
        }
        V::<S, T>::read(s, &lanes)
    }
}

/// `target * factor + summand`
#[derive(Clone, Copy)]
pub(crate) struct Smoothed<G, X> {
    /// The true values.
    pub(crate) target: G,
    /// 1 less the smoothing.
    pub(crate) factor: X,
    /// The smoothing's share of one unit.
    pub(crate) summand: X,
}

impl<S: Simd, T: Element, G: Target<S, T>> Target<S, T> for Smoothed<G, V<S, T>> {
    #[inline(always)]
    fn at(&self, s: S, unit: usize) -> V<S, T> {
        self.target.at(s, unit).mul_add(self.factor, self.summand)
    }
}
