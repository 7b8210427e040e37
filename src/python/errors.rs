//! Layer 5: the one mapping from [`Error`] to Python's exceptions.

use pyo3::PyErr;
use pyo3::exceptions::{
    PyFloatingPointError, PyKeyboardInterrupt, PyMemoryError, PyNotImplementedError, PyTypeError, PyValueError,
};

use crate::error::Error;

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Value(message) => PyValueError::new_err(message),
            Error::Type(message) => PyTypeError::new_err(message),
            Error::Memory(message) => PyMemoryError::new_err(message),
            Error::NotImplemented(message) => PyNotImplementedError::new_err(message),
            Error::FloatingPoint(message) => PyFloatingPointError::new_err(message),
            // What the handler raised stands in for this where it is known.
            Error::Interrupted => PyKeyboardInterrupt::new_err(()),
        }
    }
}
