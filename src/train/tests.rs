//! Whole training runs: the same bits on every level and number of threads, and gradients against finite differences.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::few_rows;
use super::gather::Input;
use super::layer::{Dense, Layer, Limits, Noise, NoiseKind, Sharing};
use super::loss::{Loss, LossKind, Targets};
use super::noise::Origin;
use super::optimizer::{NormClip, Optimizer, OptimizerKind};
use super::own::by_features;
use super::plan::Plan;
use super::predict::Predict;
use super::run::{Progress, Run};
use super::update::Parameter;
use super::workspace::Workspace;
use crate::dense::activation::Activation;
use crate::interrupt::{requested, watched};
use crate::parallel::{Forced, Shared, View, force, set_num_threads};
use crate::rng::Key;
use crate::simd::{Element, Level, available};

const ROWS: usize = 75;
const INPUTS: usize = 37;
const CLASSES: usize = 5;

/// A number in [-0.5, 0.5) for each index.
fn number(index: usize) -> f64 {
    (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) as f64 / 2f64.powi(64) - 0.5
}

fn dense(units: usize) -> Layer {
    Layer::Dense(Dense { units, kernel: Limits::default(), bias: Some(Limits::default()) })
}

fn noise(kind: NoiseKind, rate: f64, sharing: Sharing) -> Layer {
    Layer::Noise(Noise { kind, rate, sharing })
}

/// Widths of two layers that are passed by rows of the batch.
const NARROW: [usize; 2] = [67, 21];

/// Widths of two layers that are passed by features.
const WIDE: [usize; 2] = [300, 230];

/// A stack with every kind of layer, of widths that fill no vector, but for one, of which one member of two has nothing.
fn stack([first, second]: [usize; 2]) -> Vec<Layer> {
    let limited = Limits { l1: 1e-3, l2: 1e-2, max_norm: Some(0.7) };
    vec![
        noise(NoiseKind::Dropout, 0.2, Sharing::Rows(1)),
        dense(first),
        Layer::Activation(Activation::Relu),
        noise(NoiseKind::Dropout, 0.5, Sharing::Rows(3)),
        Layer::Dense(Dense { units: second, kernel: limited, bias: Some(limited) }),
        Layer::Activation(Activation::Gelu { approximate: false }),
        noise(NoiseKind::AlphaDropout, 0.1, Sharing::Features),
        Layer::Dense(Dense { units: 16, kernel: Limits::default(), bias: None }),
        Layer::Activation(Activation::Tanh),
        noise(NoiseKind::GaussianDropout, 0.2, Sharing::Rows(1)),
        dense(CLASSES),
        noise(NoiseKind::ClassicDropout, 0.1, Sharing::Batch),
        Layer::Activation(Activation::Softmax),
    ]
}

struct Settings {
    batch: usize,
    rate: f64,
    optimizer: OptimizerKind,
    clip: Option<NormClip>,
    whole_gradients: bool,
}

/// Three epochs over made-up data; the weights afterwards, and what the last epoch reported.
fn train<T: Element + std::ops::Add<Output = T>>(
    layers: Vec<Layer>,
    weights: &[Vec<f64>],
    settings: &Settings,
    level: Level,
    members: usize,
    epochs: usize,
) -> (Vec<Vec<T>>, Progress) {
    let plan = Plan::new(layers, INPUTS).unwrap();
    let convert = |values: &Vec<f64>| values.iter().map(|&x| T::from_f64(x)).collect::<Vec<_>>();
    let mut weights: Vec<Vec<T>> = weights.iter().map(convert).collect();
    let optimizer = Optimizer { kind: settings.optimizer, weight_decay: 0.0, clipvalue: None };
    let mut states: Vec<Vec<Vec<T>>> =
        weights.iter().map(|w| vec![vec![T::ZERO; w.len()]; optimizer.states()]).collect();
    let x: Vec<T> = (0..ROWS * INPUTS).map(|i| T::from_f64(2.0 * number(i))).collect();
    let y: Vec<i64> = (0..ROWS).map(|row| (row * row % CLASSES) as i64).collect();
    let order: Vec<i64> = (0..ROWS.max(settings.batch) as i64).map(|row| row * 31 % ROWS as i64).collect();
    let keys: Vec<Key> = (0..plan.noise.len() as u64).map(|stream| Key::new(7, stream, 0)).collect();
    let panels = settings.batch.div_ceil(T::LANES);
    let mut workspace = Workspace::new(&plan, panels, members, true).unwrap();
    let mut progress = Progress::default();
    for epoch in 0..epochs {
        let run = Run {
            plan: &plan,
            parameters: parameters(&plan, &mut weights, &mut states),
            input: Input::Float(&x),
            targets: Targets::Labels(&y),
            weights: None,
            order: &order,
            batch_size: settings.batch,
            loss: Loss::new(LossKind::SparseCategoricalCrossentropy),
            optimizer,
            clip: settings.clip,
            whole_gradients: settings.whole_gradients,
            learning_rates: &vec![settings.rate; ROWS],
            keys: &keys,
            rates: None,
            first_step: (epoch * ROWS) as u64,
            counter: &AtomicU64::new(0),
            total: 0.0,
            predictions: None,
            budget: Duration::from_secs(60),
        };
        progress = run.train_at(level, &mut workspace).unwrap();
    }
    (weights, progress)
}

