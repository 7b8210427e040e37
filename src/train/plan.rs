//! Layer 4: the plan of a network: which values there are, which may share memory, what must be kept.
//!
//! Value 0 is the input, value `i + 1` the output of layer `i`. A layer writes over its input unless backward needs that
//! input: as the input of a `Dense` (for its weight gradient), as the pre-activation or the output of an activation.
//! Dropout still writes over the output of an activation whose derivative asks for signs alone: kept elements keep
//! theirs, and the gradient of dropped ones is 0 before it comes there. Nothing writes over a value that a later sum takes.

use super::layer::{Layer, Noise, NoiseKind};
use crate::dense::activation::{Activation, Saved};
use crate::error::{Error, Result};

/// A dense layer's place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DensePlace {
    /// Index among the layers.
    pub(crate) layer: usize,
    /// Inputs.
    pub(crate) inputs: usize,
    /// Outputs.
    pub(crate) outputs: usize,
    /// Index of the kernel among the parameters.
    pub(crate) kernel: usize,
    /// Index of the bias among the parameters.
    pub(crate) bias: Option<usize>,
    /// The stochastic layer, by its number, that drops inputs of this layer.
    pub(crate) input_noise: Option<usize>,
    /// The one that drops its outputs, directly or after an activation.
    pub(crate) output_noise: Option<usize>,
}

/// A stack of layers with its values and memory laid out.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The layers.
    pub(crate) layers: Vec<Layer>,
    /// Features of each value; one more than layers.
    pub(crate) widths: Vec<usize>,
    /// The buffer in which each value lies.
    pub(crate) buffer_of: Vec<usize>,
    /// Features of each buffer.
    pub(crate) buffers: Vec<usize>,
    /// The dense layers, in order.
    pub(crate) dense: Vec<DensePlace>,
    /// Indices of the stochastic layers, in order.
    pub(crate) noise: Vec<usize>,
    /// Lengths of the parameters.
    pub(crate) parameters: Vec<usize>,
    /// The values that later sums take.
    pub(crate) sources: Vec<Source>,
}

/// A value that sums take beside the chain: its gradient has several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its number.
    pub(crate) value: usize,
    /// The last layer that takes it, whose part of the gradient comes first.
    pub(crate) last: usize,
}

impl Plan {
    /// Lays out a stack over `inputs` features.
    ///
    /// # Errors
    /// [`Error::Value`] for a size of zero, a rate out of range, a rescaling that is not the first layer, or a sum of
    /// values that are not there or have other widths.
    pub(crate) fn new(layers: Vec<Layer>, inputs: usize) -> Result<Self> {
        if inputs == 0 {
            return Err(Error::value("input_size must be a positive integer. Received: input_size=0"));
        }
        let mut plan = Self {
            layers: Vec::new(),
            widths: vec![inputs],
            buffer_of: vec![0],
            buffers: vec![inputs],
            dense: Vec::new(),
            noise: Vec::new(),
            parameters: Vec::new(),
            sources: Vec::new(),
        };
        for (index, layer) in layers.iter().enumerate() {
            if let Layer::Add { source: value } = *layer {
                match plan.sources.iter_mut().find(|source| source.value == value) {
                    Some(source) => source.last = index,
                    None => plan.sources.push(Source { value, last: index }),
                }
            }
        }
        for layer in layers {
            plan.push(layer)?;
        }
        plan.find_neighbours();
        Ok(plan)
    }

    /// Notes beside each dense layer which stochastic layers drop its inputs and outputs.
    fn find_neighbours(&mut self) {
        for index in 0..self.dense.len() {
            let layer = self.dense[index].layer;
            self.dense[index].input_noise = layer.checked_sub(1).and_then(|before| self.dropping(before));
            let after = layer + 1;
            let activated = matches!(self.layers.get(after), Some(Layer::Activation(f)) if !f.is_softmax());
            let noise = after + usize::from(activated);
            // A sum takes what was dropped later: then it must be computed.
            let taken = (after..=noise).any(|value| self.source(value).is_some());
            self.dense[index].output_noise = self.dropping(noise).filter(|_| !taken);
        }
    }

    /// The number of a value among those that sums take.
    pub(crate) fn source(&self, value: usize) -> Option<usize> {
        self.sources.iter().position(|source| source.value == value)
    }

    /// The number of the stochastic layer at `layer`, if it drops elements to 0.
    fn dropping(&self, layer: usize) -> Option<usize> {
        match self.layers.get(layer)? {
            Layer::Noise(noise) if matches!(noise.kind, NoiseKind::Dropout | NoiseKind::ClassicDropout) => {
                self.noise.iter().position(|&other| other == layer)
            }
            _ => None,
        }
    }

