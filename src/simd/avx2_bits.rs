//! Layer 0: lanes and their bits on AVX2, which has no instruction for masks from bits, exponents, significands and powers of two.

use std::arch::x86_64::*;

/// All-ones lanes where `bits & selector == selector`.
macro_rules! lanes_with_bits {
    ($bits:expr, $selector:expr, $and:ident, $cmpeq:ident) => {{
        let selector = $selector;
        $cmpeq($and($bits, selector), selector)
    }};
}

/// # Safety
/// The processor has AVX2; so for all functions below.
#[inline(always)]
pub(super) unsafe fn mask_f32(bits: u32) -> __m256 {
    // SAFETY: register operations only.
    unsafe {
        _mm256_castsi256_ps(lanes_with_bits!(
            _mm256_set1_epi32(bits as i32),
            _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128),
            _mm256_and_si256,
            _mm256_cmpeq_epi32
        ))
    }
}

#[inline(always)]
pub(super) unsafe fn mask_f64(bits: u32) -> __m256d {
    // SAFETY: register operations only.
    unsafe {
        _mm256_castsi256_pd(lanes_with_bits!(
            _mm256_set1_epi64x(i64::from(bits)),
            _mm256_setr_epi64x(1, 2, 4, 8),
            _mm256_and_si256,
            _mm256_cmpeq_epi64
        ))
    }
}

#[inline(always)]
pub(super) unsafe fn test_f32(bits: __m256i, index: u32) -> __m256 {
    // SAFETY: register operations only.
    unsafe {
        _mm256_castsi256_ps(lanes_with_bits!(bits, _mm256_set1_epi32(1 << index), _mm256_and_si256, _mm256_cmpeq_epi32))
    }
}

#[inline(always)]
pub(super) unsafe fn test_f64(bits: __m256i, index: u32) -> __m256d {
    // SAFETY: register operations only.
    unsafe {
        _mm256_castsi256_pd(lanes_with_bits!(
            bits,
            _mm256_set1_epi64x(1 << index),
            _mm256_and_si256,
            _mm256_cmpeq_epi64
        ))
    }
}

#[inline(always)]
pub(super) unsafe fn exponent_f32(x: __m256) -> __m256 {
    // SAFETY: register operations only.
    unsafe {
        let biased = _mm256_srli_epi32::<23>(_mm256_castps_si256(x));
        _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)))
    }
}

/// 2^52: a double of this size counts in ones, so integers below 2^52 may be put into its lower bits.
const INTEGER_BASE: f64 = 4_503_599_627_370_496.0;

#[inline(always)]
pub(super) unsafe fn exponent_f64(x: __m256d) -> __m256d {
    // SAFETY: register operations only.
    unsafe {
        let biased = _mm256_srli_epi64::<52>(_mm256_castpd_si256(x));
        let base = _mm256_set1_pd(INTEGER_BASE);
        let number = _mm256_castsi256_pd(_mm256_or_si256(biased, _mm256_castpd_si256(base)));
        _mm256_sub_pd(number, _mm256_set1_pd(INTEGER_BASE + 1023.0))
    }
}

#[inline(always)]
pub(super) unsafe fn significand_f32(x: __m256) -> __m256 {
    // SAFETY: register operations only.
    unsafe {
        let bits = _mm256_and_ps(x, _mm256_set1_ps(f32::from_bits(0x007F_FFFF)));
        _mm256_or_ps(bits, _mm256_set1_ps(1.0))
    }
}

#[inline(always)]
pub(super) unsafe fn significand_f64(x: __m256d) -> __m256d {
    // SAFETY: register operations only.
    unsafe {
        let bits = _mm256_and_pd(x, _mm256_set1_pd(f64::from_bits(0x000F_FFFF_FFFF_FFFF)));
        _mm256_or_pd(bits, _mm256_set1_pd(1.0))
    }
}

#[inline(always)]
pub(super) unsafe fn exp2_f32(n: __m256) -> __m256 {
    // SAFETY: register operations only.
    unsafe {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
}

#[inline(always)]
pub(super) unsafe fn exp2_f64(n: __m256d) -> __m256d {
    // SAFETY: register operations only.
    unsafe {
        let number = _mm256_add_pd(n, _mm256_set1_pd(INTEGER_BASE + 1023.0));
        _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(number)))
    }
}