fn parameters<'a, T: Element>(
    plan: &Plan,
    weights: &'a mut [Vec<T>],
    states: &'a mut [Vec<Vec<T>>],
) -> Vec<Parameter<'a, T>> {
    let mut all = Vec::new();
    let mut next = weights.iter_mut().zip(states);
    for place in &plan.dense {
        let Layer::Dense(dense) = &plan.layers[place.layer] else { unreachable!() };
        for limits in std::iter::once(dense.kernel).chain(dense.bias) {
            let (values, states) = next.next().unwrap();
            let states = states.iter_mut().map(|state| Shared::new(state)).collect();
            all.push(Parameter { values: Shared::new(values), columns: place.outputs, states, limits });
        }
    }
    all
}

fn initial(layers: &[Layer]) -> Vec<Vec<f64>> {
    let plan = Plan::new(layers.to_vec(), INPUTS).unwrap();
    let mut index = 10_000;
    let mut next = || {
        index += 1;
        0.6 * number(index)
    };
    plan.parameters.iter().map(|&len| (0..len).map(|_| next()).collect()).collect()
}

fn settings(batch: usize) -> [Settings; 5] {
    let adam = |amsgrad| OptimizerKind::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad };
    let sgd = OptimizerKind::Sgd { momentum: 0.0, nesterov: false };
    [
        Settings { batch, rate: 0.1, optimizer: sgd, clip: None, whole_gradients: false },
        Settings { batch, rate: 0.01, optimizer: adam(true), clip: None, whole_gradients: false },
        Settings { batch, rate: 0.01, optimizer: adam(false), clip: None, whole_gradients: false },
        Settings { batch, rate: 0.1, optimizer: sgd, clip: Some(NormClip::Global(0.5)), whole_gradients: false },
        Settings { batch, rate: 0.1, optimizer: sgd, clip: Some(NormClip::Each(0.2)), whole_gradients: false },
    ]
}

/// Which runs are compared with one thread's at the scalar level.
struct Runs<'a> {
    widths: [usize; 2],
    batches: &'a [usize],
    members: &'a [usize],
    epochs: usize,
}

fn bits_agree<T: Element + std::ops::Add<Output = T>>(runs: &Runs<'_>) {
    // More than some machines have; where another test has the workers, a run is alone.
    set_num_threads(4).unwrap();
    force(Forced::Full);
    let layers = || stack(runs.widths);
    let weights = initial(&layers());
    for &batch in runs.batches {
        for (number, settings) in settings(batch).iter().enumerate() {
            let oracle = train::<T>(layers(), &weights, settings, Level::Scalar, 1, runs.epochs);
            assert!(oracle.1.loss.is_finite());
            for level in available() {
                for &members in runs.members {
                    let run = train::<T>(layers(), &weights, settings, level, members, runs.epochs);
                    assert_eq!(run, oracle, "batch {batch}, settings {number}, {level:?}, {members} threads");
                    let whole = Settings { whole_gradients: true, ..*settings };
                    let run = train::<T>(layers(), &weights, &whole, level, members, runs.epochs);
                    assert_eq!(run, oracle, "whole, batch {batch}, settings {number}, {level:?}, {members} threads");
                }
                force(Forced::Random(number));
                let run = train::<T>(layers(), &weights, settings, level, 4, runs.epochs);
                assert_eq!(run, oracle, "batch {batch}, settings {number}, {level:?}, teams that change");
                force(Forced::Full);
            }
        }
    }
}

#[test]
fn all_levels_and_threads_train_the_same_bits() {
    let runs = Runs { widths: NARROW, batches: &[1, 19, 64, 300], members: &[1, 2, 3], epochs: 3 };
    bits_agree::<f32>(&runs);
    bits_agree::<f64>(&runs);
}

#[test]
fn wide_layers_by_features_train_the_same_bits() {
    assert_eq!(by_features(&Plan::new(stack(NARROW), INPUTS).unwrap()), 0);
    assert_eq!(by_features(&Plan::new(stack(WIDE), INPUTS).unwrap()), 7);
    let runs = Runs { widths: WIDE, batches: &[19, 300], members: &[2, 4], epochs: 1 };
    bits_agree::<f32>(&runs);
    bits_agree::<f64>(&runs);
}

