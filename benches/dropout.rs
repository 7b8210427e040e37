//! Dropout of contiguous f32 beside a copy of the same buffers: sizes, instruction sets, threads.
//!
//! Results are checked beside the timing. `cargo bench --bench dropout -- 2^18` picks a size. Sizes run to 2^28.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dropfast::inside::{aes_levels, copy, dropout_at, set_num_threads};
use dropfast::{Key, dropout as drop_elements, keep_bits};

const RATE: f64 = 0.1;

const KEY: Key = Key::new(1, 2, 3);

/// Kept elements are scaled and others zero, as the bits of the stream say.
fn check(x: &[f32], y: &[f32]) {
    let n = x.len().min(100_000);
    let bits = keep_bits(KEY, RATE, 0, n).expect("a legal rate");
    let scale = (1.0 / (1.0 - RATE)) as f32;
    for i in 0..n {
        let expected = if bits[i / 32] >> (i % 32) & 1 == 1 { x[i] * scale } else { 0.0 };
        assert_eq!(y[i], expected, "element {i}");
    }
}

fn dropout(c: &mut Criterion) {
    let exponents = if cfg!(debug_assertions) { 10..=12 } else { 10..=28 };
    for exponent in exponents.step_by(2) {
        let n = 1usize << exponent;
        let (x, mut y) = (vec![1.5f32; n], vec![0.0f32; n]);
        let mut group = c.benchmark_group(format!("dropout 2^{exponent}"));
        group.throughput(Throughput::Elements(n as u64));
        group.sample_size(15).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(400));
        for threads in [1, 2] {
            set_num_threads(threads).expect("a legal number");
            group.bench_function(BenchmarkId::new("copy", threads), |b| {
                b.iter(|| copy(black_box(&x), black_box(&mut y), threads));
            });
            group.bench_function(BenchmarkId::new("dropout", threads), |b| {
                b.iter(|| drop_elements(KEY, RATE, 0, black_box(&x), black_box(&mut y)));
                check(&x, &y);
            });
        }
        for level in aes_levels() {
            group.bench_function(BenchmarkId::new("dropout", level), |b| {
                b.iter(|| dropout_at(level, KEY, RATE, black_box(&x), black_box(&mut y), exponent >= 22));
                check(&x, &y);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, dropout);
criterion_main!(benches);
