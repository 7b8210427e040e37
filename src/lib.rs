//! Dropout and dropout networks on CPUs: masks that are a pure function of key and position, the same bits on every
//! processor and on any number of threads.
//!
//! Four things are public: the random stream ([`Key`], [`keep_bits`], [`normals`], [`permutation`]), [`dropout()`], one
//! dense layer ([`dense()`]), and a network of them that trains ([`Network`]). Everything else belongs to the Python package.
//!
//! ```
//! use dropfast::{Activation, Key, Layer, Network};
//!
//! // Two noisy clouds of points, told apart by a network with dropout.
//! let (rows, key) = (400, Key::new(0, 1, 0));
//! let mut x = vec![0.0; rows * 2];
//! dropfast::normals(key, 0, &mut x);
//! let labels: Vec<i64> = (0..rows as i64).map(|row| row % 2).collect();
//! for (point, label) in x.chunks_exact_mut(2).zip(&labels) {
//!     point[0] += 3.0 * *label as f32;
//! }
//! let layers = [
//!     Layer::Dense { units: 32, activation: Activation::Relu },
//!     Layer::Dropout { rate: 0.2 },
//!     Layer::Dense { units: 2, activation: Activation::Softmax },
//! ];
//! let mut network = Network::new(2, &layers, 7)?;
//! for _ in 0..20 {
//!     network.fit_epoch(&x, &labels, 32, 0.1)?;
//! }
//! let probabilities = network.predict(&x)?;
//! let right = probabilities.chunks_exact(2).zip(&labels).filter(|(p, label)| (p[1] > p[0]) == (**label == 1)).count();
//! assert!(right > 360);
//! # Ok::<(), dropfast::Error>(())
//! ```
//!
//! What kernels need to be fast (memory handed to several threads, vectors of an instruction set) stays inside, where its
//! rules are kept. Safe code can't reach it:
//!
//! ```compile_fail,E0603
//! #![forbid(unsafe_code)]
//! #[derive(Clone, Copy)]
//! struct Text(&'static str);
//! impl dropfast::aligned::Zeroable for Text {}
//! ```
//!
//! ```compile_fail,E0603
//! #![forbid(unsafe_code)]
//! let shared = dropfast::parallel::Shared::new(&mut [0.0_f32; 4]);
//! ```
//!
//! ```compile_fail,E0603
//! #![forbid(unsafe_code)]
//! use dropfast::{gemm::few_rows::Rows, simd::Kernel, train::late::Late, train::update::MaxNorm};
//! ```
//!
//! The rooms of the crate, lowest first; a room imports only from rooms before it in this list:
//! `aligned`, `error`, `interrupt`, `simd`, `parallel` (0); `math`, `rng` (1); `dropout`, `gemm` (2); `dense` (3); `train` (4);
//! `api`, `network`, `inside`, `python` (5).

// Without the bindings most of the crate is used by its tests alone.
#![cfg_attr(not(feature = "python"), allow(dead_code, unused_imports))]

mod aligned;
mod api;
mod dense;
mod dropout;
mod error;
mod gemm;
#[doc(hidden)]
pub mod inside;
mod interrupt;
mod math;
mod network;
mod parallel;
mod rng;
mod simd;
mod train;

#[cfg(feature = "python")]
mod python;

pub use api::{Activation, dense, dropout, keep_bits, normals, permutation};
pub use error::{Error, Result};
pub use network::{Layer, Network};
pub use rng::Key;
