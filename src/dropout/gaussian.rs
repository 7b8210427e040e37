//! Layer 2: multiplicative Gaussian noise with dropout's mean and variance (Srivastava et al. 2014, section 10).

use super::Sample;
use crate::rng::{Key, NORMAL_STEPS, normal_lanes};
use crate::simd::{Aes, AesKernel, Element, Half, Halves, STEP, V, Vector, aes_level, dispatch_aes_at};

/// Elements whose variates are drawn together.
const PIECE: usize = NORMAL_STEPS * STEP;

/// A contiguous run; its maker promises `n` elements at `x` and `y`.
struct Multiply<T> {
    key: Key,
    offset: u64,
    deviation: f64,
    x: *const T,
    y: *mut T,
    n: usize,
}

impl<T: Sample> AesKernel for Multiply<T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let Self { key, offset, deviation, mut x, mut y, mut n } = self;
        let s = a.simd();
        let deviation = V::<A::Simd, T::Work>::splat(s, T::Work::from_f64(deviation));
        let mut z = [0.0; PIECE];
        let mut buffer = [T::ZERO; PIECE];
        // A block makes four variates; the first piece may begin within one.
        let (mut block, mut skip) = (offset / 4, (offset % 4) as usize);
        while n > 0 {
            let count = n.min(PIECE - skip);
            let z = &mut z[..(skip + count).next_multiple_of(STEP)];
            normal_lanes(a, key, block, z);
            // SAFETY: the piece lies within the run by the maker's promise, and within the buffer.
            unsafe {
                if skip == 0 && count.is_multiple_of(STEP) {
                    multiply(s, z, deviation, x, y);
                } else {
                    let p = buffer.as_mut_ptr();
                    std::ptr::copy_nonoverlapping(x, p.add(skip), count);
                    multiply(s, z, deviation, p, p);
                    std::ptr::copy_nonoverlapping(p.add(skip), y, count);
                }
            }
            (x, y, n) = (x.wrapping_add(count), y.wrapping_add(count), n - count);
            (block, skip) = (block + PIECE as u64 / 4, 0);
        }
    }
}

/// Whole steps: elements times `1 + deviation * z`.
///
/// # Safety
/// As many elements as `z` has are readable at `x` and writable at `y`; `x == y` is fine, other overlap is
/// not.
#[inline(always)]
unsafe fn multiply<S: Half + Halves, T: Sample>(s: S, z: &[f32], deviation: V<S, T::Work>, x: *const T, y: *mut T) {
    let one = V::<S, T::Work>::splat(s, T::Work::ONE);
    let lanes = <T::Work as Element>::LANES;
    for (i, z) in z.chunks_exact(STEP).enumerate() {
        let z = [V::<S, f32>::read(s, z), V::<S, f32>::read(s, &z[STEP / 2..])];
        for part in 0..STEP / lanes {
            let (factor, at) = (T::part(s, z, part).mul_add(deviation, one), i * STEP + part * lanes);
            // SAFETY: a vector of a step.
            unsafe { T::times(s, factor, x.add(at), y.add(at)) };
        }
    }
}

/// `y[i] = x[i] * (1 + deviation * z[offset + i])` for `n` elements on the calling thread, z being the key's variates.
///
/// # Safety
/// `n` elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
pub(crate) unsafe fn gaussian<T: Sample>(key: Key, offset: u64, deviation: f64, x: *const T, y: *mut T, n: usize) {
    dispatch_aes_at(aes_level(), Multiply { key, offset, deviation, x, y, n });
}
