//! Layer 5: dicts that describe layers, as `Sequential` writes them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::activation::activation_from_python;
use super::spec::Spec;
use crate::dense::activation::Activation;
use crate::train::layer::{Dense, Layer, Limits, Noise, NoiseKind, Sharing};

/// The engine's layers for a list of dicts; a dense layer with an activation makes two.
///
/// # Errors
/// ValueError for an unknown kind or a value out of range, TypeError for one of another type.
pub(crate) fn layers_from_python(dicts: &[Bound<'_, PyDict>]) -> PyResult<Vec<Layer>> {
    let mut layers = Vec::new();
    // The value that each dict's layers end in; the input's comes first.
    let mut ends = vec![0];
    for dict in dicts {
        let spec = Spec::new("layer", dict);
        let kind: String = spec.optional("kind")?.unwrap_or_default();
        match kind.as_str() {
            "rescaling" => layers.push(Layer::Rescaling {
                scale: spec.optional("scale")?.unwrap_or(1.0),
                offset: spec.optional("offset")?.unwrap_or(0.0),
            }),
            "dense" => layers.push(Layer::Dense(dense(&spec)?)),
            "activation" => {}
            "add" => layers.push(Layer::Add { source: earlier(&spec, &ends)? }),
            "dropout" | "alpha_dropout" | "gaussian_dropout" => layers.push(Layer::Noise(noise(&spec, &kind)?)),
            _ => {
                let known = "rescaling, dense, activation, add, dropout, alpha_dropout, gaussian_dropout";
                return Err(PyValueError::new_err(format!("kind must be one of {known}. Received: kind={kind:?}")));
            }
        }
        if matches!(kind.as_str(), "dense" | "activation") {
            let activation = activation_from_python(dict)?;
            if activation != Activation::Linear {
                layers.push(Layer::Activation(activation));
            }
        }
        ends.push(layers.len());
    }
    Ok(layers)
}

/// The value that an add takes beside the one before it.
fn earlier(spec: &Spec<'_, '_>, ends: &[usize]) -> PyResult<usize> {
    let source: usize = spec.optional("source")?.unwrap_or(usize::MAX);
    ends.get(source).copied().ok_or_else(|| {
        let last = ends.len() - 1;
        PyValueError::new_err(format!("source of an add must be in [0, {last}]. Received: source={source}"))
    })
}

fn dense(spec: &Spec<'_, '_>) -> PyResult<Dense> {
    let units = spec.optional("units")?.unwrap_or(0);
    let bias = spec.optional("use_bias")?.unwrap_or(true);
    Ok(Dense { units, kernel: limits(spec, "kernel")?, bias: bias.then(|| limits(spec, "bias")).transpose()? })
}

fn limits(spec: &Spec<'_, '_>, parameter: &str) -> PyResult<Limits> {
    let not_negative = |number: f64| number >= 0.0;
    Ok(Limits {
        l1: spec.number(&format!("{parameter}_l1"), 0.0, "at least 0", not_negative)?,
        l2: spec.number(&format!("{parameter}_l2"), 0.0, "at least 0", not_negative)?,
        max_norm: spec.optional(&format!("{parameter}_max_norm"))?,
    })
}

fn noise(spec: &Spec<'_, '_>, kind: &str) -> PyResult<Noise> {
    let scale_at: Option<String> = spec.optional("scale_at")?;
    let kind = match (kind, scale_at.as_deref().unwrap_or("train")) {
        ("alpha_dropout", _) => NoiseKind::AlphaDropout,
        ("gaussian_dropout", _) => NoiseKind::GaussianDropout,
        (_, "train") => NoiseKind::Dropout,
        (_, "inference") => NoiseKind::ClassicDropout,
        (_, other) => {
            let message = format!("scale_at must be \"train\" or \"inference\". Received: scale_at={other:?}");
            return Err(PyValueError::new_err(message));
        }
    };
    let sharing = match (spec.optional("per_row")?.unwrap_or(false), spec.optional("rows_per_mask")?.unwrap_or(1)) {
        (true, _) => Sharing::Features,
        (false, 0) => Sharing::Batch,
        (false, rows) => Sharing::Rows(rows),
    };
    Ok(Noise { kind, rate: spec.optional("rate")?.unwrap_or(0.0), sharing })
}
