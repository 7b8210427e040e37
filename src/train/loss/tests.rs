//! Losses against formulas written row by row, gradients against finite differences, and the same bits on every level.

use super::*;
use crate::simd::{Level, available, dispatch_at};

const UNITS: usize = 5;
const DATA: usize = 11;

/// What a panel gives: losses, gradient, output, number correct.
type Result<T> = (Vec<T>, Vec<T>, Vec<T>, usize);

/// A panel whose lanes hold some rows of a data set of eleven.
#[derive(Clone)]
struct Case<T> {
    loss: Loss,
    softmax: bool,
    /// `[unit][lane]`
    output: Vec<T>,
    labels: Vec<i64>,
    /// `[row][unit]`
    values: Vec<T>,
    weights: Option<Vec<T>>,
    rows: Vec<i64>,
}

impl<T: Element> Case<T> {
    fn new(loss: Loss, probabilities: bool) -> Self {
        let number = |i: usize| (i as f64 * 1.618 + 0.3).sin();
        let output = (0..UNITS * T::LANES).map(number).map(|x| if probabilities { 0.5 + 0.4 * x } else { 3.0 * x });
        let values = (0..DATA * UNITS).map(|i| 0.5 + 0.5 * number(3 * i + 1));
        Self {
            loss,
            softmax: false,
            output: output.map(T::from_f64).collect(),
            labels: (0..DATA as i64).map(|row| row * 3 % UNITS as i64).collect(),
            values: values.map(T::from_f64).collect(),
            weights: Some((0..DATA).map(|row| T::from_f64(0.25 * row as f64)).collect()),
            rows: (0..T::LANES as i64 - 2).map(|lane| (lane * 7 + 2) % DATA as i64).collect(),
        }
    }

    fn run(&self, level: Level) -> Result<T> {
        let mut output = self.output.clone();
        let mut gradient = vec![T::ONE; output.len()];
        let mut losses = vec![T::ONE; T::LANES];
        let targets = match self.loss.kind {
            LossKind::SparseCategoricalCrossentropy => Targets::Labels(&self.labels),
            _ => Targets::Values(&self.values),
        };
        let correct = dispatch_at(
            level,
            LossPanel {
                loss: self.loss,
                softmax: self.softmax,
                targets,
                weights: self.weights.as_deref(),
                rows: &self.rows,
                scale: 0.125,
                output: &mut output,
                gradient: &mut gradient,
                losses: &mut losses,
            },
        );
        (losses, gradient, output, correct)
    }
}

fn best() -> Level {
    available().last().unwrap()
}

/// Every loss with and without its parameters; whether it wants probabilities, and whether softmax is part of it.
fn all() -> Vec<(Loss, bool, bool)> {
    use LossKind::*;
    let mut all = Vec::new();
    for kind in [SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy] {
        for label_smoothing in [0.0, 0.1] {
            let loss = Loss { label_smoothing, ..Loss::new(kind) };
            all.push((loss, true, false));
            all.push((Loss { from_logits: true, ..loss }, false, false));
            if loss.takes_softmax_input() {
                all.push((loss, false, true));
            }
        }
    }
    all.extend([MeanSquaredError, MeanAbsoluteError].map(|kind| (Loss::new(kind), false, false)));
    all.push((Loss { delta: 0.7, ..Loss::new(Huber) }, false, false));
    all
}

/// One row's loss, by the book.
fn row_loss(loss: &Loss, logits: bool, y: &[f64], t: &[f64]) -> f64 {
    let n = y.len() as f64;
    let (a, sigmoid) = (loss.label_smoothing, |z: f64| 1.0 / (1.0 + (-z).exp()));
    let sum = |f: &dyn Fn(f64, f64) -> f64| y.iter().zip(t).map(|(&y, &t)| f(y, t)).sum::<f64>();
    match loss.kind {
        LossKind::SparseCategoricalCrossentropy | LossKind::CategoricalCrossentropy => {
            let whole: f64 = y.iter().map(|z| z.exp()).sum();
            sum(&|y, t| -(t * (1.0 - a) + a / n) * if logits { y - whole.ln() } else { y.ln() })
        }
        LossKind::BinaryCrossentropy => sum(&|y, t| {
            let (p, t) = (if logits { sigmoid(y) } else { y }, t * (1.0 - a) + a / 2.0);
            (-t * p.ln() - (1.0 - t) * (1.0 - p).ln()) / n
        }),
        LossKind::MeanSquaredError => sum(&|y, t| (y - t) * (y - t) / n),
        LossKind::MeanAbsoluteError => sum(&|y, t| (y - t).abs() / n),
        LossKind::Huber => sum(&|y, t| {
            let e = (y - t).abs();
            if e <= loss.delta { e * e / 2.0 / n } else { loss.delta * (e - loss.delta / 2.0) / n }
        }),
    }
}

/// The sum of the lanes' losses by the book, and each of them times its row's weight.
fn expected(case: &Case<f64>, output: &[f64]) -> Vec<f64> {
    let lanes = case.rows.iter().enumerate().map(|(lane, &row)| {
        let row = row as usize;
        let y: Vec<f64> = output.iter().skip(lane).step_by(f64::LANES).copied().collect();
        let t: Vec<f64> = match case.loss.kind {
            LossKind::SparseCategoricalCrossentropy => {
                (0..UNITS).map(|unit| f64::from(u8::from(unit as i64 == case.labels[row]))).collect()
            }
            _ => case.values[row * UNITS..(row + 1) * UNITS].to_vec(),
        };
        let weight = case.weights.as_ref().map_or(1.0, |weights| weights[row]);
        weight * row_loss(&case.loss, case.loss.from_logits || case.softmax, &y, &t)
    });
    lanes.collect()
}

