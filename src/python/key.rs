//! Layer 5: the key of random streams, as Python sees it.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::rng;

/// Where in the random stream to draw: three integers in [0, 2**64).
///
/// A mask is a pure function of its key and of positions: it depends neither on threads, nor on the
/// machine, nor on what was drawn before. Keys are immutable and can be hashed, compared and pickled.
///
/// Parameters
/// ----------
/// seed : int
///     The one number that all randomness of a model comes from.
/// stream : int
///     Which of the seed's independent streams: a layer's place. Streams from 2**48 up are reserved.
/// step : int
///     Which draw of that stream: the optimizer's step.
///
/// Raises
/// ------
/// ValueError
///     If one of the three is outside [0, 2**64).
/// TypeError
///     If one of the three is not an integer.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> key = df.Key(seed=7)
/// >>> key.fold_in(2).at(10)
/// Key(seed=7, stream=2, step=10)
#[pyclass(frozen, eq, hash, module = "dropfast._core")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(pub(crate) rng::Key);

/// One of the three numbers.
fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    let received =
        |range: &str| -> PyResult<String> { Ok(format!("{name} must be {range}. Received: {name}={}", value.repr()?)) };
    let index = value.call_method0("__index__");
    let (Ok(index), false) = (index, value.is_instance_of::<PyBool>()) else {
        return Err(PyTypeError::new_err(received("an integer")?));
    };
    match index.extract() {
        Ok(number) => Ok(number),
        Err(_) => Err(PyValueError::new_err(received("in [0, 18446744073709551615]")?)),
    }
}

#[pymethods]
impl Key {
    #[new]
    #[pyo3(signature = (seed=None, stream=None, step=None), text_signature = "(seed=0, stream=0, step=0)")]
    fn new(
        seed: Option<&Bound<'_, PyAny>>,
        stream: Option<&Bound<'_, PyAny>>,
        step: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let read = |name, value: Option<&Bound<'_, PyAny>>| value.map_or(Ok(0), |value| number(name, value));
        Ok(Self(rng::Key::new(read("seed", seed)?, read("stream", stream)?, read("step", step)?)))
    }

    /// The one number that all randomness of a model comes from.
    #[getter]
    fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Which of the seed's independent streams.
    #[getter]
    fn stream(&self) -> u64 {
        self.0.stream
    }

    /// Which draw of the stream.
    #[getter]
    fn step(&self) -> u64 {
        self.0.step
    }

    /// The same seed and stream at another step.
    ///
    /// Parameters
    /// ----------
    /// step : int
    ///     The other step.
    ///
    /// Returns
    /// -------
    /// Key
    ///
    /// Examples
    /// --------
    /// >>> import dropfast as df
    /// >>> df.Key(1, 2, 3).at(4)
    /// Key(seed=1, stream=2, step=4)
    fn at(&self, step: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(self.0.at(number("step", step)?)))
    }

    /// The same seed and step in another stream.
    ///
    /// Parameters
    /// ----------
    /// stream : int
    ///     The other stream.
    ///
    /// Returns
    /// -------
    /// Key
    ///
    /// Examples
    /// --------
    /// >>> import dropfast as df
    /// >>> df.Key(1, 2, 3).fold_in(4)
    /// Key(seed=1, stream=4, step=3)
    fn fold_in(&self, stream: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(self.0.fold_in(number("stream", stream)?)))
    }

    fn __repr__(&self) -> String {
        let rng::Key { seed, stream, step } = self.0;
        format!("Key(seed={seed}, stream={stream}, step={step})")
    }

    fn __getnewargs__(&self) -> (u64, u64, u64) {
        (self.0.seed, self.0.stream, self.0.step)
    }
}

/// The key that an argument holds.
#[inline]
pub(crate) fn key_of(key: &Bound<'_, PyAny>) -> PyResult<rng::Key> {
    match key.cast::<Key>() {
        Ok(key) => Ok(key.get().0),
        Err(_) => Err(PyTypeError::new_err(format!("key must be a dropfast.Key. Received: key={}", key.repr()?))),
    }
}