    fn push(&mut self, layer: Layer) -> Result<()> {
        let index = self.layers.len();
        let width = self.widths[index];
        let mut outputs = width;
        match &layer {
            Layer::Rescaling { .. } if index > 0 => {
                return Err(Error::value("a rescaling layer must be the first layer of a network"));
            }
            Layer::Dense(dense) if dense.units == 0 => {
                return Err(Error::value("units must be a positive integer. Received: units=0"));
            }
            Layer::Dense(dense) => {
                outputs = dense.units;
                let kernel = self.parameters.len();
                self.parameters.push(width * outputs);
                let bias = dense.bias.map(|_| kernel + 1);
                self.parameters.extend(bias.map(|_| outputs));
                let (input_noise, output_noise) = (None, None);
                self.dense.push(DensePlace {
                    layer: index,
                    inputs: width,
                    outputs,
                    kernel,
                    bias,
                    input_noise,
                    output_noise,
                });
            }
            Layer::Noise(noise) => {
                noise.check()?;
                self.noise.push(index);
            }
            &Layer::Add { source } if source > index || self.widths[source] != width => {
                let what = match self.widths.get(source).filter(|_| source <= index) {
                    Some(other) => format!("widths {width} and {other}"),
                    None => format!("value {source} in layer {index}"),
                };
                return Err(Error::value(format!(
                    "source of an add must be an earlier value of its width. Received: {what}"
                )));
            }
            Layer::Rescaling { .. } | Layer::Activation(_) | Layer::Add { .. } => {}
        }
        let may_change = !self.is_kept(index) || (Self::keeps_signs(&layer) && self.only_signs_kept(index));
        let taken = self.source(index).is_some();
        let in_place = may_change && !taken && !matches!(&layer, Layer::Dense(_)) && !Self::keeps_input(&layer);
        if in_place {
            self.buffer_of.push(self.buffer_of[index]);
        } else {
            self.buffer_of.push(self.buffers.len());
            self.buffers.push(outputs);
        }
        self.widths.push(outputs);
        self.layers.push(layer);
        Ok(())
    }

    /// The activation that needs what lies in `value`'s buffer for backward: it made `value`, or dropout in place did
    /// after it.
    fn kept_for(&self, value: usize) -> Option<Activation> {
        match self.layers.get(value.checked_sub(1)?)? {
            Layer::Activation(f) => matches!(f.saves(), Saved::Output).then_some(*f),
            Layer::Noise(_) if self.buffer_of[value - 1] == self.buffer_of[value] => self.kept_for(value - 1),
            _ => None,
        }
    }

    /// Whether backward through the layers that made `value` needs what lies in its buffer.
    fn is_kept(&self, value: usize) -> bool {
        self.kept_for(value).is_some()
    }

    /// Whether only its signs are needed.
    fn only_signs_kept(&self, value: usize) -> bool {
        self.kept_for(value).is_some_and(Activation::saves_signs)
    }

    /// Whether a layer leaves elements their signs, or makes them 0 together with their gradient.
    fn keeps_signs(layer: &Layer) -> bool {
        let kinds = [NoiseKind::Dropout, NoiseKind::ClassicDropout];
        matches!(layer, Layer::Noise(noise) if kinds.contains(&noise.kind))
    }

    /// Whether backward through `layer` needs its input.
    fn keeps_input(layer: &Layer) -> bool {
        match layer {
            Layer::Dense(_) => true,
            Layer::Activation(f) => matches!(f.saves(), Saved::Input),
            Layer::Rescaling { .. } | Layer::Noise(_) | Layer::Add { .. } => false,
        }
    }

    /// Features of the output.
    pub(crate) fn outputs(&self) -> usize {
        self.widths[self.layers.len()]
    }

    /// The widest value.
    pub(crate) fn widest(&self) -> usize {
        self.widths.iter().copied().max().unwrap_or(0)
    }

    /// The widest value of which a gradient is computed: those after the first dense layer.
    pub(crate) fn widest_gradient(&self) -> usize {
        let first = self.dense.first().map_or(0, |dense| dense.layer + 1);
        self.widths[first..].iter().copied().max().unwrap_or(0)
    }

    /// The noise of stochastic layer number `index`.
    pub(crate) fn noise_layer(&self, index: usize) -> &Noise {
        match &self.layers[self.noise[index]] {
            Layer::Noise(noise) => noise,
            _ => unreachable!("`noise` lists stochastic layers"),
        }
    }

    /// The first stochastic layer that comes before any other; inference is the same for all draws up to there.
    pub(crate) fn first_noise(&self) -> Option<usize> {
        self.noise.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::layer::{Dense, Limits, Sharing};
    use super::*;

    /// The buffer of each value of 6 inputs through a dense layer of 4 and then `layers`.
    fn buffers(layers: &[Layer]) -> Vec<usize> {
        let dense = Layer::Dense(Dense { units: 4, kernel: Limits::default(), bias: None });
        Plan::new([&[dense], layers].concat(), 6).unwrap().buffer_of
    }

    fn noise(kind: NoiseKind) -> Layer {
        Layer::Noise(Noise { kind, rate: 0.5, sharing: Sharing::Rows(1) })
    }

    #[test]
    fn dropout_writes_over_what_only_signs_are_asked_of() {
        let relu = || Layer::Activation(Activation::Relu);
        let tanh = || Layer::Activation(Activation::Tanh);
        let (dropout, alpha) = (|| noise(NoiseKind::Dropout), || noise(NoiseKind::AlphaDropout));
        assert_eq!(buffers(&[relu(), dropout(), dropout()]), [0, 1, 1, 1, 1]);
        assert_eq!(buffers(&[relu(), noise(NoiseKind::ClassicDropout)]), [0, 1, 1, 1]);
        for other in [alpha(), noise(NoiseKind::GaussianDropout), tanh()] {
            assert_eq!(buffers(&[relu(), other.clone()]), [0, 1, 1, 2]);
            assert_eq!(buffers(&[relu(), dropout(), other]), [0, 1, 1, 1, 2]);
        }
        assert_eq!(buffers(&[tanh(), dropout(), alpha()]), [0, 1, 1, 2, 2]);
    }

    #[test]
    fn gradients_are_as_wide_as_what_follows_the_first_dense_layer() {
        let dense = |units| Layer::Dense(Dense { units, kernel: Limits::default(), bias: None });
        let plan = Plan::new(vec![noise(NoiseKind::Dropout), dense(4), dense(5)], 6).unwrap();
        assert_eq!((plan.widest(), plan.widest_gradient()), (6, 5));
    }
}
