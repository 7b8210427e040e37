//! Layer 2: the speed limit: a loop of fused multiply-adds that touches no memory.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::parallel::team;
use crate::simd::{Element, Kernel, Level, Simd, V, Vector, dispatch_at};

/// Rounds of a loop: about 5 ms.
const ROUNDS: usize = 1_000_000;

/// The loop, in `f32`, with so many chains in flight.
struct Loop<const CHAINS: usize>;

impl<const CHAINS: usize> Kernel for Loop<CHAINS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut chains = [V::<S, f32>::splat(s, 0.5); CHAINS];
        let factor = V::<S, f32>::splat(s, black_box(0.999));
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = chain.mul_add(factor, factor);
            }
        }
        for chain in chains {
            black_box(chain.to_lanes());
        }
    }
}

/// Chains in flight: more than latency (4) times throughput (2 at most), and no more than the registers hold, where
/// AVX2 needs two for each.
fn chains(level: Level) -> usize {
    if level == Level::Avx512 { 12 } else { 6 }
}

/// GFLOP/s of the loop in `f32` on `threads` threads together, the best of several runs.
pub(crate) fn fma_peak_gflops(level: Level, threads: usize) -> f64 {
    let flops = (2 * chains(level) * f32::LANES * ROUNDS) as f64;
    let mut best = 0.0_f64;
    for _ in 0..5 {
        let start = Instant::now();
        let members = AtomicUsize::new(1);
        team(threads, |member| {
            members.store(member.size, Ordering::Relaxed);
            match level {
                Level::Avx512 => dispatch_at(level, Loop::<12>),
                _ => dispatch_at(level, Loop::<6>),
            }
        });
        let members = members.into_inner() as f64;
        best = best.max(members * flops / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}
