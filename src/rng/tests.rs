//! Known answers; every level against the software version, bit for bit; ties, offsets, distant counters.

use proptest::prelude::*;

use super::*;
use crate::simd::{Aes, AesKernel, SoftAes};
use crate::simd::{AesLevel, available_aes, dispatch_aes_at};

/// Seven rounds: computed with code that reproduces Random123's published vectors for ten.
#[test]
fn known_answers() {
    let cases: [([u32; 4], [u32; 4], [u32; 4]); 3] = [
        ([0; 4], [0; 4], [0xdacf61ff, 0xc45798f3, 0x113c7eeb, 0x101e27f3]),
        (
            [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
            [0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89],
            [0xd1df87af, 0xf67d43ba, 0x4f66afdb, 0x393dcb2d],
        ),
        ([!0; 4], [!0, !0, 0, 0], [0x5e39c131, 0xd1121a9c, 0xba0a9803, 0x9372482d]),
    ];
    for (counter, key, result) in cases {
        assert_eq!(ars7(counter, key), result);
    }
}

struct WordsAt(Key, u64);

impl AesKernel for WordsAt {
    type Output = [u32; 16];

    #[inline(always)]
    fn run<A: Aes>(self, a: A) -> [u32; 16] {
        let rounds = Rounds::new(a, self.0);
        let words = rounds.words(a, self.1);
        let later = rounds.counters(a, self.1.wrapping_sub(12));
        assert_eq!(a.to_words(rounds.apply(a, a.advance(later, 12))), words);
        words
    }
}

fn keys() -> impl Strategy<Value = Key> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(seed, stream, step)| Key::new(seed, stream, step))
}

/// Positions near places where counters carry.
fn positions() -> impl Strategy<Value = u64> {
    let near = prop::sample::select(vec![0u64, 1 << 31, 1 << 32, 1 << 35, 1 << 40, 1 << 62]);
    prop_oneof![0u64..1000, near.prop_flat_map(|at| at.saturating_sub(500)..at + 500)]
}

/// Rates of all sizes, and rates whose ties matter: lower bits set below an upper part of few values.
fn rates() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0f64, prop::sample::select(vec![0.0, 1e-10, 1e-5, 0.1, 1.0 / 3.0, 0.5, 0.9, 1.0 - 1e-5, 1.0]),]
}

/// The rule of the stream, element by element.
fn kept(key: Key, rate: f64, i: u64) -> bool {
    let threshold = (rate * (1u64 << 48) as f64).round_ties_even() as u64;
    let block = |index: u64| dispatch_aes_at(AesLevel::Soft, WordsAt(key, index));
    let words = block(i / 8);
    let lane = u64::from(words[(i % 8 / 2) as usize] >> (16 * (i % 2)) & 0xFFFF);
    let tie = u64::from(block((i / 4) | (1 << 63))[(i % 4) as usize]);
    lane << 32 | tie >= threshold
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn levels_agree_on_words(key in keys(), block in any::<u64>()) {
        let soft = dispatch_aes_at(AesLevel::Soft, WordsAt(key, block));
        for level in available_aes() {
            prop_assert_eq!(dispatch_aes_at(level, WordsAt(key, block)), soft, "{:?}", level);
        }
    }

    #[test]
    fn decisions_follow_the_rule(key in keys(), rate in rates(), start in positions(), n in 0usize..300) {
        let expected: Vec<bool> = (0..n as u64).map(|i| kept(key, rate, start + i)).collect();
        for level in available_aes() {
            let mut bits = vec![!0; n.div_ceil(32) + 1];
            keep_bits_at(level, key, Threshold::new(rate), start, &mut bits, n);
            let got: Vec<bool> = (0..n).map(|i| bits[i / 32] >> (i % 32) & 1 == 1).collect();
            prop_assert_eq!(&got, &expected, "{:?}", level);
            prop_assert_eq!(bits[n.div_ceil(32)], !0);
            if n % 32 != 0 {
                prop_assert_eq!(bits[n / 32] >> (n % 32), 0);
            }
        }
    }

    #[test]
    fn long_runs_follow_the_rule(
        key in keys(),
        rate in prop::sample::select(vec![1e-5, 0.1, 0.5, 0.9]),
        // Starts of a group and of a block, and the last positions below block 2^40, where tables change.
        start in prop_oneof![(0u64..40).prop_map(|i| 128 * i), (0u64..40).prop_map(|i| 8 * i), 0u64..99, (0u64..90).prop_map(|i| (1 << 43) - 128 * i)],
        n in 16_384usize..20_000,
    ) {
        let expected: Vec<bool> = (0..n as u64).map(|i| kept(key, rate, start + i)).collect();
        for level in available_aes() {
            let mut bits = vec![!0; n.div_ceil(32)];
            keep_bits_at(level, key, Threshold::new(rate), start, &mut bits, n);
            let got: Vec<bool> = (0..n).map(|i| bits[i / 32] >> (i % 32) & 1 == 1).collect();
            prop_assert!(got == expected, "{:?}", level);
        }
    }

    #[test]
    fn ties_are_decided_by_the_second_domain(key in keys(), i in positions(), difference in -1i64..=1) {
        // A rate whose threshold lies right at this element's own 48 bits.
        let soft = dispatch_aes_at(AesLevel::Soft, WordsAt(key, i / 8));
        let lane = u64::from(soft[(i % 8 / 2) as usize] >> (16 * (i % 2)) & 0xFFFF);
        let ties = dispatch_aes_at(AesLevel::Soft, WordsAt(key, (i / 4) | (1 << 63)));
        let own = (lane << 32 | u64::from(ties[(i % 4) as usize])) as i64;
        let threshold = (own + difference).clamp(0, 1 << 48);
        let rate = Threshold::new(threshold as f64 / (1u64 << 48) as f64);
        let before = i.min(37);
        for level in available_aes() {
            let mut bits = [0; 3];
            keep_bits_at(level, key, rate, i - before, &mut bits, 80);
            let keep = bits[(before / 32) as usize] >> (before % 32) & 1 == 1;
            prop_assert_eq!(keep, own >= threshold, "{:?}", level);
        }
    }

    #[test]
    fn numbers_do_not_depend_on_where_a_call_starts(key in keys(), offset in positions(), n in 0usize..100) {
        let mut long = vec![0; n + 50];
        words(key, offset, &mut long);
        let mut short = vec![0; n];
        words(key, offset + 13, &mut short);
        prop_assert_eq!(&short, &long[13..13 + n]);
        let mut long = vec![0.0; n + 50];
        uniforms(key, offset, &mut long);
        let mut short = vec![0.0; n];
        uniforms(key, offset + 13, &mut short);
        prop_assert_eq!(&short, &long[13..13 + n]);
        let mut long = vec![0.0; n + 50];
        normals(key, offset, &mut long);
        for level in available_aes() {
            let mut short = vec![0.0; n];
            normals_at(level, key, offset + 13, &mut short);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&short), bits(&long[13..13 + n]), "{:?}", level);
        }
    }

    #[test]
    fn permutations_hold_every_number_once(key in keys(), n in 0usize..3000) {
        let order = permutation(n, key);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(0..n as i64));
    }
}

