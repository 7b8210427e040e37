//! Layer 2: multiplicative Gaussian noise with dropout's mean and variance (Srivastava et al. 2014, section 10).

use super::Sample;
use crate::rng::{Key, normals_at};
use crate::simd::{Aes, AesKernel, Element, Simd, V, Vector, aes_level, dispatch_aes_at};

/// Variates drawn at a time: they stay in L1.
const PIECE: usize = 1024;

struct Multiply<'a, T> {
    variates: &'a [f32],
    deviation: f64,
    x: *const T,
    y: *mut T,
}

/// The variates as a vector of the type of the arithmetic.
#[inline(always)]
fn widen<S: Simd, W: Element>(s: S, variates: &[f32]) -> V<S, W> {
    let mut lanes = [W::ZERO; 16];
    for (lane, &variate) in lanes.iter_mut().zip(variates) {
        *lane = W::from_f64(f64::from(variate));
    }
    V::<S, W>::from_slice(s, &lanes)
}

impl<T: Sample> AesKernel for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let s = a.simd();
        let lanes = <T::Work as Element>::LANES;
        let one = V::<A::Simd, T::Work>::splat(s, T::Work::ONE);
        let deviation = V::<A::Simd, T::Work>::splat(s, T::Work::from_f64(self.deviation));
        let mut buffer = [T::ZERO; 16];
        for (i, variates) in self.variates.chunks(lanes).enumerate() {
            let noise = widen::<A::Simd, T::Work>(s, variates).mul_add(deviation, one);
            let whole = variates.len() == lanes;
            // SAFETY: the maker of the kernel promises as many elements as variates; the buffer holds a vector.
            unsafe {
                let (x, y) = (self.x.add(i * lanes), self.y.add(i * lanes));
                if whole {
                    T::store::<_, false>(s, T::load(s, x).mul(noise), y);
                } else {
                    let p = buffer.as_mut_ptr();
                    std::ptr::copy_nonoverlapping(x, p, variates.len());
                    T::store::<_, false>(s, T::load(s, p).mul(noise), p);
                    std::ptr::copy_nonoverlapping(p, y, variates.len());
                }
            }
        }
    }
}

/// `y[i] = x[i] * (1 + deviation * z[offset + i])` for `n` elements on the calling thread, z being the key's variates.
///
/// # Safety
/// `n` elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
pub unsafe fn gaussian<T: Sample>(key: Key, offset: u64, deviation: f64, x: *const T, y: *mut T, n: usize) {
    let level = aes_level();
    let mut variates = [0.0; PIECE];
    for from in (0..n).step_by(PIECE) {
        let count = PIECE.min(n - from);
        let variates = &mut variates[..count];
        normals_at(level, key, offset + from as u64, variates);
        // SAFETY: the piece is within the `n` elements.
        let (x, y) = unsafe { (x.add(from), y.add(from)) };
        dispatch_aes_at(level, Multiply { variates, deviation, x, y });
    }
}
