//! Layer 0: the scalar level: plain Rust on arrays of lanes, fallback and oracle of the others.

use super::links::LaneLinks;
use super::{Element, Kernel, Level, Mask, Simd, Vector};

/// The token of the scalar level, which every processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

impl Simd for Scalar {
    type F32 = Lanes<f32, 16>;
    type F64 = Lanes<f64, 8>;

    const LEVEL: Level = Level::Scalar;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}

/// `N` lanes in an array.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Lanes<T, const N: usize>([T; N]);

/// One bit a lane, `N` lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneBits<const N: usize>(u32);

impl<const N: usize> Mask for LaneBits<N> {
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0 & ((1 << N) - 1))
    }

    #[inline(always)]
    fn to_bits(self) -> u32 {
        self.0
    }
}

impl<T: Copy, const N: usize> Lanes<T, N> {
    #[inline(always)]
    fn map(self, f: impl Fn(T) -> T) -> Self {
        Self(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(T, T) -> T) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }

    #[inline(always)]
    fn test(self, b: Self, f: impl Fn(T, T) -> bool) -> LaneBits<N> {
        let mut bits = 0;
        for i in 0..N {
            bits |= u32::from(f(self.0[i], b.0[i])) << i;
        }
        LaneBits(bits)
    }
}

/// `a * b + c`, rounded once. On x86-64 the scalar level stands for processors without the instruction, where the library's
/// function is a call for each lane; this is the same in double precision, which compilers put into SSE2 registers.
///
/// A product of two `f32` is exact in `f64`. Its sum with `c` is rounded to odd: towards zero, and then the last bit is set if
/// anything was lost. So the rounding to `f32`, 29 bits shorter, is the only one (Boldo and Melquiond, 2008).
#[inline(always)]
pub(super) fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(not(target_arch = "x86_64"), target_feature = "fma")) {
        return a.mul_add(b, c);
    }
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // What the sum has lost, exactly; NaN where the sum is infinite or NaN, which then stays.
    let part = sum - product;
    let lost = (product - (sum - part)) + (c - part);
    let inexact = (lost > 0.0) | (lost < 0.0);
    let beyond = inexact & ((lost < 0.0) != (sum < 0.0));
    f64::from_bits((sum.to_bits() - u64::from(beyond)) | u64::from(inexact)) as f32
}

/// [`fused`] in every lane. On x86-64 a function of its own: in line everywhere, it was a quarter of the whole module.
#[cfg_attr(target_arch = "x86_64", inline(never))]
#[cfg_attr(not(target_arch = "x86_64"), inline(always))]
fn fused_single(a: &[f32; 16], b: &[f32; 16], c: &[f32; 16]) -> [f32; 16] {
    std::array::from_fn(|i| fused(a[i], b[i], c[i]))
}

/// `a * b + c` in every lane, rounded once; as [`fused_single`].
#[cfg_attr(target_arch = "x86_64", inline(never))]
#[cfg_attr(not(target_arch = "x86_64"), inline(always))]
fn fused_double(a: &[f64; 8], b: &[f64; 8], c: &[f64; 8]) -> [f64; 8] {
    std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
}

