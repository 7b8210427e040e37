//! Layer 0: which level runs.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use super::Neon;
#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};
use super::{Kernel, Scalar, Simd};
use crate::error::{Error, Result};

/// The instruction-set levels, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Plain Rust, on any processor.
    Scalar,
    /// NEON, which every 64-bit Arm processor has.
    Neon,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Level {
    /// All levels, weakest first.
    pub(crate) const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];

    /// The name by which `DROPFAST_SIMD` knows the level.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor has the level.
    pub(crate) fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::new().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::new().is_some(),
            _ => false,
        }
    }
}

/// The levels that this processor has, weakest first.
pub(crate) fn available() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| level.is_available())
}

static LEVEL: OnceLock<Level> = OnceLock::new();

/// The level in use: the pinned one, else the best that the processor has.
#[inline]
pub(crate) fn level() -> Level {
    *LEVEL.get_or_init(|| available().last().unwrap_or(Level::Scalar))
}

/// Pins the level by name, once, before its first use: the value of `DROPFAST_SIMD`.
///
/// # Errors
/// [`Error::Value`] for an unknown name, a level that the processor lacks, or when another level is already in use.
pub(crate) fn pin(name: &str) -> Result<()> {
    let wanted = Level::ALL.into_iter().find(|level| level.name() == name);
    let Some(wanted) = wanted else {
        let names = Level::ALL.map(Level::name).join(", ");
        return Err(Error::value(format!("DROPFAST_SIMD must be one of {names}. Received: {name:?}")));
    };
    if !wanted.is_available() {
        return Err(Error::value(format!(
            "DROPFAST_SIMD={name} asks for instructions that this processor lacks; it has {:?}",
            available().map(Level::name).collect::<Vec<_>>()
        )));
    }
    if *LEVEL.get_or_init(|| wanted) != wanted {
        return Err(Error::value(format!("DROPFAST_SIMD={name} came too late: level {} is in use", level().name())));
    }
    Ok(())
}

/// Runs a kernel on the level in use.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    dispatch_at(level(), kernel)
}

/// Runs a kernel on a given level, for tests and benchmarks.
///
/// # Panics
/// Where the processor lacks the level.
#[inline]
pub(crate) fn dispatch_at<K: Kernel>(level: Level, kernel: K) -> K::Output {
    match level {
        Level::Scalar => Scalar.run(kernel),
        #[cfg(target_arch = "aarch64")]
        Level::Neon => Neon::new().expect("NEON is available").run(kernel),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => Avx2::new().expect("AVX2 is available").run(kernel),
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => Avx512::new().expect("AVX-512 is available").run(kernel),
        _ => unreachable!("{} belongs to another kind of processor", level.name()),
    }
}
