//! Layer 0: the one error type of the crate.

use std::fmt;

/// What can go wrong, by the Python exception that it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// An argument of the right type has a value outside what is accepted.
    Value(String),
    /// An argument has a type or dtype that is not accepted.
    Type(String),
    /// Memory could not be had.
    Memory(String),
    /// The request is legal and not available here.
    NotImplemented(String),
    /// A computation left the finite numbers.
    FloatingPoint(String),
    /// The caller was asked to end early.
    Interrupted,
}

/// The result of everything that can fail in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A [`Error::Value`] from anything that reads as a message.
    pub fn value(message: impl Into<String>) -> Self {
        Self::Value(message.into())
    }

    /// A [`Error::Type`] from anything that reads as a message.
    pub fn type_(message: impl Into<String>) -> Self {
        Self::Type(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(m) | Self::Type(m) | Self::Memory(m) | Self::NotImplemented(m) | Self::FloatingPoint(m) => {
                f.write_str(m)
            }
            Self::Interrupted => f.write_str("the call was interrupted"),
        }
    }
}

impl std::error::Error for Error {}
