//! Every level, element type, layout and thread count against the rule, written element by element.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::parallel::set_num_threads;
use crate::rng::keep_bits_at;
use crate::simd::{AesLevel, aes_level, available_aes};

/// What a type must offer for the tests, beyond [`Sample`].
trait Probe: Sample + PartialEq + std::fmt::Debug {
    fn of(x: f64) -> Self;
    fn scaled(self, scale: f64) -> Self;
    fn same(self, other: Self) -> bool;
}

macro_rules! probe {
    ($float:ty, $work:ty, $bits:ty, $of:expr, $wide:expr, $narrow:expr) => {
        impl Probe for $float {
            fn of(x: f64) -> Self {
                $of(x)
            }

            fn scaled(self, scale: f64) -> Self {
                $narrow($wide(self) * scale as $work)
            }

            fn same(self, other: Self) -> bool {
                self.to_bits() == other.to_bits() || (self != self && other != other)
            }
        }
    };
}

probe!(f32, f32, u32, |x| x as f32, |x| x, |x| x);
probe!(f64, f64, u64, |x| x, |x| x, |x| x);
probe!(f16, f32, u16, f16::from_f64, f16::to_f32, f16::from_f32);
probe!(bf16, f32, u16, bf16::from_f64, bf16::to_f32, bf16::from_f32);

/// Values of all kinds, some of them not finite.
fn values<T: Probe>(n: usize) -> Vec<T> {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e-40, 65504.0, 3e38, 1e-7];
    let value = |i: usize| if i % 17 == 5 { odd[i / 17 % odd.len()] } else { (i as f64 * 0.37).sin() * 9.0 };
    (0..n).map(|i| T::of(value(i))).collect()
}

fn decisions(rate: f64, offset: u64) -> Decisions {
    Decisions { key: Key::new(11, 4, 1 << 33), threshold: Threshold::new(rate), offset }
}

fn kept(rate: f64, at: u64) -> bool {
    let mut bits = [0];
    let Decisions { key, threshold, .. } = decisions(rate, 0);
    keep_bits_at(AesLevel::Soft, key, threshold, at, &mut bits, 1);
    bits[0] == 1
}