#[test]
fn permutation_follows_fisher_and_yates() {
    let (n, key) = (2500, Key::new(3, 2 << 48, 9));
    let mut all = vec![0u32; 2 * n];
    words(key, 0, &mut all);
    let mut expected: Vec<i64> = (0..n as i64).collect();
    for i in (0..n).rev() {
        let word = u64::from(all[2 * i]) | u64::from(all[2 * i + 1]) << 32;
        expected.swap(i, ((u128::from(word) * (i as u128 + 1)) >> 64) as usize);
    }
    assert_eq!(permutation(n, key), expected);
}

#[test]
fn normals_are_box_and_muller() {
    let key = Key::new(5, domain::GAUSSIAN << 48, 1);
    let (mut raw, mut got) = (vec![0u32; 4000], vec![0.0f32; 4000]);
    words(key, 0, &mut raw);
    normals(key, 0, &mut got);
    for (pair, got) in raw.chunks(2).zip(got.chunks(2)) {
        let u1 = (f64::from(pair[0] >> 8) + 1.0) / f64::from(1 << 24);
        let u2 = f64::from(pair[1] >> 8) / f64::from(1 << 24);
        let (sin, cos) = (std::f64::consts::TAU * u2).sin_cos();
        let r = (-2.0 * u1.ln()).sqrt();
        for (expected, got) in [(r * cos, got[0]), (r * sin, got[1])] {
            assert!((expected - f64::from(got)).abs() <= 1e-6 * r.max(0.1), "{expected} {got}");
        }
    }
}

#[test]
fn thresholds() {
    for (rate, all, none) in
        [(0.0, false, true), (1.0, true, false), (0.5, false, false), (2f64.powi(-49), false, true)]
    {
        let threshold = Threshold::new(rate);
        assert_eq!((threshold.drops_all(), threshold.drops_none()), (all, none), "{rate}");
    }
    assert!(Threshold::new(1.0 - 2f64.powi(-53)).drops_all());
    assert_eq!(check_rate(1.5).unwrap_err().to_string(), "rate must be in [0, 1]. Received: rate=1.5");
    assert_eq!(check_rate(f64::NAN).unwrap_err().to_string(), "rate must be in [0, 1]. Received: rate=nan");
    assert_eq!(
        dispatch_aes_at(AesLevel::Soft, WordsAt(Key::default(), 0)),
        Rounds::new(SoftAes, Key::default()).words(SoftAes, 0)
    );
}
