//! Layer 2: multiplicative Gaussian noise with dropout's mean and variance (Srivastava et al. 2014, section 10).

use super::Sample;
use crate::rng::{Key, Rounds, normal_step};
use crate::simd::{Aes, AesKernel, Element, STEP, V, Vector, aes_level, dispatch_aes_at};

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
        let Self { key, offset, deviation, x, y, n } = self;
        let (rounds, deviation) = (Rounds::new(a, key), T::Work::from_f64(deviation));
        let mut buffer = [T::ZERO; STEP];
        // A block makes four variates; the first one's may begin before the run.
        let (mut block, skip) = (offset / 4, (offset % 4) as usize);
        let head = if skip == 0 { 0 } else { n.min(STEP - skip) };
        // SAFETY: all parts are within the run by the maker's promise, and a step is within the buffer.
        unsafe {
            if head > 0 {
                let p = buffer.as_mut_ptr();
                std::ptr::copy_nonoverlapping(x, p.add(skip), head);
                multiply(a, &rounds, block, deviation, p, p);
                std::ptr::copy_nonoverlapping(p.add(skip), y, head);
                block += STEP as u64 / 4;
            }
            let (x, y, left) = (x.add(head), y.add(head), n - head);
            for at in (0..left / STEP * STEP).step_by(STEP) {
                multiply(a, &rounds, block, deviation, x.add(at), y.add(at));
                block += STEP as u64 / 4;
            }
            let (at, rest) = (left / STEP * STEP, left % STEP);
            if rest > 0 {
                let p = buffer.as_mut_ptr();
                std::ptr::copy_nonoverlapping(x.add(at), p, rest);
                multiply(a, &rounds, block, deviation, p, p);
                std::ptr::copy_nonoverlapping(p, y.add(at), rest);
            }
        }
    }
}

/// A step whose first variate begins block `block`.
///
/// # Safety
/// [`STEP`] elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
#[inline(always)]
unsafe fn multiply<A: Aes, T: Sample>(
    a: A,
    rounds: &Rounds<A>,
    block: u64,
    deviation: T::Work,
    x: *const T,
    y: *mut T,
) {
    let s = a.simd();
    let one = V::<A::Simd, T::Work>::splat(s, T::Work::ONE);
    let deviation = V::<A::Simd, T::Work>::splat(s, deviation);
    let normal = normal_step(a, rounds, block);
    let lanes = <T::Work as Element>::LANES;
    for part in 0..STEP / lanes {
        let factor = T::part(s, normal, part).mul_add(deviation, one);
        // SAFETY: a vector of the step.
        unsafe { T::times(s, factor, x.add(part * lanes), y.add(part * lanes)) };
    }
}

/// `y[i] = x[i] * (1 + deviation * z[offset + i])` for `n` elements on the calling thread, z being the key's variates.
///
/// # Safety
/// `n` elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
pub unsafe fn gaussian<T: Sample>(key: Key, offset: u64, deviation: f64, x: *const T, y: *mut T, n: usize) {
    dispatch_aes_at(aes_level(), Multiply { key, offset, deviation, x, y, n });
}
