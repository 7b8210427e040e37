//! Layer 5: dicts that describe a loss, an optimizer or a layer.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A dict, and what it is called in messages.
pub(crate) struct Spec<'a, 'py> {
    what: &'static str,
    dict: &'a Bound<'py, PyDict>,
}

impl<'a, 'py> Spec<'a, 'py> {
    /// A dict that describes a `what`.
    pub(crate) fn new(what: &'static str, dict: &'a Bound<'py, PyDict>) -> Self {
        Self { what, dict }
    }

    /// A value, None where the key is missing or None.
    ///
    /// # Errors
    /// TypeError for a value of another type.
    pub(crate) fn optional<T>(&self, key: &str) -> PyResult<Option<T>>
    where
        T: for<'b> FromPyObject<'b, 'py, Error: Into<PyErr>>,
    {
        match self.dict.get_item(key)?.filter(|value| !value.is_none()) {
            None => Ok(None),
            Some(value) => value.extract().map(Some).map_err(|_| {
                let expected = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
                let expected = match expected {
                    "f64" => "a number",
                    "String" => "a string",
                    other => other,
                };
                PyTypeError::new_err(format!("{key} of {} must be {expected}. Received: {key}={value}", self.what))
            }),
        }
    }

    /// The name, which must be there.
    ///
    /// # Errors
    /// ValueError where it is not.
    pub(crate) fn name(&self) -> PyResult<String> {
        let what = self.what;
        self.optional("name")?.ok_or_else(|| {
            PyValueError::new_err(format!("{what} must be a dict with a name. Received: {what}={}", self.dict))
        })
    }

    /// A number in a range, `default` where the key is missing.
    ///
    /// # Errors
    /// ValueError outside the range, which `range` puts in words.
    pub(crate) fn number(&self, key: &str, default: f64, range: &str, fits: fn(f64) -> bool) -> PyResult<f64> {
        let number = self.optional(key)?.unwrap_or(default);
        if fits(number) {
            return Ok(number);
        }
        Err(PyValueError::new_err(format!("{key} must be {range}. Received: {key}={number}")))
    }

    /// # Errors
    /// ValueError naming the first key that is not one of these.
    pub(crate) fn check_keys(&self, name: &str, keys: &[&str]) -> PyResult<()> {
        for key in self.dict.keys() {
            // Not by its Display, which lets signal handlers run and loses what they raise.
            let key: String = key.extract().or_else(|_| key.str()?.extract())?;
            if key != "name" && !keys.contains(&key.as_str()) {
                let (what, known) = (self.what, keys.join(", "));
                return Err(PyValueError::new_err(format!("{what} {name} takes {known}. Received: {key}")));
            }
        }
        Ok(())
    }
}
