//! Layer 0: AES instructions: the token family of the random stream, four AES states a step on every level.
//!
//! A kernel over random bits is generic over `A:` [`Aes`], as other kernels are over `S: Simd`, and run by
//! [`dispatch_aes`]. Each token brings along the vector level it is compiled with ([`Aes::Simd`]):
//!
//! | token | needs | vectors |
//! |---|---|---|
//! | `Vaes512` | VAES, AVX-512 | AVX-512 |
//! | `Vaes256` | VAES, AVX2, F16C | AVX2 |
//! | `AesNi` | AES-NI, AVX2, F16C | AVX2 |
//! | `AesArm` | Arm's AES instructions | NEON |
//! | [`SoftAes`] | nothing | scalar |
//!
//! A step makes 64 random bytes: 32 numbers of 16 bits, so 32 keep-or-drop decisions ([`Aes::Keep`]).

use super::half::Half;
use super::halves::Halves;
use super::{Level, V, Vector, level};

#[cfg(target_arch = "aarch64")]
pub(crate) use super::aes_arm::AesArm;
#[cfg(target_arch = "x86_64")]
pub(crate) use super::{aes_avx512::Vaes512, aes_ni::AesNi, aes_vaes256::Vaes256};

pub(crate) use super::aes_soft::SoftAes;

/// The lane mask of a vector of `T` on token `A`.
pub(crate) type MaskOf<A, T> = <V<<A as Aes>::Simd, T> as Vector>::Mask;

/// Decisions that one [`Aes::at_least`] makes.
pub(crate) const STEP: usize = 32;

/// Four AES states in memory.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Row(pub(crate) [u32; 16]);

/// A token of AES instructions: proof that the processor has them.
pub(crate) trait Aes: Copy + Send + Sync + 'static {
    /// The vector level that kernels of this token are compiled with.
    type Simd: Half + Halves;
    /// Four AES states of 128 bits.
    type Block: Copy;
    /// One round key, ready to be used on a block.
    type RoundKey: Copy;
    /// A 16-bit number in all lanes.
    type Words: Copy;
    /// 32 truth values, in the form that costs least to make and to use.
    type Keep: Copy;
    /// Minima of differences, in one register.
    type Near: Copy;

    /// Which level this is.
    const LEVEL: AesLevel;

    /// The vector token.
    fn simd(self) -> Self::Simd;
    /// Runs a kernel compiled for this level.
    fn run<K: AesKernel>(self, kernel: K) -> K::Output;

    /// A round key from its two 64-bit lanes.
    fn round_key(self, low: u64, high: u64) -> Self::RoundKey;
    /// The states `(low, high)`, `(low + 1, high)`, `(low + 2, high)`, `(low + 3, high)`; the low lane wraps.
    fn counters(self, low: u64, high: u64) -> Self::Block;
    /// Four states `(low, high)`.
    fn repeated(self, low: u64, high: u64) -> Self::Block;
    /// Adds `n` to the low lane of every state, wrapping.
    fn advance(self, block: Self::Block, n: u64) -> Self::Block;
    /// Exclusive or with a round key.
    fn xor(self, block: Self::Block, key: Self::RoundKey) -> Self::Block;
    /// The state of a block of four equal states, ready to be used on a block.
    fn common(self, block: Self::Block) -> Self::RoundKey;
    /// The four states of a row.
    fn load(self, row: &Row) -> Self::Block;
    /// Four states as a row.
    fn store(self, block: Self::Block, row: &mut Row);
    /// One full round, as the instruction `aesenc`.
    fn round(self, block: Self::Block, key: Self::RoundKey) -> Self::Block;
    /// The last round, as the instruction `aesenclast`.
    fn last_round(self, block: Self::Block, key: Self::RoundKey) -> Self::Block;
    /// The 32-bit words of the four states, least significant first.
    fn to_words(self, block: Self::Block) -> [u32; 16];

    /// Fractions of the words of eight blocks, for pairs of words: from the first word `((w >> 8) + 1) 2^-24`, from the
    /// second `(w >> 8) 2^-24`. Lane `2 i` is pair `i` of `low`, lane `2 i + 1` pair `i` of `high`.
    fn unit_pairs(self, low: Self::Block, high: Self::Block) -> (V<Self::Simd, f32>, V<Self::Simd, f32>);
    /// Firsts and seconds of pairs, by lanes as in [`Aes::unit_pairs`], in the order of the words.
    fn join_pairs(self, first: V<Self::Simd, f32>, second: V<Self::Simd, f32>) -> [V<Self::Simd, f32>; 2];

    /// `word` in all lanes.
    fn words(self, word: u16) -> Self::Words;
    /// Which of the 32 lanes of 16 bits are `>= bound`.
    fn at_least(self, block: Self::Block, bound: Self::Words) -> Self::Keep;
    /// Which of the 32 lanes of 16 bits equal `bound`.
    fn equal(self, block: Self::Block, bound: Self::Words) -> Self::Keep;
    /// A record of differences in which nothing is near.
    fn far(self) -> Self::Near;
    /// The minimum of `record` and the differences (by bits) of `block` from `bound`.
    fn note(self, record: Self::Near, block: Self::Block, bound: Self::Words) -> Self::Near;
    /// Whether a lane that was noted equalled its bound.
    fn met(self, record: Self::Near) -> bool;
    /// Decisions from bits, decision `i` from bit `i`.
    fn keep_from_bits(self, bits: u32) -> Self::Keep;
    /// Decisions as bits.
    fn keep_to_bits(self, keep: Self::Keep) -> u32;
    /// Decisions as 32 bytes, 0 or 1.
    ///
    /// # Safety
    /// 32 bytes at `p` are writable.
    unsafe fn store_bools(self, keep: Self::Keep, p: *mut u8);
    /// Asks for the cache line at `p`, whose address need not be valid.
    fn prefetch<T>(self, p: *const T);
    /// `kept` where kept, else `dropped`.
    fn choose(
        self,
        keep: Self::Keep,
        kept: <Self::Simd as Halves>::Halves,
        dropped: <Self::Simd as Halves>::Halves,
    ) -> <Self::Simd as Halves>::Halves;
    /// Decisions 16 `part` to 16 `part` + 15, `part < 2`.
    fn mask_f32(self, keep: Self::Keep, part: usize) -> MaskOf<Self, f32>;
    /// Decisions 8 `part` to 8 `part` + 7, `part < 4`.
    fn mask_f64(self, keep: Self::Keep, part: usize) -> MaskOf<Self, f64>;
}

