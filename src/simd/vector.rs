//! Layer 0: the traits that kernels are written over: token, vector, lane mask, element type.

use super::Level;
use super::links::Links;
use crate::aligned::Zeroable;

/// A level's token: proof that the processor has its instructions.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// Sixteen lanes of `f32`.
    type F32: Vector<Elem = f32, Token = Self>;
    /// Eight lanes of `f64`.
    type F64: Vector<Elem = f64, Token = Self>;

    /// Which level this is.
    const LEVEL: Level;

    /// Runs a kernel compiled for this level.
    fn run<K: Kernel>(self, kernel: K) -> K::Output;

    /// The same as a function of its own, which all who need the kernel share: for long kernels that are not worth being inlined.
    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        self.run(kernel)
    }

    /// Asks for the cache line at `p` to be fetched; any address is fine.
    #[inline(always)]
    fn prefetch<T>(self, _p: *const T) {}

    /// Asks for the cache line at `p` to be fetched into the second-level cache; any address is fine.
    #[inline(always)]
    fn prefetch_far<T>(self, _p: *const T) {}
}

/// A computation written once for all levels.
pub(crate) trait Kernel {
    /// What the computation returns.
    type Output;

    /// The computation; implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// The vector of `T` on level `S`.
pub(crate) type V<S, T> = <T as Element>::Vector<S>;

/// An element type of the kernels: `f32` or `f64`.
pub(crate) trait Element:
    Zeroable + Send + Sync + PartialEq + PartialOrd + Default + std::fmt::Debug + 'static
{
    /// The vector of this type on level `S`.
    type Vector<S: Simd>: Vector<Elem = Self, Token = S>;
    /// The unsigned integer of the same width.
    type Bits: Zeroable + Send + Sync + Default + From<u32> + Into<u64> + 'static;

    /// Lanes of a vector, the same on every level.
    const LANES: usize = 64 / size_of::<Self>();
    /// The number zero.
    const ZERO: Self;
    /// The number one.
    const ONE: Self;

    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The value of a byte.
    fn from_u8(x: u8) -> Self;
    /// The value in double precision, exactly.
    fn to_f64(self) -> f64;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
}

impl Element for f32 {
    type Vector<S: Simd> = S::F32;
    type Bits = u32;

    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn from_u8(x: u8) -> Self {
        Self::from(x)
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
    }
}

impl Element for f64 {
    type Vector<S: Simd> = S::F64;
    type Bits = u64;

    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn from_u8(x: u8) -> Self {
        Self::from(x)
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f64::mul_add(self, a, b)
    }
}

/// One truth value a lane.
pub(crate) trait Mask: Copy {
    /// Lane-wise and.
    fn and(self, other: Self) -> Self;
    /// Lane-wise or.
    fn or(self, other: Self) -> Self;
    /// Lane-wise not.
    fn not(self) -> Self;
    /// Bit `i` is lane `i`; bits past the last lane are 0.
    fn to_bits(self) -> u32;
}

/// 64 bytes of floating-point lanes. All operations are IEEE 754, rounded once, and lane-wise unless said.
pub(crate) trait Vector: Copy + Send + Sync {
    /// The type of a lane.
    type Elem: Element;
    /// The level's token.
    type Token: Simd;
    /// One truth value a lane.
    type Mask: Mask;
    /// One unsigned integer a lane, as wide as the lane.
    type Bits: Copy;
    /// Which lanes move where.
    type Moves: Copy;
    /// The same between registers.
    type Links: Links<Self::Token>;

    /// Number of lanes, the same on every level.
    const LANES: usize = 64 / size_of::<Self::Elem>();

    /// All lanes `x`.
    fn splat(s: Self::Token, x: Self::Elem) -> Self;

    /// All lanes +0.
    #[inline(always)]
    fn zero(s: Self::Token) -> Self {
        Self::splat(s, Self::Elem::ZERO)
    }

