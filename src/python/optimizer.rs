//! Layer 5: optimizers from dicts.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::spec::Spec;
use crate::train::optimizer::{NormClip, Optimizer, OptimizerKind};

/// Keys that every optimizer takes.
const GENERAL: [&str; 4] = ["weight_decay", "clipvalue", "clipnorm", "global_clipnorm"];

/// The optimizer that a dict describes, with Keras 3's defaults, and the clipping that needs whole gradients.
///
/// # Errors
/// ValueError for an unknown name or key, for values out of range and for two kinds of clipping at once; TypeError for
/// values of other types.
pub(crate) fn optimizer_from_python(dict: &Bound<'_, PyDict>) -> PyResult<(Optimizer, Option<NormClip>)> {
    let spec = Spec::new("optimizer", dict);
    let name = spec.name()?;
    let (kind, keys, decay) = kind_from_python(&spec, &name)?;
    spec.check_keys(&name, &[keys, &GENERAL].concat())?;
    let weight_decay = spec.number("weight_decay", decay, "at least 0 and finite", finite)?;
    let mut clips = Vec::new();
    for key in &GENERAL[1..] {
        let Some(bound) = spec.optional::<f64>(key)? else { continue };
        if bound.is_nan() || bound <= 0.0 {
            return Err(PyValueError::new_err(format!("{key} must be positive. Received: {key}={bound}")));
        }
        clips.push((*key, bound));
    }
    if let [(first, _), (second, _), ..] = clips[..] {
        return Err(PyValueError::new_err(format!(
            "only one of clipnorm, clipvalue and global_clipnorm must be given. Received: {first} and {second}"
        )));
    }
    let (clipvalue, whole) = match clips.first() {
        Some(&("clipvalue", bound)) => (Some(bound), None),
        Some(&("clipnorm", bound)) => (None, Some(NormClip::Each(bound))),
        Some(&(_, bound)) => (None, Some(NormClip::Global(bound))),
        None => (None, None),
    };
    Ok((Optimizer { kind, weight_decay, clipvalue }, whole))
}

pub(crate) fn finite(x: f64) -> bool {
    (0.0..f64::INFINITY).contains(&x)
}

fn below_1(x: f64) -> bool {
    (0.0..1.0).contains(&x)
}

/// The optimizer of a name, the keys that it takes, and its default weight decay.
fn kind_from_python(spec: &Spec<'_, '_>, name: &str) -> PyResult<(OptimizerKind, &'static [&'static str], f64)> {
    let flag = |key| Ok::<_, PyErr>(spec.optional(key)?.unwrap_or(false));
    let momentum = || spec.number("momentum", 0.0, "in [0, 1]", |x| (0.0..=1.0).contains(&x));
    let decay = |key, default| spec.number(key, default, "in [0, 1)", below_1);
    let epsilon = || spec.number("epsilon", 1e-7, "at least 0 and finite", finite);
    Ok(match name {
        "sgd" => {
            let kind = OptimizerKind::Sgd { momentum: momentum()?, nesterov: flag("nesterov")? };
            (kind, &["momentum", "nesterov"], 0.0)
        }
        "adam" | "adamw" => {
            let kind = OptimizerKind::Adam {
                beta_1: decay("beta_1", 0.9)?,
                beta_2: decay("beta_2", 0.999)?,
                epsilon: epsilon()?,
                amsgrad: flag("amsgrad")?,
            };
            (kind, &["beta_1", "beta_2", "epsilon", "amsgrad"], if name == "adamw" { 0.004 } else { 0.0 })
        }
        "rmsprop" => {
            let kind = OptimizerKind::RmsProp {
                rho: decay("rho", 0.9)?,
                momentum: momentum()?,
                epsilon: epsilon()?,
                centered: flag("centered")?,
            };
            (kind, &["rho", "momentum", "epsilon", "centered"], 0.0)
        }
        "nadam" | "adamax" => {
            let (beta_1, beta_2, epsilon) = (decay("beta_1", 0.9)?, decay("beta_2", 0.999)?, epsilon()?);
            let kind = match name {
                "nadam" => OptimizerKind::Nadam { beta_1, beta_2, epsilon },
                _ => OptimizerKind::Adamax { beta_1, beta_2, epsilon },
            };
            (kind, &["beta_1", "beta_2", "epsilon"], 0.0)
        }
        "adagrad" => (OptimizerKind::Adagrad { epsilon: epsilon()? }, &["epsilon"], 0.0),
        "adadelta" => {
            (OptimizerKind::Adadelta { rho: decay("rho", 0.95)?, epsilon: epsilon()? }, &["rho", "epsilon"], 0.0)
        }
        "lion" => {
            let kind = OptimizerKind::Lion { beta_1: decay("beta_1", 0.9)?, beta_2: decay("beta_2", 0.99)? };
            (kind, &["beta_1", "beta_2"], 0.0)
        }
        _ => {
            let message = format!(
                "optimizer must be one of sgd, adam, adamw, rmsprop, nadam, adamax, adagrad, adadelta, lion. Received: \
                 optimizer='{name}'"
            );
            return Err(PyValueError::new_err(message));
        }
    })
}
