//! Layer 0: bfloat16: how numbers are rounded to it, and the dot product of pairs, by an instruction or by its definition.
//!
//! The definition is that of VDPBF16PS: `sum = fma(odd, odd, sum)`, then `sum = fma(even, even, sum)`, each rounded once to nearest even,
//! and zero of its sign where that is below the smallest normal number. Two operands have an exact product in `f32`, so
//! fused multiply-adds do the same. `docs/numerics.md` says what was tested.

#[cfg(target_arch = "x86_64")]
use super::Avx512;
use super::{Kernel, Level, Mask, Simd, V, Vector, dispatch_at};

/// A pair of bfloat16: the even one in the lower half.
pub(crate) type Pair = u32;

/// The upper half of a lane.
const UPPER: u32 = 0xFFFF_0000;

/// The nearest bfloat16, ties to even, in the upper half; subnormal numbers are zero, a NaN stays one.
#[inline(always)]
fn rounded_bits(x: f32) -> u32 {
    let bits = x.to_bits();
    let magnitude = bits & 0x7FFF_FFFF;
    let nearest = bits.wrapping_add(0x7FFF + (bits >> 16 & 1));
    let quiet = bits | 0x0040_0000;
    let found = if magnitude > 0x7F80_0000 { quiet } else { nearest };
    let found = if magnitude < 0x0080_0000 { bits & 0x8000_0000 } else { found };
    found & UPPER
}

/// The nearest bfloat16, as `f32`.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    f32::from_bits(rounded_bits(x))
}

/// Two numbers as a pair.
#[inline(always)]
pub(crate) fn pair(even: f32, odd: f32) -> Pair {
    rounded_bits(even) >> 16 | rounded_bits(odd)
}

/// The numbers of a pair: even, odd.
#[inline(always)]
pub(crate) fn numbers(pair: Pair) -> (f32, f32) {
    (f32::from_bits(pair << 16), f32::from_bits(pair & UPPER))
}

/// `a * b + c` as the instruction does it, for operands of a pair.
///
/// What is below the smallest normal number *after rounding* is zero. Fused multiply-adds round there to fewer bits, so the question is
/// asked 2^64 times higher up. Where that overflows, the sum is no tiny one.
#[inline(always)]
pub(crate) fn step(c: f32, a: f32, b: f32) -> f32 {
    const UP: f32 = (1_u128 << 64) as f32;
    let sum = a.mul_add(b, c);
    if sum.abs() > f32::MIN_POSITIVE || sum.is_nan() {
        return sum;
    }
    let above = (a * UP).mul_add(b, c * UP);
    if above.abs() < f32::MIN_POSITIVE * UP { f32::from_bits(sum.to_bits() & 0x8000_0000) } else { sum }
}

/// Sums plus the dot products of pairs, lane by lane.
pub(crate) trait Dot: Copy {
    /// The level of the sums.
    type Level: Simd;
    /// Sixteen pairs.
    type Pairs: Copy;
    /// Whether there is an instruction.
    const NATIVE: bool;

    /// The level's token.
    fn level(self) -> Self::Level;
    /// Sixteen pairs from memory.
    ///
    /// # Safety
    /// They are readable.
    unsafe fn load(self, p: *const Pair) -> Self::Pairs;
    /// One pair in all lanes.
    fn same(self, pair: Pair) -> Self::Pairs;
    /// `sums + a · b`
    fn dot(self, sums: V<Self::Level, f32>, a: Self::Pairs, b: Self::Pairs) -> V<Self::Level, f32>;
}

/// A computation written over [`Dot`].
pub(crate) trait DotKernel {
    /// The computation; implementations are `#[inline(always)]`.
    fn run<D: Dot>(self, d: D);
}

/// Fused multiply-adds of a level.
#[derive(Clone, Copy)]
struct Defined<S>(S);

impl<S: Simd> Dot for Defined<S> {
    type Level = S;
    type Pairs = [V<S, f32>; 2];
    const NATIVE: bool = false;

    #[inline(always)]
    fn level(self) -> S {
        self.0
    }