    /// The first `min(slice.len(), LANES)` lanes from `slice`, the others +0.
    #[inline(always)]
    fn from_slice(s: Self::Token, slice: &[Self::Elem]) -> Self {
        // SAFETY: no more lanes are read than the slice has. Whole vectors, the common case, need no lane mask.
        unsafe {
            if slice.len() >= Self::LANES {
                Self::load(s, slice.as_ptr())
            } else {
                Self::load_first(s, slice.as_ptr(), slice.len())
            }
        }
    }

    /// All lanes from the start of a slice.
    ///
    /// # Panics
    /// Where the slice is shorter than a vector.
    #[inline(always)]
    fn read(s: Self::Token, slice: &[Self::Elem]) -> Self {
        assert!(slice.len() >= Self::LANES);
        // SAFETY: just checked.
        unsafe { Self::load(s, slice.as_ptr()) }
    }

    /// Writes all lanes to the start of a slice.
    ///
    /// # Panics
    /// Where the slice is shorter than a vector.
    #[inline(always)]
    fn write(self, slice: &mut [Self::Elem]) {
        assert!(slice.len() >= Self::LANES);
        // SAFETY: just checked.
        unsafe { self.store(slice.as_mut_ptr()) }
    }

    /// Writes as many of the first lanes as the slice takes.
    #[inline(always)]
    fn write_first(self, slice: &mut [Self::Elem]) {
        // SAFETY: no more lanes are written than the slice has.
        unsafe {
            if slice.len() >= Self::LANES {
                self.store(slice.as_mut_ptr());
            } else {
                self.store_first(slice.as_mut_ptr(), slice.len());
            }
        }
    }

    /// Loads all lanes; no alignment is needed.
    ///
    /// # Safety
    /// `LANES` elements at `p` are readable.
    unsafe fn load(s: Self::Token, p: *const Self::Elem) -> Self;

    /// Stores all lanes; no alignment is needed.
    ///
    /// # Safety
    /// `LANES` elements at `p` are writable.
    unsafe fn store(self, p: *mut Self::Elem);

    /// Loads the first `n <= LANES` lanes, the others are +0.
    ///
    /// # Safety
    /// `n` elements at `p` are readable.
    unsafe fn load_first(s: Self::Token, p: *const Self::Elem, n: usize) -> Self;

    /// How to [`Vector::spread`] over the lanes whose bit is set.
    fn spreading(s: Self::Token, bits: u32) -> Self::Moves;

    /// How to [`Vector::pack`] the lanes whose bit is set.
    fn packing(s: Self::Token, bits: u32) -> Self::Moves;

    /// Spreads consecutive elements over the chosen lanes, in order; the others stay.
    ///
    /// # Safety
    /// `LANES` elements at `p` are readable.
    unsafe fn spread(self, p: *const Self::Elem, moves: Self::Moves) -> Self;

    /// Stores the chosen lanes one after another; what follows them of `LANES` elements is overwritten.
    ///
    /// # Safety
    /// `LANES` elements at `p` are writable.
    unsafe fn pack(self, p: *mut Self::Elem, moves: Self::Moves);

    /// Lanes of `from` replace those that they are linked to; the others stay.
    fn link(self, from: Self, links: Self::Links) -> Self;

    /// Stores the first `n <= LANES` lanes.
    ///
    /// # Safety
    /// `n` elements at `p` are writable.
    unsafe fn store_first(self, p: *mut Self::Elem, n: usize);

    /// Stores all lanes past the caches. A thread that does this calls [`Vector::fence`] before it hands the data on.
    ///
    /// # Safety
    /// `LANES` elements at `p` are writable and `p` is aligned to 64 bytes.
    unsafe fn stream(self, p: *mut Self::Elem);

    /// Orders streamed stores before all that follows.
    fn fence(s: Self::Token);

