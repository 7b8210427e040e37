//! Layer 0: lane masks on AVX-512, a bit a lane: what [`Mask`] asks of them, and masks of the first lanes.

use std::arch::x86_64::{__mmask8, __mmask16};

use super::Mask;

/// The first `n` bits set.
#[inline(always)]
pub(super) fn first(n: usize) -> u32 {
    (1u32 << n) - 1
}

/// [`Mask`] of bits.
macro_rules! bits {
    ($mask:ty) => {
        impl Mask for $mask {
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }

            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }

            #[inline(always)]
            fn not(self) -> Self {
                !self
            }

            #[inline(always)]
            fn to_bits(self) -> u32 {
                u32::from(self)
            }
        }
    };
}

bits!(__mmask16);
bits!(__mmask8);