/// Row groups of whole panels, whose dropped units products leave out; without `neighbours` nothing is left out.
fn grouped<T: Element + std::ops::Add<Output = T>>([first, second]: [usize; 2], sharing: Sharing, rate: f64) {
    let layers = || {
        vec![
            noise(NoiseKind::Dropout, 0.2, sharing),
            dense(first),
            Layer::Activation(Activation::Relu),
            noise(NoiseKind::Dropout, rate, sharing),
            dense(second),
            Layer::Activation(Activation::Tanh),
            noise(NoiseKind::ClassicDropout, rate, sharing),
            dense(CLASSES),
            Layer::Activation(Activation::Softmax),
        ]
    };
    let dense_only = || {
        let mut layers = layers();
        // Activations that change nothing between dropout and product keep them from being neighbours.
        for place in [7, 4, 1] {
            layers.insert(place, Layer::Activation(Activation::LeakyRelu { negative_slope: 1.0 }));
            layers.insert(place, Layer::Activation(Activation::LeakyRelu { negative_slope: 1.0 }));
        }
        for place in [10, 5] {
            layers.insert(place, Layer::Activation(Activation::LeakyRelu { negative_slope: 1.0 }));
        }
        layers
    };
    let weights = initial(&layers());
    for batch in [19, 64, 75, 300] {
        for settings in &settings(batch)[..2] {
            let whole = train::<T>(dense_only(), &weights, settings, Level::Scalar, 1, 3);
            for level in available() {
                for members in [1, 2] {
                    let part = train::<T>(layers(), &weights, settings, level, members, 3);
                    assert_eq!(part, whole, "batch {batch}, {sharing:?}, rate {rate}, {level:?}, {members} threads");
                }
            }
        }
    }
}

#[test]
fn leaving_out_dropped_units_changes_no_bit() {
    for sharing in [Sharing::Rows(16), Sharing::Rows(32), Sharing::Batch] {
        for rate in [0.5, 0.9, 1.0] {
            grouped::<f32>([67, 53], sharing, rate);
            grouped::<f64>([67, 53], sharing, rate);
        }
        grouped::<f32>(WIDE, sharing, 0.5);
    }
}

/// Blocks with skip connections: one value taken twice, one before dropout, one that is the input of the network, sums right after a
/// product, after an activation and after another sum.
fn residual([first, second]: [usize; 2]) -> Vec<Layer> {
    let add = |source| Layer::Add { source };
    vec![
        noise(NoiseKind::Dropout, 0.2, Sharing::Rows(1)),
        dense(INPUTS),
        add(0),
        dense(first),
        Layer::Activation(Activation::Relu),
        noise(NoiseKind::Dropout, 0.3, Sharing::Rows(16)),
        add(5),
        dense(first),
        add(7),
        Layer::Activation(Activation::Relu),
        add(5),
        add(7),
        noise(NoiseKind::Dropout, 0.5, Sharing::Batch),
        dense(second),
        Layer::Activation(Activation::Gelu { approximate: false }),
        dense(second),
        Layer::Activation(Activation::Relu),
        noise(NoiseKind::Dropout, 0.2, Sharing::Rows(1)),
        add(15),
        add(19),
        dense(CLASSES),
        Layer::Activation(Activation::Softmax),
    ]
}

#[test]
fn skip_connections_train_the_same_bits() {
    set_num_threads(4).unwrap();
    for (widths, members, batches, epochs) in
        [(NARROW, &[1, 2, 3][..], &[1, 64, 300][..], 2), (WIDE, &[2, 4], &[19, 300], 1)]
    {
        let weights = initial(&residual(widths));
        for &batch in batches {
            // Sums make activations grow: plain gradient descent needs small steps.
            for (number, rate) in [(0, 1e-6), (1, 1e-3), (3, 1e-2)] {
                let mut all = settings(batch);
                all[number].rate = rate;
                let settings = &all[number];
                let oracle = train::<f32>(residual(widths), &weights, settings, Level::Scalar, 1, epochs);
                assert!(oracle.1.loss.is_finite());
                for level in available() {
                    for &members in members {
                        let run = train::<f32>(residual(widths), &weights, settings, level, members, epochs);
                        assert_eq!(run, oracle, "batch {batch}, {level:?}, {members} threads");
                    }
                }
            }
        }
    }
}