    /// `self + b`
    fn add(self, b: Self) -> Self;
    /// `self - b`
    fn sub(self, b: Self) -> Self;
    /// `self * b`
    fn mul(self, b: Self) -> Self;
    /// `self / b`
    fn div(self, b: Self) -> Self;
    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `c - self * b`, rounded once.
    fn neg_mul_add(self, b: Self, c: Self) -> Self;

    /// [`Vector::mul_add`] for the loops of products: in line even where it is many instructions.
    #[inline(always)]
    fn mul_add_in_line(self, b: Self, c: Self) -> Self {
        self.mul_add(b, c)
    }
    /// `self < b ? self : b`, so `b` where either is NaN.
    fn min(self, b: Self) -> Self;
    /// `self > b ? self : b`, so `b` where either is NaN.
    fn max(self, b: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Sign bit cleared.
    fn abs(self) -> Self;
    /// Sign bit flipped.
    fn neg(self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn copy_sign(self, sign: Self) -> Self;
    /// Nearest integer, ties to even.
    fn round(self) -> Self;

    /// `self < b`, false on NaN.
    fn lt(self, b: Self) -> Self::Mask;
    /// `self <= b`, false on NaN.
    fn le(self, b: Self) -> Self::Mask;
    /// `self == b`, false on NaN.
    fn eq(self, b: Self) -> Self::Mask;
    /// Lanes that hold NaN.
    fn is_nan(self) -> Self::Mask;

    /// Bit `i` of `bits` becomes lane `i`.
    fn mask_from_bits(s: Self::Token, bits: u32) -> Self::Mask;
    /// `mask ? self : other`
    fn select(self, mask: Self::Mask, other: Self) -> Self;
    /// `mask ? self : +0`
    fn keep(self, mask: Self::Mask) -> Self;

    /// The unbiased exponent of a positive normal number, as a number: 1.0 for 2.5.
    fn exponent(self) -> Self;
    /// The significand in [1, 2) of a positive normal number: 1.25 for 2.5.
    fn significand(self) -> Self;
    /// `2^self` for integers `self` with a normal result.
    fn exp2_integer(self) -> Self;

    /// Loads one integer a lane.
    ///
    /// # Safety
    /// `LANES` integers at `p` are readable.
    unsafe fn load_bits(s: Self::Token, p: *const <Self::Elem as Element>::Bits) -> Self::Bits;

    /// One integer a lane from the start of a slice.
    ///
    /// # Panics
    /// Where the slice is shorter than a vector.
    #[inline(always)]
    fn read_bits(s: Self::Token, slice: &[<Self::Elem as Element>::Bits]) -> Self::Bits {
        assert!(slice.len() >= Self::LANES);
        // SAFETY: just checked.
        unsafe { Self::load_bits(s, slice.as_ptr()) }
    }

    /// Lanes of `bits` in which bit `index` (below the lane's width) is set.
    fn test_bit(bits: Self::Bits, index: u32) -> Self::Mask;

    /// Transposes a square of `LANES` x `LANES` elements; strides count elements.
    ///
    /// # Safety
    /// `LANES` rows of `LANES` elements are readable at `src` and writable at `dst`, which do not overlap.
    unsafe fn transpose(
        s: Self::Token,
        src: *const Self::Elem,
        src_stride: usize,
        dst: *mut Self::Elem,
        dst_stride: usize,
    );

    /// The lanes as an array padded to 16.
    #[inline(always)]
    fn to_lanes(self) -> [Self::Elem; 16] {
        let mut lanes = [Self::Elem::ZERO; 16];
        // SAFETY: a vector has at most 16 lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        lanes
    }

    /// The sum of the lanes by the fixed tree: lane `i` + lane `i + LANES / 2`, and so on by halves.
    #[inline(always)]
    fn reduce_sum(self) -> Self::Elem
    where
        Self::Elem: std::ops::Add<Output = Self::Elem>,
    {
        let mut lanes = self.to_lanes();
        let mut half = Self::LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] = lanes[i] + lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }
}