/// A computation on random bits written once for all levels.
pub(crate) trait AesKernel {
    /// What the computation returns.
    type Output;

    /// The computation; implementations are `#[inline(always)]`.
    fn run<A: Aes>(self, a: A) -> Self::Output;
}

/// The levels of AES, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AesLevel {
    /// Tables and plain Rust.
    Soft,
    /// AES instructions of 64-bit Arm: one state an instruction.
    Arm,
    /// AES-NI: one state an instruction.
    AesNi,
    /// VAES on 256-bit registers: two states an instruction.
    Vaes256,
    /// VAES on 512-bit registers: four states an instruction.
    Vaes512,
}

impl AesLevel {
    /// All levels, weakest first.
    pub(crate) const ALL: [Self; 5] = [Self::Soft, Self::Arm, Self::AesNi, Self::Vaes256, Self::Vaes512];

    /// A short name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Arm => "arm",
            Self::AesNi => "aesni",
            Self::Vaes256 => "vaes256",
            Self::Vaes512 => "vaes512",
        }
    }

    /// The vector level that it is compiled with.
    pub(crate) fn simd(self) -> Level {
        match self {
            Self::Soft => Level::Scalar,
            Self::Arm => Level::Neon,
            Self::AesNi | Self::Vaes256 => Level::Avx2,
            Self::Vaes512 => Level::Avx512,
        }
    }

    /// Whether this processor has the level.
    pub(crate) fn is_available(self) -> bool {
        match self {
            Self::Soft => true,
            #[cfg(target_arch = "aarch64")]
            Self::Arm => AesArm::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::AesNi => AesNi::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Vaes256 => Vaes256::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Vaes512 => Vaes512::new().is_some(),
            _ => false,
        }
    }
}

/// The AES levels that this processor has, weakest first.
pub(crate) fn available_aes() -> impl Iterator<Item = AesLevel> {
    AesLevel::ALL.into_iter().filter(|level| level.is_available())
}

/// The AES level in use: the best whose vectors are no wider than the vector level in use.
#[inline]
pub(crate) fn aes_level() -> AesLevel {
    static LEVEL: std::sync::OnceLock<AesLevel> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(|| available_aes().filter(|aes| aes.simd() <= level()).last().unwrap_or(AesLevel::Soft))
}

/// Runs a kernel on the AES level in use.
#[inline]
pub(crate) fn dispatch_aes<K: AesKernel>(kernel: K) -> K::Output {
    dispatch_aes_at(aes_level(), kernel)
}

/// Runs a kernel on a given AES level, for tests and benchmarks.
///
/// # Panics
/// Where the processor lacks the level.
#[inline]
pub(crate) fn dispatch_aes_at<K: AesKernel>(level: AesLevel, kernel: K) -> K::Output {
    match level {
        AesLevel::Soft => SoftAes.run(kernel),
        #[cfg(target_arch = "aarch64")]
        AesLevel::Arm => AesArm::new().expect("AES instructions are available").run(kernel),
        #[cfg(target_arch = "x86_64")]
        AesLevel::AesNi => AesNi::new().expect("AES-NI is available").run(kernel),
        #[cfg(target_arch = "x86_64")]
        AesLevel::Vaes256 => Vaes256::new().expect("VAES is available").run(kernel),
        #[cfg(target_arch = "x86_64")]
        AesLevel::Vaes512 => Vaes512::new().expect("VAES and AVX-512 are available").run(kernel),
        _ => unreachable!("{} belongs to another kind of processor", level.name()),
    }
}