/// The operations of [`Vector`] that read the bits of a float, and so are written per type.
macro_rules! scalar_vector {
    ($float:ty, $bits:ty, $lanes:literal, $significand_bits:literal, $bias:literal, $fused:path, $one:path) => {
        impl Vector for Lanes<$float, $lanes> {
            type Elem = $float;
            type Token = Scalar;
            type Mask = LaneBits<$lanes>;
            type Bits = [$bits; $lanes];
            type Moves = u32;
            type Links = LaneLinks;

            #[inline(always)]
            fn splat(_: Scalar, x: $float) -> Self {
                Self([x; $lanes])
            }

            #[inline(always)]
            unsafe fn load(_: Scalar, p: *const $float) -> Self {
                // SAFETY: the caller promises all lanes; arrays of floats need no more than their alignment.
                Self(unsafe { p.cast::<[$float; $lanes]>().read_unaligned() })
            }

            #[inline(always)]
            unsafe fn store(self, p: *mut $float) {
                // SAFETY: as in `load`.
                unsafe { p.cast::<[$float; $lanes]>().write_unaligned(self.0) }
            }

            #[inline(always)]
            unsafe fn load_first(_: Scalar, p: *const $float, n: usize) -> Self {
                let mut lanes = [0.0; $lanes];
                // SAFETY: `n` elements are readable and fit.
                unsafe { std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n) };
                Self(lanes)
            }

            #[inline(always)]
            fn spreading(_: Scalar, bits: u32) -> u32 {
                bits
            }

            #[inline(always)]
            fn packing(_: Scalar, bits: u32) -> u32 {
                bits
            }

            #[inline(always)]
            unsafe fn spread(mut self, p: *const $float, bits: u32) -> Self {
                let chosen = self.0.iter_mut().enumerate().filter(|(lane, _)| bits >> lane & 1 == 1);
                for (place, (_, lane)) in chosen.enumerate() {
                    // SAFETY: the caller promises all lanes.
                    *lane = unsafe { *p.add(place) };
                }
                self
            }

            #[inline(always)]
            unsafe fn pack(self, p: *mut $float, bits: u32) {
                let chosen = self.0.iter().enumerate().filter(|(lane, _)| bits >> lane & 1 == 1);
                for (place, (_, &lane)) in chosen.enumerate() {
                    // SAFETY: the caller promises all lanes.
                    unsafe { *p.add(place) = lane };
                }
            }

            #[inline(always)]
            fn link(self, from: Self, links: LaneLinks) -> Self {
                Self::read(Scalar, &links.link(self.to_lanes(), from.to_lanes()))
            }

            #[inline(always)]
            unsafe fn store_first(self, p: *mut $float, n: usize) {
                // SAFETY: `n` elements are writable and the array has them.
                unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), p, n) };
            }

            #[inline(always)]
            unsafe fn stream(self, p: *mut $float) {
                // SAFETY: the caller's promise is that of `store`.
                unsafe { self.store(p) }
            }

            #[inline(always)]
            fn fence(_: Scalar) {}

            #[inline(always)]
            fn add(self, b: Self) -> Self {
                self.zip(b, |x, y| x + y)
            }

            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                self.zip(b, |x, y| x - y)
            }

            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                self.zip(b, |x, y| x * y)
            }

            #[inline(always)]
            fn div(self, b: Self) -> Self {
                self.zip(b, |x, y| x / y)
            }

            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                Self($fused(&self.0, &b.0, &c.0))
            }

            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                self.neg().mul_add(b, c)
            }

            #[inline(always)]
            fn mul_add_in_line(self, b: Self, c: Self) -> Self {
                Self(std::array::from_fn(|i| $one(self.0[i], b.0[i], c.0[i])))
            }

            #[inline(always)]
            fn min(self, b: Self) -> Self {
                self.zip(b, |x, y| if x < y { x } else { y })
            }

            #[inline(always)]
            fn max(self, b: Self) -> Self {
                self.zip(b, |x, y| if x > y { x } else { y })
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                self.map(<$float>::sqrt)
            }

            #[inline(always)]
            fn abs(self) -> Self {
                self.map(<$float>::abs)
            }

            #[inline(always)]
            fn neg(self) -> Self {
                self.map(|x| -x)
            }

            #[inline(always)]
            fn copy_sign(self, sign: Self) -> Self {
                self.zip(sign, <$float>::copysign)
            }

            #[inline(always)]
            fn round(self) -> Self {
                self.map(<$float>::round_ties_even)
            }

            #[inline(always)]
            fn lt(self, b: Self) -> LaneBits<$lanes> {
                self.test(b, |x, y| x < y)
            }

            #[inline(always)]
            fn le(self, b: Self) -> LaneBits<$lanes> {
                self.test(b, |x, y| x <= y)
            }

            #[inline(always)]
            fn eq(self, b: Self) -> LaneBits<$lanes> {
                self.test(b, |x, y| x == y)
            }

            #[inline(always)]
            fn is_nan(self) -> LaneBits<$lanes> {
                self.test(self, |x, _| x.is_nan())
            }

            #[inline(always)]
            fn mask_from_bits(_: Scalar, bits: u32) -> LaneBits<$lanes> {
                LaneBits(bits & ((1 << $lanes) - 1))
            }

            #[inline(always)]
            fn select(self, mask: LaneBits<$lanes>, other: Self) -> Self {
                Self(std::array::from_fn(|i| if mask.0 >> i & 1 == 1 { self.0[i] } else { other.0[i] }))
            }

            #[inline(always)]
            fn keep(self, mask: LaneBits<$lanes>) -> Self {
                self.select(mask, Self([0.0; $lanes]))
            }

            #[inline(always)]
            fn exponent(self) -> Self {
                self.map(|x| ((x.to_bits() >> $significand_bits) as i32 - $bias) as $float)
            }

            #[inline(always)]
            fn significand(self) -> Self {
                let ones = (1.0 as $float).to_bits();
                self.map(|x| <$float>::from_bits(x.to_bits() & ((1 << $significand_bits) - 1) | ones))
            }

            #[inline(always)]
            fn exp2_integer(self) -> Self {
                self.map(|x| <$float>::from_bits(((x as i32 + $bias) as $bits) << $significand_bits))
            }

            #[inline(always)]
            unsafe fn load_bits(_: Scalar, p: *const $bits) -> [$bits; $lanes] {
                // SAFETY: the caller promises all lanes.
                unsafe { p.cast::<[$bits; $lanes]>().read_unaligned() }
            }

            #[inline(always)]
            fn test_bit(bits: [$bits; $lanes], index: u32) -> LaneBits<$lanes> {
                let mut mask = 0;
                for (i, lane) in bits.iter().enumerate() {
                    mask |= ((lane >> index & 1) as u32) << i;
                }
                LaneBits(mask)
            }

            #[inline(always)]
            unsafe fn transpose(_: Scalar, src: *const $float, src_stride: usize, dst: *mut $float, dst_stride: usize) {
                for i in 0..$lanes {
                    for j in 0..$lanes {
                        // SAFETY: the caller promises a square of lanes on both sides.
                        unsafe { *dst.add(j * dst_stride + i) = *src.add(i * src_stride + j) };
                    }
                }
            }
        }
    };
}

scalar_vector!(f32, u32, 16, 23, 127, fused_single, fused);
scalar_vector!(f64, u64, 8, 52, 1023, fused_double, f64::mul_add);

const _: () = assert!(<f32 as Element>::LANES == 16 && <f64 as Element>::LANES == 8);