#[test]
fn skip_connections_of_other_widths_are_refused() {
    for layers in [vec![dense(INPUTS + 1), Layer::Add { source: 0 }], vec![Layer::Add { source: 1 }]] {
        let message = Plan::new(layers, INPUTS).unwrap_err().to_string();
        assert!(message.contains("source of an add must be an earlier value of its width"), "{message}");
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let layers = || {
        vec![
            noise(NoiseKind::Dropout, 0.2, Sharing::Rows(1)),
            dense(11),
            Layer::Activation(Activation::Silu),
            noise(NoiseKind::AlphaDropout, 0.3, Sharing::Rows(1)),
            dense(9),
            Layer::Activation(Activation::Tanh),
            noise(NoiseKind::GaussianDropout, 0.2, Sharing::Rows(1)),
            dense(CLASSES),
            Layer::Activation(Activation::Softmax),
        ]
    };
    gradients_are_right(layers);
    let smooth = || {
        let mut layers = residual([13, 9]);
        for layer in &mut layers {
            if *layer == Layer::Activation(Activation::Relu) {
                *layer = Layer::Activation(Activation::Tanh);
            }
        }
        layers
    };
    gradients_are_right(smooth);
}

fn gradients_are_right(layers: impl Fn() -> Vec<Layer>) {
    let weights = initial(&layers());
    let at = |rate| Settings {
        batch: ROWS,
        rate,
        optimizer: OptimizerKind::Sgd { momentum: 0.0, nesterov: false },
        clip: None,
        whole_gradients: false,
    };
    let level = available().last().unwrap();
    let loss = |weights: &[Vec<f64>]| train::<f64>(layers(), weights, &at(0.0), level, 1, 1).1.loss / ROWS as f64;
    let (after, _) = train::<f64>(layers(), &weights, &at(1.0), level, 1, 1);
    for (parameter, values) in weights.iter().enumerate() {
        for index in (0..values.len()).step_by(values.len().div_ceil(7)) {
            let mut moved = weights.clone();
            let step = 1e-5;
            moved[parameter][index] += step;
            let above = loss(&moved);
            moved[parameter][index] -= 2.0 * step;
            let slope = (above - loss(&moved)) / (2.0 * step);
            let gradient = values[index] - after[parameter][index];
            assert!((slope - gradient).abs() < 1e-8, "parameter {parameter}[{index}]: {slope} and {gradient}");
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    let mut weights = initial(&stack(NARROW));
    weights[0][0] = f64::NAN;
    let outcome =
        std::panic::catch_unwind(|| train::<f32>(stack(NARROW), &weights, &settings(19)[0], Level::Scalar, 2, 1));
    let message = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("loss became NaN at batch 0"), "{message}");
}

#[test]
fn an_interrupted_step_changes_nothing() {
    set_num_threads(4).unwrap();
    for widths in [NARROW, WIDE] {
        let weights = initial(&stack(widths));
        let outcome = watched(
            || true,
            || {
                while !requested() {}
                let run = || train::<f32>(stack(widths), &weights, &settings(300)[0], Level::Scalar, 2, 1);
                std::panic::catch_unwind(AssertUnwindSafe(run))
            },
        );
        let message = *outcome.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("Interrupted"), "{message}");
    }
}

#[test]
fn few_rows_are_predicted_as_among_many() {
    let head = [
        noise(NoiseKind::Dropout, 0.2, Sharing::Rows(1)),
        dense(67),
        Layer::Activation(Activation::Gelu { approximate: true }),
        Layer::Activation(Activation::Tanh),
        noise(NoiseKind::AlphaDropout, 0.5, Sharing::Rows(1)),
        dense(CLASSES),
        Layer::Activation(Activation::Softmax),
    ];
    few_rows_are_as_among_many(head.to_vec());
    few_rows_are_as_among_many(residual(NARROW));
    few_rows_are_as_among_many([&[Layer::Activation(Activation::Sigmoid)], &head[..]].concat());
}

fn few_rows_are_as_among_many(layers: Vec<Layer>) {
    let weights: Vec<Vec<f32>> =
        initial(&layers).iter().map(|values| values.iter().map(|&x| x as f32).collect()).collect();
    let plan = Plan::new(layers, INPUTS).unwrap();
    let x: Vec<f32> = (0..ROWS * INPUTS).map(|i| number(i) as f32).collect();
    let predict = |x: &[f32]| {
        let rows = x.len() / INPUTS;
        let mut out = vec![0.0; rows * CLASSES];
        let parameters = weights.iter().map(|values| View::new(values)).collect();
        let predict = Predict {
            plan: &plan,
            parameters,
            input: Input::Float(x),
            rows,
            keys: None,
            rates: None,
            origin: Origin::default(),
        };
        assert_eq!(few_rows::fits(&plan, &predict.input, rows), rows <= 12);
        predict.outputs(&mut out).unwrap();
        out
    };
    let all = predict(&x);
    for rows in 1..15 {
        for (x, out) in x.chunks_exact(rows * INPUTS).zip(all.chunks_exact(rows * CLASSES)) {
            assert_eq!(predict(x), out);
        }
    }
}