/// Runs of all lengths at all alignments of offset and memory, on all levels.
fn contiguous<T: Probe>(n: usize, rate: f64, offset: u64, shift: usize, stream: bool) -> Result<(), TestCaseError> {
    let x = values::<T>(n + shift);
    let scale = 1.0 / (1.0 - rate);
    let expected: Vec<T> =
        (0..n).map(|i| if kept(rate, offset + i as u64) { x[shift + i].scaled(scale) } else { T::ZERO }).collect();
    for level in available_aes() {
        let mut y = vec![T::of(7.0); n + shift + 1];
        // SAFETY: both hold `n` elements from `shift` on.
        unsafe {
            let (x, y) = (x.as_ptr().add(shift), y.as_mut_ptr().add(shift));
            apply_at(level, decisions(rate, offset), Scale::inverted(rate), x, y, n, stream);
        }
        for i in 0..n {
            prop_assert!(y[shift + i].same(expected[i]), "{:?} {}: {:?} {:?}", level, i, y[shift + i], expected[i]);
        }
        prop_assert!(y[..shift].iter().chain(&y[shift + n..]).all(|&y| y == T::of(7.0)));
        let mut own = x.clone();
        // SAFETY: in place.
        unsafe {
            let p = own.as_mut_ptr().add(shift);
            apply_at(level, decisions(rate, offset), Scale::inverted(rate), p, p, n, stream);
        }
        prop_assert!(own[shift..].iter().zip(&expected).all(|(&a, &b)| a.same(b)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn runs(
        n in prop_oneof![0usize..700, 3900usize..6000, 16_300usize..17_000],
        rate in prop::sample::select(vec![1e-5, 0.1, 1.0 / 3.0, 0.5, 0.9, 1.0]),
        offset in prop_oneof![0u64..100, (0u64..40).prop_map(|group| 128 * group), (1u64 << 32) - 300..(1 << 32) + 9, (1u64 << 35) - 300..1 << 35],
        shift in 0usize..19,
        stream in any::<bool>(),
    ) {
        let rate: f64 = rate;
        prop_assume!(rate < 1.0 || n < 600);
        if rate < 1.0 {
            contiguous::<f32>(n, rate, offset, shift, stream)?;
            contiguous::<f64>(n, rate, offset, shift, stream)?;
            contiguous::<f16>(n, rate, offset, shift, stream)?;
            contiguous::<bf16>(n, rate, offset, shift, stream)?;
        }
    }

    #[test]
    fn layouts(
        sizes in prop::collection::vec(1usize..6, 1..5),
        wide in prop_oneof![Just([false; 4]), any::<[bool; 4]>()],
        shared in any::<[bool; 4]>(),
        reversed in any::<bool>(),
        inner in prop_oneof![1usize..90, 120usize..300],
    ) {
        let mut sizes = sizes;
        *sizes.last_mut().unwrap() = inner;
        // Input steps with gaps (and turned round), output steps dense, noise shared along some axes.
        let (mut input, mut output, mut noise) = (1isize, 1isize, 1u64);
        let mut axes = Vec::new();
        for (i, &size) in sizes.iter().enumerate().rev() {
            let gap = if wide[i % 4] { 3 } else { 1 };
            let own = if shared[i % 4] { 0 } else { noise };
            axes.insert(0, Axis { size, input: 4 * input * gap, output: 4 * output, noise: if size == 1 { 0 } else { own } });
            input *= gap * size as isize;
            output *= size as isize;
            noise *= if shared[i % 4] { 1 } else { size as u64 };
        }
        if reversed {
            axes.reverse();
            sizes.reverse();
        }
        let layout = Layout::new(axes.iter().copied());
        prop_assert_eq!(layout.len(), output as usize);
        prop_assume!(matches!(layout.inner().noise, 0 | 1));
        let x = values::<f32>(input as usize);
        let dense = input == output;
        for level in available_aes() {
            let mut y = vec![7.0f32; output as usize];
            // SAFETY: the layout was made for the two buffers.
            unsafe { apply(level, decisions(0.4, 5), Scale::inverted(0.4), &layout, x.as_ptr(), y.as_mut_ptr()) };
            for position in 0..output as usize {
                let (mut rest, mut from, mut to, mut own) = (position, 0, 0, 0);
                for (axis, &size) in axes.iter().zip(&sizes).rev() {
                    let index = rest % size;
                    rest /= size;
                    from += index * axis.input as usize / 4;
                    to += index * axis.output as usize / 4;
                    own += index as u64 * axis.noise;
                }
                let expected = if kept(0.4, 5 + own) { x[from].scaled(1.0 / 0.6) } else { 0.0 };
                prop_assert!(y[to].same(expected), "{:?} {}", level, position);
            }
            if dense {
                let mut own = x.clone();
                let p = own.as_mut_ptr();
                // SAFETY: in place.
                unsafe { apply(level, decisions(0.4, 5), Scale::inverted(0.4), &layout, p, p) };
                prop_assert!(own.iter().zip(&y).all(|(&a, &b)| a.same(b)), "{:?} in place", level);
            }
        }
    }

    #[test]
    fn masks(n in prop_oneof![0usize..9000, 16_300usize..20_000], offset in 0u64..100, rate in 0.0..1.0f64) {
        let expected: Vec<u8> = {
            let mut bits = vec![0; n.div_ceil(32)];
            let Decisions { key, threshold, offset } = decisions(rate, offset);
            keep_bits_at(AesLevel::Soft, key, threshold, offset, &mut bits, n);
            (0..n).map(|i| (bits[i / 32] >> (i % 32) & 1) as u8).collect()
        };
        for level in available_aes() {
            let mut bools = vec![9; n];
            mask_bools(level, decisions(rate, offset), &mut bools);
            prop_assert_eq!(&bools, &expected, "{:?}", level);
            let mut packed = vec![9; n.div_ceil(8)];
            mask_bits(level, decisions(rate, offset), n, &mut packed);
            let unpacked: Vec<u8> = (0..8 * packed.len()).map(|i| packed[i / 8] >> (i % 8) & 1).collect();
            prop_assert_eq!(&unpacked[..n], &expected[..]);
            prop_assert!(unpacked[n..].iter().all(|&bit| bit == 0));
        }
    }
}

/// All 65,536 values of a 16-bit float, nothing dropped, by many scales.
fn all_halves<T: Probe>(of_bits: impl Fn(u16) -> T) {
    let x: Vec<T> = (0..=u16::MAX).map(of_bits).collect();
    for rate in [1e-3, 0.1, 0.2, 0.25, 1.0 / 3.0, 0.5, 0.7, 0.9, 1.0 - 1e-5] {
        for level in available_aes() {
            let mut y = x.clone();
            // SAFETY: both hold all values.
            unsafe {
                apply_at(level, decisions(0.0, 0), Scale::inverted(rate), x.as_ptr(), y.as_mut_ptr(), x.len(), false)
            };
            for (&x, &y) in x.iter().zip(&y) {
                assert!(y.same(x.scaled(1.0 / (1.0 - rate))), "{level:?} {rate}: {x:?} became {y:?}");
            }
        }
    }
}

#[test]
fn every_half_is_rounded_once() {
    all_halves(f16::from_bits);
    all_halves(bf16::from_bits);
}

/// Outputs of large pages, begun anywhere in one, by one thread and by two, past the caches and through them.
#[test]
fn large_outputs() {
    for (n, shift) in [(1 << 20, 0), ((1 << 20) + 77, 4), ((1 << 22) + 1, 12), ((1 << 23) + 300_001, 5)] {
        let x: Vec<f32> = (0..n + shift).map(|i| i as f32 - 9.5).collect();
        let (x, scale) = (&x[shift..], Scale::inverted(0.3));
        let mut expected = vec![7.0f32; n];
        // SAFETY: both hold `n` elements.
        unsafe { apply_at(aes_level(), decisions(0.3, 5), scale, x.as_ptr(), expected.as_mut_ptr(), n, false) };
        for threads in [1, 2] {
            set_num_threads(threads).expect("a legal number");
            let mut y = vec![7.0f32; n + shift + 1];
            // SAFETY: both hold `n` elements.
            unsafe { apply_contiguous(decisions(0.3, 5), scale, x.as_ptr(), y.as_mut_ptr().add(shift), n) };
            assert!(y[shift..shift + n] == expected, "{n} {threads}");
            assert!(y[..shift].iter().chain(&y[shift + n..]).all(|&y| y == 7.0));
            let mut own = x.to_vec();
            // SAFETY: in place.
            unsafe { apply_contiguous(decisions(0.3, 5), scale, own.as_ptr(), own.as_mut_ptr(), n) };
            assert!(own == expected, "{n} {threads} in place");
        }
    }
    let mut mask = vec![9; (1 << 23) + 12_345];
    mask_bools(aes_level(), decisions(0.3, 5), &mut mask);
    let mut bits = vec![0; mask.len().div_ceil(32)];
    keep_bits_at(aes_level(), decisions(0.3, 5).key, decisions(0.3, 5).threshold, 5, &mut bits, mask.len());
    assert!(mask.iter().enumerate().all(|(i, &kept)| u32::from(kept) == bits[i / 32] >> (i % 32) & 1));
}

#[test]
fn everything_dropped_is_plus_zero() {
    let x = values::<f32>(100);
    for level in available_aes() {
        let mut y = vec![7.0f32; 100];
        // SAFETY: both hold 100 elements.
        unsafe { apply_at(level, decisions(1.0, 3), Scale::inverted(1.0), x.as_ptr(), y.as_mut_ptr(), 100, false) };
        assert!(y.iter().all(|y| y.to_bits() == 0));
    }
}

#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    let n = 100_000;
    let mut x = vec![0.0f32; n];
    crate::rng::normals(Key::new(1, 1, 1), 0, &mut x);
    for level in available_aes() {
        let mut y = vec![0.0f32; n];
        // SAFETY: both hold `n` elements.
        unsafe { apply_at(level, decisions(0.2, 0), Affine::alpha(0.2), x.as_ptr(), y.as_mut_ptr(), n, false) };
        let mean = y.iter().map(|&y| f64::from(y)).sum::<f64>() / n as f64;
        let variance = y.iter().map(|&y| (f64::from(y) - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
