//! Every level against the scalar one, bit for bit.

use super::*;

/// Everything a vector type can do, over awkward operands, as bits.
struct Everything<T>(std::marker::PhantomData<T>);

/// What a float type must offer for the test, beyond [`Element`].
trait Probe: Element + std::ops::Add<Output = Self> {
    fn bits(self) -> u64;
    fn awkward() -> Vec<Self>;
}

macro_rules! probe {
    ($float:ty) => {
        impl Probe for $float {
            fn bits(self) -> u64 {
                // One NaN for all: which one an operation returns is not part of the promise.
                if self.is_nan() { !0 } else { u64::from(self.to_bits()) }
            }

            fn awkward() -> Vec<Self> {
                let mut all: Vec<Self> = vec![
                    0.0,
                    -0.0,
                    1.0,
                    -1.0,
                    0.5,
                    1.5,
                    2.5,
                    -2.5,
                    3.1,
                    1e-30,
                    1e30,
                    <$float>::INFINITY,
                    <$float>::NEG_INFINITY,
                    <$float>::NAN,
                    <$float>::MIN_POSITIVE,
                    <$float>::MAX,
                ];
                all.extend((0..48).map(|i| (i as $float * 0.7391).sin() * 37.5));
                all
            }
        }
    };
}

probe!(f32);
probe!(f64);

impl<T: Probe> Kernel for Everything<T> {
    type Output = Vec<u64>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<u64> {
        let values = T::awkward();
        let n = T::LANES;
        let mut bits = Vec::new();
        let mut push = |v: V<S, T>| bits.extend(v.to_lanes()[..n].iter().map(|x| x.bits()));
        let mut masks = Vec::new();
        for start in 0..values.len() - 2 * n {
            let a = V::<S, T>::from_slice(s, &values[start..]);
            let b = V::<S, T>::from_slice(s, &values[start + 3..]);
            let c = V::<S, T>::from_slice(s, &values[start + n..]);
            for v in [
                a.add(b),
                a.sub(b),
                a.mul(b),
                a.div(b),
                a.mul_add(b, c),
                a.neg_mul_add(b, c),
                a.min(b),
                a.max(b),
                a.abs().sqrt(),
                a.neg(),
                a.copy_sign(b),
                a.round(),
            ] {
                push(v);
            }
            let pattern = 0x9E37_79B9_u32.rotate_left(start as u32) & ((1u32 << n) - 1);
            let mask = V::<S, T>::mask_from_bits(s, pattern);
            masks.extend([mask.to_bits(), mask.not().to_bits(), a.lt(b).to_bits(), a.le(b).to_bits()]);
            masks.extend([a.eq(b).to_bits(), a.is_nan().to_bits(), a.lt(b).and(mask).to_bits()]);
            masks.push(a.lt(b).or(mask).to_bits());
            push(a.select(mask, b));
            push(a.keep(mask));
            let normal = a.abs().max(V::<S, T>::splat(s, T::from_f64(1e-3))).min(V::<S, T>::splat(s, T::from_f64(1e6)));
            push(normal.exponent());
            push(normal.significand());
            push(normal.exponent().exp2_integer());
            push(V::<S, T>::from_slice(s, &values[..start % (n + 1)]));
            let mut out = vec![T::ONE; n];
            // SAFETY: `out` has `n` elements.
            unsafe { a.store_first(out.as_mut_ptr(), start % (n + 1)) };
            push(V::<S, T>::from_slice(s, &out));
        }
        let square: Vec<T> = (0..n * n).map(|i| T::from_f64(i as f64)).collect();
        let mut turned = vec![T::ZERO; n * n];
        // SAFETY: both are squares of `n` x `n`.
        unsafe { V::<S, T>::transpose(s, square.as_ptr(), n, turned.as_mut_ptr(), n) };
        for i in 0..n * n {
            assert_eq!(turned[i], square[i % n * n + i / n]);
        }
        let words: Vec<T::Bits> = (0..n as u32).map(|i| T::Bits::from(0x5851_F42D_u32.rotate_left(i))).collect();
        // SAFETY: `words` has a lane's integer for each lane.
        let words = unsafe { V::<S, T>::load_bits(s, words.as_ptr()) };
        masks.extend((0..32).map(|i| V::<S, T>::test_bit(words, i).to_bits()));
        let small = V::<S, T>::from_slice(s, &values[20..20 + n]);
        bits.push(small.reduce_sum().bits());
        bits.extend(masks.into_iter().map(u64::from));
        bits
    }
}