#[test]
fn losses_are_as_written_and_gradients_their_derivatives() {
    for (loss, probabilities, softmax) in all() {
        let case = Case { softmax, ..Case::new(loss, probabilities) };
        let (losses, gradient, output, _) = case.run(best());
        for (got, expected) in losses.iter().zip(expected(&case, &case.output)) {
            assert!((got - expected).abs() < 1e-13, "{loss:?}: {got} {expected}");
        }
        assert!(losses[case.rows.len()..].iter().all(|&loss| loss == 0.0));
        let h = 1e-6;
        for i in 0..output.len() {
            let at = |step: f64| {
                let mut output = case.output.clone();
                output[i] += step;
                expected(&case, &output).iter().sum::<f64>()
            };
            let slope = 0.125 * (at(h) - at(-h)) / (2.0 * h);
            assert!((gradient[i] - slope).abs() < 1e-8, "{loss:?} at {i}: {} {slope}", gradient[i]);
        }
        if softmax {
            for lane in 0..f64::LANES {
                let sum: f64 = output.iter().skip(lane).step_by(f64::LANES).sum();
                assert!((sum - 1.0).abs() < 1e-15);
            }
        } else {
            assert_eq!(output, case.output);
        }
    }
}

#[test]
fn extreme_predictions_stay_finite() {
    let labels = Loss::new(LossKind::SparseCategoricalCrossentropy);
    let mut case = Case::<f32>::new(labels, true);
    case.weights = None;
    // Lane 0: certain and wrong; lane 1: certain and right.
    let right = case.labels[case.rows[1] as usize] as usize;
    for unit in 0..UNITS {
        case.output[unit * 16] = 0.0;
        case.output[unit * 16 + 1] = f32::from(u8::from(unit == right));
    }
    let (losses, gradient, ..) = case.run(best());
    assert!((losses[0] - 16.118_096).abs() < 1e-5, "-ln 1e-7, not {}", losses[0]);
    assert!((0.0..2e-7).contains(&losses[1]));
    assert!((0..UNITS).all(|unit| gradient[unit * 16] == 0.0), "the clip has no slope");

    let logits = Loss { from_logits: true, ..Loss::new(LossKind::BinaryCrossentropy) };
    let mut case = Case::<f32>::new(logits, false);
    case.output.iter_mut().for_each(|z| *z *= 1e30);
    let (losses, gradient, ..) = case.run(best());
    assert!(losses.iter().chain(&gradient).all(|x| x.is_finite()));
}

#[test]
fn rows_of_weight_zero_and_padding_have_no_gradient() {
    let mut case = Case::<f32>::new(Loss::new(LossKind::MeanSquaredError), false);
    case.weights.as_mut().unwrap()[case.rows[3] as usize] = 0.0;
    for lane in [3, 15] {
        case.output[lane] = f32::NAN;
    }
    let (_, gradient, ..) = case.run(best());
    assert_eq!((gradient[3], gradient[15]), (0.0, 0.0));
}

#[test]
fn nan_reaches_the_loss() {
    for (loss, probabilities, softmax) in all() {
        let mut case = Case { softmax, weights: None, ..Case::<f32>::new(loss, probabilities) };
        case.output[2 * 16 + 4] = f32::NAN;
        let (losses, ..) = case.run(best());
        assert!(losses[4].is_nan() && !losses[5].is_nan(), "{loss:?}");
    }
}

#[test]
fn correct_rows_are_counted() {
    let mut case = Case::<f64>::new(Loss::new(LossKind::SparseCategoricalCrossentropy), true);
    // All units equal: the first wins, which is right for label 0 alone.
    case.output.fill(0.2);
    let zeros = case.rows.iter().filter(|&&row| case.labels[row as usize] == 0).count();
    assert_eq!(case.run(best()).3, zeros);

    case.loss = Loss::new(LossKind::CategoricalCrossentropy);
    let first = |row: &&i64| {
        let t = &case.values[**row as usize * UNITS..][..UNITS];
        t.iter().all(|&x| x <= t[0])
    };
    assert_eq!(case.run(best()).3, case.rows.iter().filter(first).count());

    case.loss = Loss::new(LossKind::BinaryCrossentropy);
    for (lane, &row) in case.rows.iter().enumerate() {
        for unit in 0..UNITS {
            let t = case.values[row as usize * UNITS + unit];
            case.output[unit * 8 + lane] = if t > 0.5 { 0.9 } else { 0.5 };
        }
    }
    assert_eq!(case.run(best()).3, case.rows.len());
    case.output[2 * 8 + 1] = 1.4 - case.output[2 * 8 + 1];
    assert_eq!(case.run(best()).3, case.rows.len() - 1);
}

#[test]
fn levels_return_the_same_bits() {
    for (loss, probabilities, softmax) in all() {
        let single = Case { softmax, ..Case::<f32>::new(loss, probabilities) };
        let double = Case { softmax, ..Case::<f64>::new(loss, probabilities) };
        for level in available() {
            assert_eq!(single.run(level), single.run(Level::Scalar), "{loss:?}");
            assert_eq!(double.run(level), double.run(Level::Scalar), "{loss:?}");
        }
    }
}
