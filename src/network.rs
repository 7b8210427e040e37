//! Layer 5: a stack of layers that trains, for users of Rust: the engine of the Python package with its weights.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::aligned::caught;
use crate::api::{Activation, check_len};
use crate::error::{Error, Result};
use crate::parallel::{Shared, View, num_threads};
use crate::rng::{Key, domain, permutation, uniforms};
use crate::train::gather::Input;
use crate::train::layer::{self, Limits, Noise, NoiseKind, Sharing};
use crate::train::loss::{Loss, LossKind, Targets};
use crate::train::noise::Origin;
use crate::train::optimizer::{Optimizer, OptimizerKind};
use crate::train::plan::Plan;
use crate::train::predict::Predict;
use crate::train::run::Run;
use crate::train::update::Parameter;
use crate::train::workspace::Workspace;

/// A layer of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layer {
    /// `activation(x · kernel + bias)`
    Dense {
        /// Outputs.
        units: usize,
        /// Applied to each of them.
        activation: Activation,
    },
    /// Inverted dropout in training, nothing at inference.
    Dropout {
        /// The probability to drop, in [0, 1].
        rate: f64,
    },
}

/// A classifier: dense layers with dropout, trained by stochastic gradient descent on the categorical cross-entropy.
///
/// Masks, the order of rows and the first weights are functions of the seed, so two networks of the same seed and data
/// have the same weights, bit for bit, on any processor. The example of the crate trains one.
pub struct Network {
    plan: Plan,
    /// Kernel and bias of each dense layer.
    weights: Vec<Vec<f32>>,
    keys: Vec<Key>,
    seed: u64,
    epochs: u64,
    steps: u64,
}

impl Network {
    /// A network over `inputs` features, its kernels by Glorot's uniform rule (Glorot and Bengio 2010), its biases 0.
    ///
    /// # Errors
    /// [`Error::Value`] without a dense layer, for a size of 0 or a rate outside [0, 1], and where the last layer is no softmax.
    pub fn new(inputs: usize, layers: &[Layer], seed: u64) -> Result<Self> {
        if !matches!(layers.last(), Some(Layer::Dense { activation: Activation::Softmax, .. })) {
            return Err(Error::value("the last of layers must be dense with softmax: the network is a classifier"));
        }
        let plan = Plan::new(layers.iter().flat_map(native).collect(), inputs)?;
        let keys = (0..plan.noise.len() as u64).map(|stream| Key::new(seed, stream, 0)).collect();
        let mut weights = Vec::new();
        for (place, number) in plan.dense.iter().zip(0..) {
            let mut kernel = vec![0.0; place.inputs * place.outputs];
            uniforms(Key::new(seed, number, 0).in_domain(domain::INITIAL_VALUES), 0, &mut kernel);
            let limit = (6.0 / (place.inputs + place.outputs) as f64).sqrt();
            weights.push(kernel.iter().map(|u| ((2.0 * u - 1.0) * limit) as f32).collect());
            weights.push(vec![0.0; place.outputs]);
        }
        Ok(Self { plan, weights, keys, seed, epochs: 0, steps: 0 })
    }

    /// Kernel and bias of each dense layer in turn; a kernel is `[inputs][units]`.
    #[must_use]
    pub fn weights(&self) -> &[Vec<f32>] {
        &self.weights
    }

    /// The probabilities of the classes for each row of `x`, dropout off.
    ///
    /// # Errors
    /// [`Error::Value`] where `x` does not hold whole rows.
    pub fn predict(&self, x: &[f32]) -> Result<Vec<f32>> {
        let rows = self.rows(x)?;
        let mut out = vec![0.0; rows * self.plan.outputs()];
        if rows > 0 {
            let parameters = self.weights.iter().map(|w| View::new(w)).collect();
            let input = Input::Float(x);
            let (keys, rates, origin) = (None, None, Origin::default());
            let predict = Predict { plan: &self.plan, parameters, input, rows, keys, rates, origin };
            caught(|| predict.outputs(&mut out))??;
        }
        Ok(out)
    }

    /// One pass over the rows of `x` in a new random order, a step a batch; returns the mean loss of the rows.
    ///
    /// # Errors
    /// [`Error::Value`] where `x` and `labels` do not fit together or a label is no class, and for a batch size of 0 or a
    /// learning rate that is negative or not finite; [`Error::FloatingPoint`] where a loss is not finite: the weights are then those before that batch.
    pub fn fit_epoch(&mut self, x: &[f32], labels: &[i64], batch_size: usize, learning_rate: f64) -> Result<f64> {
        let rows = self.rows(x)?;
        check_len("labels", labels.len(), rows)?;
        let classes = self.plan.outputs() as i64;
        if let Some(label) = labels.iter().find(|label| !(0..classes).contains(label)) {
            return Err(Error::value(format!("labels must lie in 0..{classes}. Received: {label}")));
        }
        if batch_size == 0 || rows == 0 {
            return Err(Error::value(format!(
                "batch_size and the number of rows must be positive. Received: batch_size={batch_size}, {rows} rows"
            )));
        }
        if !(0.0..=f64::MAX).contains(&learning_rate) {
            return Err(Error::value(format!(
                "learning_rate must be finite and at least 0. Received: {learning_rate}"
            )));
        }
        let order = permutation(rows, Key::new(self.seed, 0, self.epochs).in_domain(domain::SHUFFLING));
        let batches = rows.div_ceil(batch_size);
        let panels = batch_size.min(rows).div_ceil(16);
        let mut workspace = Workspace::new(&self.plan, panels, num_threads(), true)?;
        let run = Run {
            plan: &self.plan,
            parameters: parameters(&self.plan, &mut self.weights),
            input: Input::Float(x),
            targets: Targets::Labels(labels),
            weights: None,
            order: &order,
            batch_size,
            loss: Loss::new(LossKind::SparseCategoricalCrossentropy),
            optimizer: Optimizer {
                kind: OptimizerKind::Sgd { momentum: 0.0, nesterov: false },
                weight_decay: 0.0,
                clipvalue: None,
            },
            clip: None,
            whole_gradients: false,
            learning_rates: &vec![learning_rate; batches],
            keys: &self.keys,
            rates: None,
            first_step: self.steps,
            counter: &AtomicU64::new(0),
            total: 0.0,
            predictions: None,
            budget: Duration::MAX,
        };
        let progress = run.train(&mut workspace)?;
        self.epochs += 1;
        self.steps += batches as u64;
        Ok(progress.loss / rows as f64)
    }