#[test]
fn all_levels_agree_with_the_scalar_one() {
    for level in available() {
        let f32s = dispatch_at(level, Everything::<f32>(std::marker::PhantomData));
        let f64s = dispatch_at(level, Everything::<f64>(std::marker::PhantomData));
        assert_eq!(f32s, dispatch_at(Level::Scalar, Everything::<f32>(std::marker::PhantomData)), "{level:?} f32");
        assert_eq!(f64s, dispatch_at(Level::Scalar, Everything::<f64>(std::marker::PhantomData)), "{level:?} f64");
    }
}

#[test]
fn fused_multiply_add_of_the_scalar_level_rounds_once() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u32
    };
    for i in 0..200_000 {
        let [mut a, mut b, mut c] = [word(), word(), word()];
        match i % 4 {
            // Sums that cancel but for some last bits.
            0 => c = (-(f32::from_bits(a) * f32::from_bits(b))).to_bits().wrapping_add(c % 3).wrapping_sub(1),
            // Results below the smallest normal number.
            1 => (a, b, c) = (a & 0x9FFF_FFFF, b & 0x9FFF_FFFF, c & 0x80FF_FFFF),
            // Products next to the middle between two neighbours of `c`.
            2 => {
                (b, c) = (b & 0x807F_F001 | 0x3F80_0000, (a & 0x7F80_0000).wrapping_add(24 << 23) & 0x7F80_0000 | c & 1)
            }
            _ => {}
        }
        let [a, b, c] = [a, b, c].map(f32::from_bits);
        let (got, expected) = (super::scalar::fused(a, b, c), a.mul_add(b, c));
        assert!(got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan(), "{a:e} * {b:e} + {c:e}");
    }
}

#[test]
fn pinning_an_unknown_level_is_refused() {
    let message = pin("sse9").unwrap_err().to_string();
    assert!(message.contains("sse9") && message.contains("avx512"), "{message}");
}

/// Packing and spreading at every choice of lanes, beside their definition.
struct Moves<T>(std::marker::PhantomData<T>);

impl<T: Probe> Kernel for Moves<T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = T::LANES;
        let from: Vec<T> = (0..n).map(|i| T::from_f64(i as f64 + 1.0)).collect();
        let old: Vec<T> = (0..n).map(|i| T::from_f64(-(i as f64))).collect();
        for bits in 0..1u32 << n {
            let chosen: Vec<usize> = (0..n).filter(|lane| bits >> lane & 1 == 1).collect();
            let mut packed = vec![T::ZERO; n];
            // SAFETY: all arrays have `n` elements.
            let spread = unsafe {
                V::<S, T>::read(s, &from).pack(packed.as_mut_ptr(), V::<S, T>::packing(s, bits));
                V::<S, T>::read(s, &old).spread(from.as_ptr(), V::<S, T>::spreading(s, bits)).to_lanes()
            };
            let mut expected = old.clone();
            for (place, &lane) in chosen.iter().enumerate() {
                assert_eq!(packed[place], from[lane], "{:?}: {bits:b} packed", S::LEVEL);
                expected[lane] = from[place];
            }
            assert_eq!(spread[..n], expected, "{:?}: {bits:b} spread", S::LEVEL);
            for place in [0, (n - chosen.len()) / 2, n - chosen.len().max(1)] {
                let linked = |links| V::<S, T>::read(s, &old).link(V::<S, T>::read(s, &from), links).to_lanes();
                let (mut gathered, mut scattered) = (old.clone(), old.clone());
                for (rank, &lane) in chosen.iter().enumerate() {
                    gathered[place + rank] = from[lane];
                    scattered[lane] = from[place + rank];
                }
                let (to, back) = (linked(Links::gathering(s, bits, place)), linked(Links::scattering(s, bits, place)));
                assert_eq!(to[..n], gathered, "{:?}: {bits:b} gathered at {place}", S::LEVEL);
                assert_eq!(back[..n], scattered, "{:?}: {bits:b} scattered from {place}", S::LEVEL);
            }
        }
    }
}

#[test]
fn lanes_are_packed_and_spread() {
    for level in available() {
        dispatch_at(level, Moves::<f32>(std::marker::PhantomData));
        dispatch_at(level, Moves::<f64>(std::marker::PhantomData));
    }
}