    #[inline(always)]
    unsafe fn load(self, p: *const Pair) -> Self::Pairs {
        // SAFETY: the caller's promise.
        let pairs = unsafe { p.cast::<[Pair; 16]>().read_unaligned() };
        let [even, odd] = [pairs.map(|x| numbers(x).0), pairs.map(|x| numbers(x).1)];
        [V::<S, f32>::read(self.0, &even), V::<S, f32>::read(self.0, &odd)]
    }

    #[inline(always)]
    fn same(self, pair: Pair) -> Self::Pairs {
        let (even, odd) = numbers(pair);
        [V::<S, f32>::splat(self.0, even), V::<S, f32>::splat(self.0, odd)]
    }

    #[inline(always)]
    fn dot(self, sums: V<S, f32>, a: Self::Pairs, b: Self::Pairs) -> V<S, f32> {
        let one = |sums: V<S, f32>, a: V<S, f32>, b: V<S, f32>| {
            let next = a.mul_add(b, sums);
            let tiny = next.abs().le(V::<S, f32>::splat(self.0, f32::MIN_POSITIVE));
            let tiny = tiny.and(next.eq(V::<S, f32>::zero(self.0)).not());
            if tiny.to_bits() == 0 { next } else { lane_by_lane(self.0, sums, a, b) }
        };
        one(one(sums, a[1], b[1]), a[0], b[0])
    }
}

/// [`step`] in every lane.
#[cold]
#[inline(never)]
fn lane_by_lane<S: Simd>(s: S, sums: V<S, f32>, a: V<S, f32>, b: V<S, f32>) -> V<S, f32> {
    let (mut sums, a, b) = (sums.to_lanes(), a.to_lanes(), b.to_lanes());
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = step(*sum, a[i], b[i]);
    }
    V::<S, f32>::read(s, &sums)
}

/// AVX-512 with its instructions for bfloat16.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Native(Avx512);

#[cfg(target_arch = "x86_64")]
mod native {
    use std::arch::x86_64::*;

    use super::super::avx512::F32x16;
    use super::{Avx512, Dot, DotKernel, Native, Pair};

    impl Native {
        pub(super) fn new() -> Option<Self> {
            is_x86_feature_detected!("avx512bf16").then(Avx512::new).flatten().map(Self)
        }

        #[inline]
        pub(super) fn run<K: DotKernel>(self, kernel: K) {
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
            fn trampoline<K: DotKernel>(d: Native, kernel: K) {
                kernel.run(d);
            }
            // SAFETY: the token proves the level and its instructions for bfloat16.
            unsafe { trampoline(self, kernel) }
        }
    }

    impl Dot for Native {
        type Level = Avx512;
        type Pairs = __m512i;
        const NATIVE: bool = true;

        #[inline(always)]
        fn level(self) -> Avx512 {
            self.0
        }

        #[inline(always)]
        unsafe fn load(self, p: *const Pair) -> __m512i {
            // SAFETY: the token proves AVX-512; the caller promises 64 bytes.
            unsafe { _mm512_loadu_si512(p.cast()) }
        }

        #[inline(always)]
        fn same(self, pair: Pair) -> __m512i {
            // SAFETY: the token proves AVX-512.
            unsafe { _mm512_set1_epi32(pair.cast_signed()) }
        }

        #[inline(always)]
        fn dot(self, sums: F32x16, a: __m512i, b: __m512i) -> F32x16 {
            // SAFETY: the token proves the instruction; pairs are 32 bits wide whatever they are called.
            unsafe {
                let bits = |x| std::mem::transmute::<__m512i, __m512bh>(x);
                let (a, b) = (bits(a), bits(b));
                F32x16(_mm512_dpbf16_ps(sums.0, a, b))
            }
        }
    }
}

/// Whether this processor has the instruction at a level.
pub(crate) fn has_dot(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    return level == Level::Avx512 && Native::new().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = level;
        false
    }
}

/// Runs a kernel at a level, with the instruction where it is there and `native` asks for it.
pub(crate) fn dispatch_dot<K: DotKernel>(level: Level, native: bool, kernel: K) {
    #[cfg(target_arch = "x86_64")]
    if native
        && level == Level::Avx512
        && let Some(token) = Native::new()
    {
        return token.run(kernel);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = native;
    dispatch_at(level, Define(kernel));
}

/// A kernel on the level alone.
struct Define<K>(K);

impl<K: DotKernel> Kernel for Define<K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.0.run(Defined(s));
    }
}
