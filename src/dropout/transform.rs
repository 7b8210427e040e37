//! Layer 2: what becomes of kept and of dropped elements.

use crate::simd::{Element, Simd, V, Vector};

/// SELU's limit at minus infinity, -scale * alpha (Klambauer et al. 2017): where alpha dropout puts what it drops.
pub(crate) const ALPHA_PRIME: f64 = -1.758_099_340_847_376_6;

/// A rule for kept and dropped elements, by lanes.
pub(crate) trait Transform<W: Element>: Copy + Send + Sync {
    /// The rule's numbers in vectors.
    type Ready<S: Simd>: Copy;

    /// Puts the rule's numbers into vectors, rounded once to `W`.
    fn ready<S: Simd>(self, s: S) -> Self::Ready<S>;

    /// What kept elements become.
    fn kept<S: Simd>(ready: Self::Ready<S>, x: V<S, W>) -> V<S, W>;

    /// What dropped elements become.
    fn dropped<S: Simd>(s: S, ready: Self::Ready<S>) -> V<S, W>;

    /// The result; lanes of `mask` are kept.
    fn apply<S: Simd>(ready: Self::Ready<S>, x: V<S, W>, mask: <V<S, W> as Vector>::Mask) -> V<S, W>;
}

/// Inverted dropout and its gradient: kept elements times a number, dropped ones +0.0 whatever they were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale(f64);

impl Scale {
    /// 1 / (1 - rate). At rate 1 nothing is kept, and the quotient is not formed.
    pub(crate) fn inverted(rate: f64) -> Self {
        Self(if rate == 1.0 { 0.0 } else { 1.0 / (1.0 - rate) })
    }

    /// The gradient of alpha dropout: `a` of [`Affine::alpha`].
    pub(crate) fn alpha_gradient(rate: f64) -> Self {
        Self(Affine::alpha(rate).slope)
    }
}

impl<W: Element> Transform<W> for Scale {
    type Ready<S: Simd> = V<S, W>;

    #[inline(always)]
    fn ready<S: Simd>(self, s: S) -> V<S, W> {
        V::<S, W>::splat(s, W::from_f64(self.0))
    }

    #[inline(always)]
    fn kept<S: Simd>(scale: V<S, W>, x: V<S, W>) -> V<S, W> {
        x.mul(scale)
    }

    #[inline(always)]
    fn dropped<S: Simd>(s: S, _: V<S, W>) -> V<S, W> {
        V::<S, W>::zero(s)
    }

    #[inline(always)]
    fn apply<S: Simd>(scale: V<S, W>, x: V<S, W>, mask: <V<S, W> as Vector>::Mask) -> V<S, W> {
        x.mul(scale).keep(mask)
    }
}

/// Kept elements become `slope * x + intercept`, rounded once; dropped ones a constant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine {
    slope: f64,
    intercept: f64,
    dropped: f64,
}

impl Affine {
    /// Alpha dropout, which keeps mean 0 and variance 1. At rate 1 all is dropped and becomes +0.0, the limit.
    pub(crate) fn alpha(rate: f64) -> Self {
        if rate == 1.0 {
            return Self { slope: 0.0, intercept: 0.0, dropped: 0.0 };
        }
        let slope = 1.0 / ((1.0 - rate) * (1.0 + rate * ALPHA_PRIME * ALPHA_PRIME)).sqrt();
        let intercept = -slope * ALPHA_PRIME * rate;
        Self { slope, intercept, dropped: slope * ALPHA_PRIME + intercept }
    }
}

impl<W: Element> Transform<W> for Affine {
    type Ready<S: Simd> = (V<S, W>, V<S, W>, V<S, W>);

    #[inline(always)]
    fn ready<S: Simd>(self, s: S) -> Self::Ready<S> {
        let splat = |x| V::<S, W>::splat(s, W::from_f64(x));
        (splat(self.slope), splat(self.intercept), splat(self.dropped))
    }

    #[inline(always)]
    fn kept<S: Simd>((slope, intercept, _): Self::Ready<S>, x: V<S, W>) -> V<S, W> {
        x.mul_add(slope, intercept)
    }

    #[inline(always)]
    fn dropped<S: Simd>(_: S, (_, _, dropped): Self::Ready<S>) -> V<S, W> {
        dropped
    }

    #[inline(always)]
    fn apply<S: Simd>(
        (slope, intercept, dropped): Self::Ready<S>,
        x: V<S, W>,
        mask: <V<S, W> as Vector>::Mask,
    ) -> V<S, W> {
        x.mul_add(slope, intercept).select(mask, dropped)
    }
}
