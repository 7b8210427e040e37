//! dropfast: dropout and dropout networks on CPUs.
//!
//! The rooms, lowest first; a room imports only from rooms above it in this list:
//! `aligned`, `error`, `interrupt`, `simd`, `parallel` (0); `math`, `rng` (1); `dropout`, `gemm` (2); `dense` (3); `train` (4); `python` (5).

pub mod aligned;
pub mod dense;
pub mod dropout;
pub mod error;
pub mod gemm;
pub mod interrupt;
pub mod math;
pub mod parallel;
pub mod rng;
pub mod simd;
pub mod train;

#[cfg(feature = "python")]
mod python;
