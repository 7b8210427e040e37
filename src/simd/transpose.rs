//! Layer 0: squares of registers transposed, for each level and type.

use std::arch::x86_64::*;

/// 8 x 8: rows in pairs, pairs in fours, then halves.
///
/// # Safety
/// Eight rows of eight elements are readable at `src` and writable at `dst`, on a processor with AVX2.
#[inline(always)]
pub(super) unsafe fn avx2_f32(src: *const f32, src_stride: usize, dst: *mut f32, dst_stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut a: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(src.add(i * src_stride)));
        for i in (0..8).step_by(2) {
            let (x, y) = (a[i], a[i + 1]);
            a[i] = _mm256_unpacklo_ps(x, y);
            a[i + 1] = _mm256_unpackhi_ps(x, y);
        }
        // Now a[4g + j] holds, in its half h, column 4h + j of rows 4g..4g + 4.
        for g in [0, 4] {
            let [w, x, y, z] = [a[g], a[g + 1], a[g + 2], a[g + 3]];
            a[g] = _mm256_shuffle_ps::<0x44>(w, y);
            a[g + 1] = _mm256_shuffle_ps::<0xEE>(w, y);
            a[g + 2] = _mm256_shuffle_ps::<0x44>(x, z);
            a[g + 3] = _mm256_shuffle_ps::<0xEE>(x, z);
        }
        for j in 0..4 {
            let low = _mm256_permute2f128_ps::<0x20>(a[j], a[j + 4]);
            let high = _mm256_permute2f128_ps::<0x31>(a[j], a[j + 4]);
            _mm256_storeu_ps(dst.add(j * dst_stride), low);
            _mm256_storeu_ps(dst.add((j + 4) * dst_stride), high);
        }
    }
}

/// 4 x 4: rows in pairs, then halves.
///
/// # Safety
/// Four rows of four elements are readable at `src` and writable at `dst`, on a processor with AVX2.
#[inline(always)]
pub(super) unsafe fn avx2_f64(src: *const f64, src_stride: usize, dst: *mut f64, dst_stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let a: [__m256d; 4] = std::array::from_fn(|i| _mm256_loadu_pd(src.add(i * src_stride)));
        for j in 0..2 {
            let (low, high) = if j == 0 {
                (_mm256_unpacklo_pd(a[0], a[1]), _mm256_unpacklo_pd(a[2], a[3]))
            } else {
                (_mm256_unpackhi_pd(a[0], a[1]), _mm256_unpackhi_pd(a[2], a[3]))
            };
            let near = _mm256_permute2f128_pd::<0x20>(low, high);
            let far = _mm256_permute2f128_pd::<0x31>(low, high);
            _mm256_storeu_pd(dst.add(j * dst_stride), near);
            _mm256_storeu_pd(dst.add((j + 2) * dst_stride), far);
        }
    }
}

/// 16 x 16: rows in pairs, pairs in fours, then 128-bit quarters twice.
///
/// # Safety
/// As [`super::Vector::transpose`], on a processor with AVX-512.
#[inline(always)]
pub(super) unsafe fn avx512_f32(src: *const f32, src_stride: usize, dst: *mut f32, dst_stride: usize) {
    // SAFETY: sixteen rows of sixteen elements lie on both sides.
    unsafe {
        let mut a: [__m512; 16] = std::array::from_fn(|i| _mm512_loadu_ps(src.add(i * src_stride)));
        for i in (0..16).step_by(2) {
            let (x, y) = (a[i], a[i + 1]);
            a[i] = _mm512_unpacklo_ps(x, y);
            a[i + 1] = _mm512_unpackhi_ps(x, y);
        }
        // Now a[4g + j] holds, in its quarter q, column 4q + j of rows 4g..4g + 4.
        for g in (0..16).step_by(4) {
            let [w, x, y, z] = [a[g], a[g + 1], a[g + 2], a[g + 3]];
            a[g] = _mm512_shuffle_ps::<0x44>(w, y);
            a[g + 1] = _mm512_shuffle_ps::<0xEE>(w, y);
            a[g + 2] = _mm512_shuffle_ps::<0x44>(x, z);
            a[g + 3] = _mm512_shuffle_ps::<0xEE>(x, z);
        }
        for j in 0..4 {
            let [w, x, y, z] = [a[j], a[j + 4], a[j + 8], a[j + 12]];
            let even_low = _mm512_shuffle_f32x4::<0x88>(w, x);
            let even_high = _mm512_shuffle_f32x4::<0x88>(y, z);
            let odd_low = _mm512_shuffle_f32x4::<0xDD>(w, x);
            let odd_high = _mm512_shuffle_f32x4::<0xDD>(y, z);
            let columns = [
                _mm512_shuffle_f32x4::<0x88>(even_low, even_high),
                _mm512_shuffle_f32x4::<0x88>(odd_low, odd_high),
                _mm512_shuffle_f32x4::<0xDD>(even_low, even_high),
                _mm512_shuffle_f32x4::<0xDD>(odd_low, odd_high),
            ];
            for (q, column) in columns.into_iter().enumerate() {
                _mm512_storeu_ps(dst.add((4 * q + j) * dst_stride), column);
            }
        }
    }
}

/// 8 x 8: rows in pairs, then 128-bit quarters twice.
///
/// # Safety
/// As [`super::Vector::transpose`], on a processor with AVX-512.
#[inline(always)]
pub(super) unsafe fn avx512_f64(src: *const f64, src_stride: usize, dst: *mut f64, dst_stride: usize) {
    // SAFETY: eight rows of eight elements lie on both sides.
    unsafe {
        let mut a: [__m512d; 8] = std::array::from_fn(|i| _mm512_loadu_pd(src.add(i * src_stride)));
        for i in (0..8).step_by(2) {
            let (x, y) = (a[i], a[i + 1]);
            a[i] = _mm512_unpacklo_pd(x, y);
            a[i + 1] = _mm512_unpackhi_pd(x, y);
        }
        // Now a[2g + j] holds, in its quarter q, column 2q + j of rows 2g and 2g + 1.
        for j in 0..2 {
            let [w, x, y, z] = [a[j], a[j + 2], a[j + 4], a[j + 6]];
            let even_low = _mm512_shuffle_f64x2::<0x88>(w, x);
            let even_high = _mm512_shuffle_f64x2::<0x88>(y, z);
            let odd_low = _mm512_shuffle_f64x2::<0xDD>(w, x);
            let odd_high = _mm512_shuffle_f64x2::<0xDD>(y, z);
            let columns = [
                _mm512_shuffle_f64x2::<0x88>(even_low, even_high),
                _mm512_shuffle_f64x2::<0x88>(odd_low, odd_high),
                _mm512_shuffle_f64x2::<0xDD>(even_low, even_high),
                _mm512_shuffle_f64x2::<0xDD>(odd_low, odd_high),
            ];
            for (q, column) in columns.into_iter().enumerate() {
                _mm512_storeu_pd(dst.add((2 * q + j) * dst_stride), column);
            }
        }
    }
}
