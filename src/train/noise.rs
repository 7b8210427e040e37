//! Layer 4: stochastic layers on panels: draw, forward, backward.
//!
//! Decisions are kept as bits while a step lasts: word `c / 32` of a panel holds in bit `c % 32` of lane `r` whether
//! feature `c` of row `r` is kept, so that a feature's mask is one test of 16 rows.

use super::layer::{Noise, NoiseKind, Sharing};
use crate::dropout::{Affine, Scale, Transform};
use crate::rng::{Key, Threshold, domain, keep_bits, normals};
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// Features whose decisions share a word.
pub(crate) const WORD: usize = 32;

/// Which rows a batch's decisions are those of.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin {
    /// The number of the batch's first row among all rows.
    pub(crate) first_row: usize,
    /// Whether all rows take the decisions of row 0.
    pub(crate) consistent: bool,
}

impl Origin {
    /// The row for which row `row` of the batch draws.
    fn row(self, row: usize) -> usize {
        if self.consistent { 0 } else { self.first_row + row }
    }
}

/// One stochastic layer at one step.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    /// The layer, with the rate of this step.
    pub(crate) noise: Noise,
    /// Its key, at this step.
    pub(crate) key: Key,
    /// The rows it draws for.
    pub(crate) origin: Origin,
}

/// What a draw leaves behind for the passes over a panel: decisions, or factors.
#[derive(Clone, Copy)]
pub(crate) struct Drawn<'a, T: Element> {
    /// `[width / 32][lane]`
    pub(crate) bits: &'a [T::Bits],
    /// `[width][lane]`, used by Gaussian noise only.
    pub(crate) factors: &'a [T],
}

impl Draw {
    /// As [`Noise::panels_per_mask`]; None too where masks begin inside of panels.
    pub(crate) fn panels_per_mask(&self, lanes: usize) -> Option<usize> {
        let whole = self.origin.first_row.is_multiple_of(lanes) || self.noise.sharing == Sharing::Batch;
        self.noise.panels_per_mask(lanes).filter(|_| whole || self.origin.consistent)
    }

    /// Draws for the rows of one panel, the first of which is row `first` of the batch: bits, or factors, as in [`Drawn`].
    pub(crate) fn draw<T: Element>(
        &self,
        first: usize,
        width: usize,
        words: &mut [u32],
        (bits, factors): (&mut [T::Bits], &mut [T]),
    ) {
        if self.noise.kind == NoiseKind::GaussianDropout {
            return self.draw_factors(first, width, factors);
        }
        let threshold = Threshold::new(self.noise.rate);
        let mut last = None;
        for lane in 0..T::LANES {
            let (start, count) = self.noise.draws(self.origin.row(first + lane), width);
            if last != Some(start) {
                keep_bits(self.key, threshold, start, words, count);
                if count < width {
                    words.fill(if words[0] & 1 == 1 { u32::MAX } else { 0 });
                }
                last = Some(start);
            }
            for (word, lanes) in words.iter().zip(bits.chunks_exact_mut(T::LANES)) {
                lanes[lane] = T::Bits::from(*word);
            }
        }
    }

    fn draw_factors<T: Element>(&self, first: usize, width: usize, factors: &mut [T]) {
        let deviation = (self.noise.rate / (1.0 - self.noise.rate)).sqrt();
        let mut row = vec![0.0; width];
        for lane in 0..T::LANES {
            normals(self.key.in_domain(domain::GAUSSIAN), (self.origin.row(first + lane) * width) as u64, &mut row);
            for (factor, &normal) in factors[lane..].iter_mut().step_by(T::LANES).zip(&row) {
                *factor = T::from_f64(f64::from(normal)).mul_add(T::from_f64(deviation), T::ONE);
            }
        }
    }

    /// Applies the draw to the features of a panel from `first` on, in place.
    pub(crate) fn forward<S: Simd, T: Element>(&self, s: S, first: usize, values: &mut [T], drawn: Drawn<'_, T>) {
        let (rate, bits) = (self.noise.rate, drawn.bits);
        match self.noise.kind {
            NoiseKind::GaussianDropout => s.run(Multiply { values, factors: &drawn.factors[first * T::LANES..] }),
            NoiseKind::AlphaDropout => s.run(Masked { values, first, bits, rule: Affine::alpha(rate) }),
            NoiseKind::Dropout => s.run(Masked { values, first, bits, rule: Scale::inverted(rate) }),
            NoiseKind::ClassicDropout => s.run(Masked { values, first, bits, rule: Scale::inverted(0.0) }),
        }
    }

    /// Turns the gradient of the output of [`Draw::forward`] into that of its input, in place.
    pub(crate) fn backward<S: Simd, T: Element>(&self, s: S, first: usize, gradient: &mut [T], drawn: Drawn<'_, T>) {
        if self.noise.kind == NoiseKind::AlphaDropout {
            let rule = Scale::alpha_gradient(self.noise.rate);
            return s.run(Masked { values: gradient, first, bits: drawn.bits, rule });
        }
        self.forward(s, first, gradient, drawn);
    }
}

/// Applies a rule for kept and dropped elements to the features from `first` on.
struct Masked<'a, T: Element, F> {
    values: &'a mut [T],
    first: usize,
    bits: &'a [T::Bits],
    rule: F,
}

impl<T: Element, F: Transform<T>> Kernel for Masked<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ready = self.rule.ready(s);
        let (mut feature, mut left) = (self.first, self.values);
        while !left.is_empty() {
            let bit = feature % WORD;
            let word = V::<S, T>::read_bits(s, &self.bits[feature / WORD * T::LANES..]);
            let (values, others) = left.split_at_mut(((WORD - bit) * T::LANES).min(left.len()));
            for (index, value) in values.chunks_exact_mut(T::LANES).enumerate() {
                let kept = V::<S, T>::test_bit(word, (bit + index) as u32);
                F::apply(ready, V::<S, T>::read(s, value), kept).write(value);
            }
            (feature, left) = (feature + WORD - bit, others);
        }
    }
}

/// `v = v * factor`
struct Multiply<'a, T> {
    values: &'a mut [T],
    factors: &'a [T],
}

impl<T: Element> Kernel for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (value, factor) in self.values.chunks_exact_mut(T::LANES).zip(self.factors.chunks_exact(T::LANES)) {
            V::<S, T>::read(s, value).mul(V::<S, T>::read(s, factor)).write(value);
        }
    }
}

/// Multiplies a panel in place: inference through a [`NoiseKind::ClassicDropout`].
pub(crate) struct Rescale<'a, T> {
    /// The panel.
    pub(crate) values: &'a mut [T],
    /// The factor.
    pub(crate) scale: T,
}

impl<T: Element> Kernel for Rescale<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let scale = V::<S, T>::splat(s, self.scale);
        for value in self.values.chunks_exact_mut(T::LANES) {
            V::<S, T>::read(s, value).mul(scale).write(value);
        }
    }
}
