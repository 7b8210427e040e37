//! Products of `f32` matrices on one and on all threads, and the loop of multiply-adds that none can pass.
//!
//! Throughput is in multiply-adds: "Gelem/s" times two are GFLOP/s. Results are compared with the naive product first.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dropfast::inside::{Operand, first_row, fma_peak_gflops, levels, multiply_at, num_threads};

/// Rows of the batch, inputs, outputs.
const SHAPES: [(usize, usize, usize); 7] = [
    (1, 784, 200),
    (32, 784, 200),
    (32, 200, 100),
    (128, 784, 1024),
    (128, 1024, 1024),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
];

/// Numbers in [-0.5, 0.5).
fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 8 & 0xFFFF) as f32 / 65_536.0 - 0.5).collect()
}

/// The first row of a product, against the definition.
fn check(a: Operand<'_>, b: Operand<'_>, c: &[f32]) {
    let expected = first_row(a, b);
    assert_eq!(expected, c[..expected.len()]);
}

/// GFLOP/s of `run`, which takes `gflop`, and of the loop: the best of several runs, in turn.
fn beside_peak(level: &str, threads: usize, gflop: f64, mut run: impl FnMut()) -> (f64, f64) {
    let mut best = (0.0_f64, 0.0_f64);
    for _ in 0..5 {
        best.1 = best.1.max(fma_peak_gflops(level, threads));
        for _ in 0..5 {
            let start = Instant::now();
            run();
            best.0 = best.0.max(gflop / start.elapsed().as_secs_f64());
        }
    }
    best
}

fn products(criterion: &mut Criterion) {
    for level in levels() {
        for threads in [1, num_threads()] {
            let mut group = criterion.benchmark_group(format!("{level} x {threads}"));
            group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
            for (m, k, n) in SHAPES {
                let (x, kernel, dy) = (numbers(m * k), numbers(k * n), numbers(m * n));
                let x = Operand::by_rows(&x, m, k);
                let kernel = Operand::by_rows(&kernel, k, n);
                let dy = Operand::by_rows(&dy, m, n);
                let kinds = [("x·W", x, kernel), ("dy·Wᵀ", dy, kernel.transposed()), ("xᵀ·dy", x.transposed(), dy)];
                group.throughput(Throughput::Elements((m * k * n) as u64));
                for (kind, a, b) in kinds {
                    let mut c = vec![0.0; a.shape().0 * b.shape().1];
                    let mut run = || multiply_at(level, threads, a, b, &mut c);
                    let name = BenchmarkId::new(kind, format!("{m}x{k}x{n}"));
                    group.bench_function(name, |bencher| bencher.iter(&mut run));
                    let (gflops, peak) = beside_peak(level, threads, 2e-9 * (m * k * n) as f64, &mut run);
                    check(a, b, &c);
                    println!("    {gflops:.0} GFLOP/s, {:.2} of the loop of multiply-adds", gflops / peak);
                }
            }
        }
    }
}

criterion_group!(benches, products);
criterion_main!(benches);
