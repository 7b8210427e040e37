//! Dropout of contiguous f32 beside a copy of the same buffers: sizes, instruction sets, threads.
//!
//! Results are checked beside the timing. `cargo bench --bench dropout -- 2^18` picks a size. Sizes run to 2^28.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dropfast::dropout::{Decisions, Scale, apply_at, apply_contiguous};
use dropfast::parallel::{for_each_range, set_num_threads};
use dropfast::rng::{Key, Threshold, keep_bits};
use dropfast::simd::available_aes;

const RATE: f64 = 0.1;

fn decisions() -> Decisions {
    Decisions { key: Key::new(1, 2, 3), threshold: Threshold::new(RATE), offset: 0 }
}

/// Kept elements are scaled and others zero, as the bits of the stream say.
fn check(x: &[f32], y: &[f32]) {
    let n = x.len().min(100_000);
    let mut bits = vec![0; n.div_ceil(32)];
    keep_bits(decisions().key, decisions().threshold, 0, &mut bits, n);
    let scale = (1.0 / (1.0 - RATE)) as f32;
    for i in 0..n {
        let expected = if bits[i / 32] >> (i % 32) & 1 == 1 { x[i] * scale } else { 0.0 };
        assert_eq!(y[i], expected, "element {i}");
    }
}

/// A pointer that threads share, each for its own range.
#[derive(Clone, Copy)]
struct Part(*mut f32);

// SAFETY: ranges of different threads do not overlap.
unsafe impl Sync for Part {}

impl Part {
    fn at(&self, i: usize) -> *mut f32 {
        self.0.wrapping_add(i)
    }
}

fn copy(x: &mut [f32], y: &mut [f32], threads: usize) {
    let (from, to) = (Part(x.as_mut_ptr()), Part(y.as_mut_ptr()));
    for_each_range(x.len(), x.len() / threads, |range| {
        // SAFETY: the range lies within both.
        unsafe { std::ptr::copy_nonoverlapping(from.at(range.start), to.at(range.start), range.len()) };
    });
}

fn dropout(c: &mut Criterion) {
    let exponents = if cfg!(debug_assertions) { 10..=12 } else { 10..=28 };
    for exponent in exponents.step_by(2) {
        let n = 1usize << exponent;
        let (mut x, mut y) = (vec![1.5f32; n], vec![0.0f32; n]);
        let mut group = c.benchmark_group(format!("dropout 2^{exponent}"));
        group.throughput(Throughput::Elements(n as u64));
        group.sample_size(15).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(400));
        for threads in [1, 2] {
            set_num_threads(threads).expect("a legal number");
            group.bench_function(BenchmarkId::new("copy", threads), |b| {
                b.iter(|| copy(black_box(&mut x), black_box(&mut y), threads));
            });
            group.bench_function(BenchmarkId::new("dropout", threads), |b| {
                b.iter(|| {
                    // SAFETY: both hold `n` elements.
                    unsafe {
                        apply_contiguous(
                            decisions(),
                            Scale::inverted(RATE),
                            black_box(x.as_ptr()),
                            black_box(y.as_mut_ptr()),
                            n,
                        );
                    }
                });
                check(&x, &y);
            });
        }
        for level in available_aes() {
            group.bench_function(BenchmarkId::new("dropout", level.name()), |b| {
                b.iter(|| {
                    // SAFETY: both hold `n` elements.
                    unsafe {
                        let (x, y) = (black_box(x.as_ptr()), black_box(y.as_mut_ptr()));
                        apply_at(level, decisions(), Scale::inverted(RATE), x, y, n, exponent >= 22);
                    }
                });
                check(&x, &y);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, dropout);
criterion_main!(benches);
