//! Layer 2: the speed limit: a loop of fused multiply-adds that touches no memory.

use std::hint::black_box;
use std::time::Instant;

use crate::parallel::team;
use crate::simd::{Kernel, Level, Simd, V, Vector, dispatch_at};

/// Chains in flight: more than latency times throughput on any processor so far, within AVX2's sixteen registers.
const CHAINS: usize = 6;

/// Rounds of a loop: about 5 ms.
const ROUNDS: usize = 2_000_000;

/// The loop, in `f32`.
struct Loop;

impl Kernel for Loop {
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

/// GFLOP/s of the loop in `f32` on `threads` threads together, the best of several runs.
pub fn fma_peak_gflops(level: Level, threads: usize) -> f64 {
    let flops = (2 * CHAINS * V::<crate::simd::Scalar, f32>::LANES * ROUNDS) as f64;
    let mut best = 0.0_f64;
    for _ in 0..5 {
        let start = Instant::now();
        let members = std::sync::atomic::AtomicUsize::new(1);
        team(threads, |member| {
            members.store(member.size, std::sync::atomic::Ordering::Relaxed);
            dispatch_at(level, Loop);
        });
        let members = members.into_inner() as f64;
        best = best.max(members * flops / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}
