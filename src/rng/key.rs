//! Layer 1: the key of a random stream.

/// What the upper 16 bits of a stream are reserved for; users' own streams are below 2^48.
#[allow(dead_code, reason = "the whole table; the Python package draws from some of them")]
pub(crate) mod domain {
    /// Dropout masks.
    pub(crate) const MASKS: u64 = 0;
    /// Gaussian variates of Gaussian dropout.
    pub(crate) const GAUSSIAN: u64 = 1;
    /// The order of rows in an epoch; step = epoch.
    pub(crate) const SHUFFLING: u64 = 2;
    /// Initial values of weights; index = place of the weight.
    pub(crate) const INITIAL_VALUES: u64 = 3;
    /// Masks of Monte Carlo prediction; step = number of the sample.
    pub(crate) const MONTE_CARLO: u64 = 4;
    /// Masks of a model called by hand in training mode; step = number of the call.
    pub(crate) const CALLS: u64 = 5;
}

/// Names one random stream at one step: everything that is drawn is a function of it and of the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Key {
    /// The user's seed.
    pub seed: u64,
    /// Whose stream it is: a layer's place, or a [`domain`] in the upper 16 bits.
    pub stream: u64,
    /// When: the optimizer step, the epoch, the sample.
    pub step: u64,
}

impl Key {
    /// The key of the three numbers.
    pub const fn new(seed: u64, stream: u64, step: u64) -> Self {
        Self { seed, stream, step }
    }

    /// The same seed and stream at another step.
    pub const fn at(self, step: u64) -> Self {
        Self { step, ..self }
    }

    /// The same seed and step in another stream.
    pub const fn fold_in(self, stream: u64) -> Self {
        Self { stream, ..self }
    }

    /// The key with a domain's number put (by exclusive or) into the upper 16 bits of the stream.
    pub(crate) const fn in_domain(self, domain: u64) -> Self {
        Self { stream: self.stream ^ (domain << 48), ..self }
    }
}
