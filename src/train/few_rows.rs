//! Layer 4: inference for a few rows, by rows: a panel would be padding for the most part.
//!
//! Every element is the same chain, bias and activation as in panels, so the results are the same to the bit.

use super::gather::Input;
use super::layer::{Layer, NoiseKind};
use super::plan::Plan;
use crate::dense::activation::{Activation, activate};
use crate::dense::forward::{self, Real, forward};
use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::parallel::View;
use crate::simd::{Element, Kernel, Simd, dispatch};

/// The most rows that are taken here: with three, a panel of sixteen lanes, read once, is as fast.
const MOST: usize = 2;

/// Whether rows of an input can be predicted here: few of them, of floats, through layers that need no panel.
pub fn fits<T: Element>(plan: &Plan, input: &Input<'_, T>, rows: usize) -> bool {
    let by_rows = |(index, layer): (usize, &Layer)| match layer {
        Layer::Dense(_) => true,
        Layer::Activation(activation) => {
            !activation.is_softmax() || (index > 0 && matches!(plan.layers[index - 1], Layer::Dense(_)))
        }
        Layer::Noise(noise) => noise.kind != NoiseKind::ClassicDropout,
        Layer::Rescaling { .. } => false,
    };
    rows <= MOST && matches!(input, Input::Float(_)) && plan.layers.iter().enumerate().all(by_rows)
}

/// Writes the outputs `[row][unit]` of the rows of `x`.
///
/// # Panics
/// Where lengths do not match the plan.
///
/// # Safety
/// Nobody writes the parameters.
pub unsafe fn outputs<T: Real>(plan: &Plan, parameters: &[View<'_, T>], x: &[T], rows: usize, out: &mut [T]) {
    let mut values = x[..rows * plan.widths[0]].to_vec();
    let mut fused = false;
    for (index, layer) in plan.layers.iter().enumerate() {
        match layer {
            Layer::Activation(_) if std::mem::take(&mut fused) => {}
            Layer::Activation(activation) => dispatch(Activate { activation: *activation, values: &mut values }),
            Layer::Dense(_) => {
                let Some(place) = plan.dense.iter().find(|place| place.layer == index) else { continue };
                let activation = match plan.layers.get(index + 1) {
                    Some(Layer::Activation(activation)) => *activation,
                    _ => Activation::Linear,
                };
                fused = matches!(plan.layers.get(index + 1), Some(Layer::Activation(_)));
                let mut y = vec![<T as Element>::ZERO; rows * place.outputs];
                // SAFETY: the caller's promise.
                let (kernel, bias) =
                    unsafe { (parameters[place.kernel].get(), place.bias.map(|bias| parameters[bias].get())) };
                forward(
                    Matrix::by_rows(&values, rows, place.inputs),
                    Matrix::by_rows(kernel, place.inputs, place.outputs),
                    forward::Layer { bias, activation, masks: None },
                    MatrixMut::by_rows(&mut y, rows, place.outputs),
                );
                values = y;
            }
            Layer::Noise(_) | Layer::Rescaling { .. } => {}
        }
    }
    out.copy_from_slice(&values);
}

/// An activation over rows.
struct Activate<'a, T> {
    activation: Activation,
    values: &'a mut [T],
}

impl<T: Element> Kernel for Activate<'_, T> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        activate(s, self.activation, self.values);
    }
}
