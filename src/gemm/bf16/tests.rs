//! The dot product of pairs against its definition, and products against the naive one: all bits are equal.

use super::driver::multiply_at;
use super::naive;
use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::simd::bf16::{Dot, DotKernel, Pair, dispatch_dot, has_dot, numbers, round, step};
use crate::simd::{Level, V, Vector, available};

/// Words that look random.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A bfloat16: any bits, an edge, one whose products are near the smallest normal number, or one near 1.
    fn operand(&mut self, kind: u64) -> u32 {
        const EDGES: [u32; 22] = [
            0, 0x8000, 1, 0x8001, 0x7F, 0x807F, 0x80, 0x8080, 0x81, 0x3F80, 0xBF80, 0x3F81, 0x7F7F, 0xFF7F, 0x7F80,
            0xFF80, 0x7FC0, 0x7F81, 0x2000, 0xA000, 0x1FFF, 0x6000,
        ];
        let x = self.next();
        let near =
            |exponent: u64, range: u64| ((x >> 8 & 1) << 15) | ((exponent + (x >> 16) % range) << 7) | (x >> 40 & 0x7F);
        match kind {
            0 => (x >> 20) as u32 & 0xFFFF,
            1 => EDGES[(x >> 32) as usize % EDGES.len()],
            2 => near(50, 30) as u32,
            _ => near(120, 16) as u32,
        }
    }

    /// A sum before: zero, any bits, one near the smallest normal number, an edge, one like the operands.
    fn sum(&mut self, kind: u64) -> f32 {
        let x = self.next();
        f32::from_bits(match x >> 3 & 7 {
            0 | 5 => 0,
            1 => (x >> 16) as u32,
            2 => {
                let (sign, exponent) = ((x >> 40) as u32 & 1, (x >> 41) as u32 & 3);
                (sign << 31) | (exponent << 23) | ((x >> 8) as u32 & 3)
            }
            3 => self.operand(1) << 16,
            _ => (self.operand(kind) << 16) | ((x >> 16) as u32 & 0xFFFF),
        })
    }
}

/// Sixteen dot products of pairs.
struct Sixteen<'a> {
    sums: &'a mut [f32; 16],
    a: &'a [Pair; 16],
    b: &'a [Pair; 16],
}

impl DotKernel for Sixteen<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        let sums = V::<D::Level, f32>::read(d.level(), self.sums);
        // SAFETY: both have sixteen pairs.
        let (a, b) = unsafe { (d.load(self.a.as_ptr()), d.load(self.b.as_ptr())) };
        d.dot(sums, a, b).write(self.sums);
    }
}

/// The bits, NaN made one.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

/// Compares so many dot products with the definition. With `subnormal` operands and sums may be so: the instruction takes them for zero.
fn compare(on: (Level, bool), rounds: u64, subnormal: bool) {
    let flush = |x: f32| if x.abs() < f32::MIN_POSITIVE { x * 0.0 } else { x };
    let mut words = Words(0x9E37_79B9_7F4A_7C15);
    for round in 0..rounds {
        let kind = |words: &mut Words| match round % 6 {
            kind @ 0..=3 => kind,
            4 => words.next() % 4,
            _ => 1,
        };
        let operand = |words: &mut Words| {
            let x = kind(words);
            let x = words.operand(x);
            if subnormal || x & 0x7F80 != 0 { x } else { x & 0x8000 }
        };
        let [a, b]: [[Pair; 16]; 2] =
            std::array::from_fn(|_| std::array::from_fn(|_| operand(&mut words) | operand(&mut words) << 16));
        let before: [f32; 16] = std::array::from_fn(|_| {
            let x = kind(&mut words);
            let x = words.sum(x);
            if subnormal { x } else { flush(x) }
        });
        let mut sums = before;
        dispatch_dot(on.0, on.1, Sixteen { sums: &mut sums, a: &a, b: &b });
        for i in 0..16 {
            let ((a0, a1), (b0, b1)) = (numbers(a[i]), numbers(b[i]));
            let [a0, a1, b0, b1, sum] = [a0, a1, b0, b1, before[i]].map(flush);
            let expected = step(step(sum, a1, b1), a0, b0);
            assert_eq!(bits(sums[i]), bits(expected), "{on:?} {:x} {:x} {:x}", before[i].to_bits(), a[i], b[i]);
        }
    }
}

