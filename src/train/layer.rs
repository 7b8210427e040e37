//! Layer 4: what a network is made of, as the engine sees it.

use crate::dense::activation::Activation;
use crate::error::{Error, Result};

/// One layer of a stack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layer {
    /// `y = x * scale + offset`, before anything else.
    Rescaling {
        /// Factor.
        scale: f64,
        /// Summand.
        offset: f64,
    },
    /// `y = x·W + b`.
    Dense(Dense),
    /// `y = f(x)`.
    Activation(Activation),
    /// Multiplicative or replacing noise, a fresh draw each step.
    Noise(Noise),
    /// `y = x + v`, with an earlier value `v`: a skip connection.
    Add {
        /// The number of the value.
        source: usize,
    },
}

/// A fully connected layer, without its activation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dense {
    /// Outputs.
    pub(crate) units: usize,
    /// How the kernel is kept small.
    pub(crate) kernel: Limits,
    /// The same for the bias; None where there is no bias.
    pub(crate) bias: Option<Limits>,
}

/// Penalties and constraint of one parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Limits {
    /// Factor of the sum of magnitudes in the loss.
    pub(crate) l1: f64,
    /// Factor of the sum of squares in the loss.
    pub(crate) l2: f64,
    /// Largest Euclidean norm of a unit's incoming weights (a column of the kernel).
    pub(crate) max_norm: Option<f64>,
}

impl Limits {
    /// Whether there are penalties.
    #[inline(always)]
    pub(crate) fn decays(&self) -> bool {
        self.l1 != 0.0 || self.l2 != 0.0
    }
}

/// A stochastic layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Noise {
    /// What is drawn.
    pub(crate) kind: NoiseKind,
    /// The probability to drop, in [0, 1].
    pub(crate) rate: f64,
    /// Which elements share a draw.
    pub(crate) sharing: Sharing,
}

/// What a stochastic layer does to an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoiseKind {
    /// Kept elements are scaled by `1 / (1 - rate)` in training.
    Dropout,
    /// Kept elements stay as they are; all are scaled by `1 - rate` at inference (Srivastava 2014).
    ClassicDropout,
    /// Keeps mean and variance of `selu` networks (Klambauer 2017).
    AlphaDropout,
    /// Multiplied by a normal variate of mean 1 and variance `rate / (1 - rate)`.
    GaussianDropout,
}

/// Which elements of a batch share one draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Groups of so many consecutive rows; 1 is standard dropout.
    Rows(usize),
    /// All rows of a batch: noise shape `(1, None)`.
    Batch,
    /// All features of a row: noise shape `(None, 1)`.
    Features,
}

impl Sharing {
    /// Whether rows have masks in common.
    pub(crate) fn is_of_rows(self) -> bool {
        match self {
            Self::Rows(rows) => rows > 1,
            Self::Batch => true,
            Self::Features => false,
        }
    }

    /// The same among a batch of `rows` rows, where one group that holds them all is the batch.
    pub(crate) fn among(self, rows: usize) -> Self {
        match self {
            Self::Rows(group) if group >= rows && group > 1 => Self::Batch,
            other => other,
        }
    }
}

impl Noise {
    /// # Errors
    /// [`Error::Value`] for a rate outside [0, 1], and for rate 1 with Gaussian noise.
    pub(crate) fn check(&self) -> Result<()> {
        let highest_is_open = self.kind == NoiseKind::GaussianDropout;
        if !(0.0..=1.0).contains(&self.rate) || (highest_is_open && self.rate == 1.0) {
            let range = if highest_is_open { "[0, 1)" } else { "[0, 1]" };
            return Err(Error::value(format!("rate must be in {range}. Received: rate={}", self.rate)));
        }
        if self.sharing == Sharing::Rows(0) {
            return Err(Error::value("rows_per_mask must be a positive integer. Received: rows_per_mask=0"));
        }
        Ok(())
    }

    /// How many consecutive panels of `lanes` rows have one mask, counted from the start of a batch; None where rows of
    /// a panel differ.
    pub(crate) fn panels_per_mask(&self, lanes: usize) -> Option<usize> {
        match self.sharing {
            Sharing::Rows(rows) => rows.is_multiple_of(lanes).then_some(rows / lanes),
            Sharing::Batch => Some(usize::MAX),
            Sharing::Features => None,
        }
    }

    /// The number of the first draw of batch row `row`, and how many it has, for `width` features.
    pub(crate) fn draws(&self, row: usize, width: usize) -> (u64, usize) {
        match self.sharing {
            Sharing::Rows(rows) => ((row / rows) as u64 * width as u64, width),
            Sharing::Batch => (0, width),
            Sharing::Features => (row as u64, 1),
        }
    }
}
