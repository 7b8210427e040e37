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
    for kind in [Hinge, SquaredHinge, CategoricalHinge, LogCosh, CosineSimilarity, MeanAbsolutePercentageError] {
        all.push((Loss::new(kind), false, false));
    }
    for kind in [KlDivergence, Poisson, MeanSquaredLogarithmicError] {
        all.push((Loss::new(kind), true, false));
    }
    for gamma in [2.0, 1.3, 0.0] {
        for from_logits in [false, true] {
            let loss =
                Loss { gamma, from_logits, alpha: 0.3, label_smoothing: 0.1, ..Loss::new(BinaryFocalCrossentropy) };
            all.push((loss, !from_logits, false));
            all.push((Loss { class_balance: true, ..loss }, !from_logits, false));
            all.push((Loss { kind: CategoricalFocalCrossentropy, ..loss }, !from_logits, false));
        }
    }
    all.push((
        Loss { quantiles: Quantiles::new(&[0.1, 0.5, 0.7, 0.8, 0.9]).unwrap(), ..Loss::new(Quantile) },
        false,
        false,
    ));
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
        LossKind::Hinge => sum(&|y, t| (1.0 - t * y).max(0.0) / n),
        LossKind::SquaredHinge => sum(&|y, t| (1.0 - t * y).max(0.0).powi(2) / n),
        LossKind::CategoricalHinge => {
            let wrong = y.iter().zip(t).map(|(y, t)| (1.0 - t) * y).fold(f64::NEG_INFINITY, f64::max);
            (wrong - sum(&|y, t| t * y) + 1.0).max(0.0)
        }
        LossKind::KlDivergence => sum(&|y, t| t.clamp(1e-7, 1.0) * (t.clamp(1e-7, 1.0) / y).ln()),
        LossKind::Poisson => sum(&|y, t| (y - t * (y + 1e-7).ln()) / n),
        LossKind::LogCosh => sum(&|y, t| (y - t).cosh().ln() / n),
        LossKind::CosineSimilarity => -sum(&|y, t| y * t) / (sum(&|y, _| y * y) * sum(&|_, t| t * t)).sqrt(),
        LossKind::MeanAbsolutePercentageError => sum(&|y, t| 100.0 * (y - t).abs() / t.abs().max(1e-7) / n),
        LossKind::MeanSquaredLogarithmicError => sum(&|y, t| (y.ln_1p() - t.ln_1p()).powi(2) / n),
        LossKind::BinaryFocalCrossentropy => sum(&|y, t| {
            let (p, t) = (if logits { sigmoid(y) } else { y }, t * (1.0 - a) + a / 2.0);
            let right = t * p + (1.0 - t) * (1.0 - p);
            let weight = if loss.class_balance { t * loss.alpha + (1.0 - t) * (1.0 - loss.alpha) } else { 1.0 };
            weight * (1.0 - right).powf(loss.gamma) * (-t * p.ln() - (1.0 - t) * (1.0 - p).ln()) / n
        }),
        LossKind::CategoricalFocalCrossentropy => {
            let raw = |y: f64| if logits { y.exp() } else { y };
            let whole = sum(&|y, _| raw(y));
            sum(&|y, t| {
                let p = raw(y) / whole;
                -loss.alpha * (1.0 - p).powf(loss.gamma) * (t * (1.0 - a) + a / n) * p.ln()
            })
        }
        LossKind::Quantile => y
            .iter()
            .zip(loss.quantiles.as_slice())
            .map(|(y, q)| {
                let error = t[0] - y;
                (q * error).max((q - 1.0) * error) / n
            })
            .sum(),
        LossKind::GaussianNll => unreachable!("the number of units is odd"),
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
            kind => {
                let units = if kind == LossKind::Quantile { 1 } else { UNITS };
                case.values[row * units..(row + 1) * units].to_vec()
            }
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
            assert!((got - expected).abs() < 1e-13 * expected.abs().max(1.0), "{loss:?}: {got} {expected}");
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
            // What rounding of the sums leaves, divided by the step.
            let bound = 1e-8 * at(0.0).abs().max(1.0);
            assert!((gradient[i] - slope).abs() < bound, "{loss:?} at {i}: {} {slope}", gradient[i]);
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
fn gaussian_likelihood() {
    let loss = Loss::new(LossKind::GaussianNll);
    let mut case = Case::<f64>::new(loss, false);
    case.output.truncate(4 * f64::LANES);
    let at = |output: &[f64], lane: usize| -> f64 {
        let row = case.rows[lane] as usize;
        (0..2)
            .map(|unit| {
                let error = output[unit * 8 + lane] - case.values[row * 2 + unit];
                let logarithm = output[(2 + unit) * 8 + lane];
                0.25 * (logarithm + error * error * (-logarithm).exp())
            })
            .sum()
    };
    let weights = case.weights.clone().unwrap();
    let (losses, gradient, ..) = case.run(best());
    for (lane, &row) in case.rows.iter().enumerate() {
        let weight = weights[row as usize];
        assert!((losses[lane] - weight * at(&case.output, lane)).abs() < 1e-13);
        for unit in 0..4 {
            let moved = |step: f64| {
                let mut output = case.output.clone();
                output[unit * 8 + lane] += step;
                at(&output, lane)
            };
            let slope = 0.125 * weight * (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((gradient[unit * 8 + lane] - slope).abs() < 1e-8);
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