#[test]
fn every_level_is_the_definition() {
    for level in available() {
        compare((level, false), 20_000, false);
        if has_dot(level) {
            compare((level, true), 200_000, true);
        }
    }
}

/// 1.6 · 10⁹ operand sets, about two minutes: `cargo test --release -- --ignored instruction_is`.
#[test]
#[ignore = "takes minutes"]
fn instruction_is_the_definition() {
    assert!(has_dot(Level::Avx512), "this processor lacks the instruction");
    compare((Level::Avx512, true), 100_000_000, true);
}

#[test]
fn rounding_is_to_nearest_even() {
    let at = |bits: u32| round(f32::from_bits(bits)).to_bits();
    assert_eq!(at(0x3F80_8000), 0x3F80_0000); // a tie to even
    assert_eq!(at(0x3F81_8000), 0x3F82_0000);
    assert_eq!(at(0x3F80_8001), 0x3F81_0000);
    assert_eq!(at(0x7F7F_FFFF), 0x7F80_0000);
    assert_eq!(at(0x807F_FFFF), 0x8000_0000); // subnormal
    assert!(round(f32::from_bits(0x7F80_0001)).is_nan());
    let mut words = Words(1);
    for _ in 0..100_000 {
        let x = f32::from_bits(words.next() as u32);
        if x.is_normal() {
            assert_eq!(round(x), half::bf16::from_f32(x).to_f32());
        }
    }
}

/// Compares a product with the naive one on all levels and several numbers of threads.
fn check(m: usize, k: usize, n: usize, scale: f32) {
    let mut words = Words((m * 31 + k * 7 + n) as u64 | 1);
    let mut numbers = |len: usize| -> Vec<f32> {
        std::iter::repeat_with(|| (words.next() >> 40) as f32 / 8_388_608.0 - 1.0)
            .map(|x| x * scale)
            .take(len)
            .collect()
    };
    let (a, b) = (numbers(m * k), numbers(k * n));
    for turned in 0..8 {
        let a = if turned & 1 == 0 { Matrix::by_rows(&a, m, k) } else { Matrix::by_rows(&a, k, m).transposed() };
        let b = if turned & 2 == 0 { Matrix::by_rows(&b, k, n) } else { Matrix::by_rows(&b, n, k).transposed() };
        let target = |c: &mut Vec<f32>| {
            let c = c.as_mut_ptr();
            // SAFETY: `m * n` elements, used below only.
            unsafe {
                if turned & 4 == 0 {
                    MatrixMut::from_raw(c, (m, n), (n as isize, 1))
                } else {
                    MatrixMut::from_raw(c, (m, n), (1, m as isize))
                }
            }
        };
        let mut expected = vec![0.0; m * n];
        naive::multiply(a, b, target(&mut expected));
        for level in available() {
            for (native, threads) in [(false, 1), (true, 1), (true, 2), (true, 3)] {
                let mut c = vec![f32::NAN; m * n];
                multiply_at((level, native), threads, a, b, target(&mut c));
                let same = c.iter().zip(&expected).all(|(&x, &y)| bits(x) == bits(y));
                assert!(same, "{m} x {k} x {n}, {turned}, {level:?}, {native}, {threads} threads");
            }
        }
    }
}

#[test]
fn products_are_the_naive_one() {
    for (m, k, n) in [(1, 1, 1), (3, 0, 5), (12, 2, 32), (13, 3, 33), (29, 65, 47), (5, 1027, 3), (130, 37, 70)] {
        check(m, k, n, 1.0);
    }
    // Products near the smallest normal number, and past the largest.
    check(17, 33, 21, 1.2e-19);
    check(17, 33, 21, 3e19);
}