    /// How many rows `x` holds.
    fn rows(&self, x: &[f32]) -> Result<usize> {
        let inputs = self.plan.widths[0];
        let rows = x.len() / inputs;
        check_len("x", x.len(), rows * inputs)?;
        Ok(rows)
    }
}

/// A layer as the engine's own.
fn native(layer: &Layer) -> Vec<layer::Layer> {
    match *layer {
        Layer::Dense { units, activation } => {
            let limits = Limits::default();
            let dense = layer::Layer::Dense(layer::Dense { units, kernel: limits, bias: Some(limits) });
            match activation {
                Activation::Linear => vec![dense],
                _ => vec![dense, layer::Layer::Activation(activation.native())],
            }
        }
        Layer::Dropout { rate } => {
            vec![layer::Layer::Noise(Noise { kind: NoiseKind::Dropout, rate, sharing: Sharing::Rows(1) })]
        }
    }
}

/// The weights for the engine, which writes them.
fn parameters<'a>(plan: &Plan, weights: &'a mut [Vec<f32>]) -> Vec<Parameter<'a, f32>> {
    let columns = plan.dense.iter().flat_map(|place| [place.outputs, place.outputs]);
    let parameter = |(values, columns): (&'a mut Vec<f32>, usize)| Parameter {
        values: Shared::new(values),
        columns,
        states: Vec::new(),
        limits: Limits::default(),
    };
    weights.iter_mut().zip(columns).map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYERS: [Layer; 3] = [
        Layer::Dense { units: 20, activation: Activation::Tanh },
        Layer::Dropout { rate: 0.3 },
        Layer::Dense { units: 3, activation: Activation::Softmax },
    ];

    fn data() -> (Vec<f32>, Vec<i64>) {
        let mut x = vec![0.0; 90 * 4];
        crate::rng::normals(Key::new(1, 0, 0), 0, &mut x);
        let labels: Vec<i64> = x.chunks_exact(4).map(|row| i64::from(row[0] > 0.0) + i64::from(row[1] > 0.0)).collect();
        (x, labels)
    }

    #[test]
    fn same_seed_same_weights_and_the_loss_falls() {
        let (x, labels) = data();
        let train = |seed| {
            let mut network = Network::new(4, &LAYERS, seed).unwrap();
            let losses: Vec<f64> = (0..15).map(|_| network.fit_epoch(&x, &labels, 16, 0.1).unwrap()).collect();
            (network, losses)
        };
        let (first, losses) = train(3);
        let (again, _) = train(3);
        let (other, _) = train(4);
        assert_eq!(first.weights(), again.weights());
        assert_ne!(first.weights(), other.weights());
        assert!(losses[14] < 0.8 * losses[0], "{losses:?}");
        assert!(first.predict(&[]).unwrap().is_empty());
        let sums = first.predict(&x).unwrap().chunks_exact(3).map(|p| p.iter().sum::<f32>()).collect::<Vec<_>>();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    }

    #[test]
    fn bad_input_is_named_and_changes_nothing() {
        let (x, labels) = data();
        let mut network = Network::new(4, &LAYERS, 0).unwrap();
        let before = network.weights().to_vec();
        for (x, labels, batch, rate, text) in [
            (&x[1..], &labels[..], 16, 0.1, "x must hold 356 elements. Received: 359"),
            (&x[..], &labels[1..], 16, 0.1, "labels must hold 90 elements. Received: 89"),
            (&x[..8], &[0, 3][..], 16, 0.1, "labels must lie in 0..3. Received: 3"),
            (
                &x[..],
                &labels[..],
                0,
                0.1,
                "batch_size and the number of rows must be positive. Received: batch_size=0, 90 rows",
            ),
            (&x[..], &labels[..], 16, f64::NAN, "learning_rate must be finite and at least 0. Received: NaN"),
        ] {
            assert_eq!(network.fit_epoch(x, labels, batch, rate).unwrap_err().to_string(), text);
        }
        assert_eq!(network.weights(), before);
        assert!(Network::new(4, &LAYERS[..2], 0).is_err());
        assert!(Network::new(0, &LAYERS, 0).is_err());
        assert!(Network::new(4, &[Layer::Dropout { rate: 2.0 }, LAYERS[2]], 0).is_err());
    }
}
