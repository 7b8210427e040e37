//! Layer 4: inference for a few rows, by rows: a panel would be padding for the most part.
//!
//! Every element is the same chain, bias and activation as in panels, so the results are the same to the bit.

use super::gather::Input;
use super::layer::{Layer, NoiseKind};
use super::plan::Plan;
use crate::dense::activation::activate;
use crate::dense::forward::{AddTo, Real, softmax_rows};
use crate::gemm::few_rows::multiply_few;
use crate::gemm::matrix::MatrixMut;
use crate::parallel::View;
use crate::simd::{Element, Kernel, Simd};

/// Whether rows of an input can be predicted here: up to three quarters of a panel, of floats, through layers that need no panel.
pub(crate) fn fits<T: Element>(plan: &Plan, input: &Input<'_, T>, rows: usize) -> bool {
    let by_rows = |layer: &Layer| match layer {
        Layer::Dense(_) | Layer::Activation(_) | Layer::Add { .. } => true,
        Layer::Noise(noise) => noise.kind != NoiseKind::ClassicDropout,
        Layer::Rescaling { .. } => false,
    };
    (1..=3 * T::LANES / 4).contains(&rows) && matches!(input, Input::Float(_)) && plan.layers.iter().all(by_rows)
}

/// Writes the outputs `[row][unit]` of the rows of `x`.
pub(crate) struct Rows<'a, 'b, T: Element> {
    /// The network.
    pub(crate) plan: &'a Plan,
    /// Its parameters; nobody writes them.
    pub(crate) parameters: &'a [View<'b, T>],
    /// Rows of the data.
    pub(crate) x: &'a [T],
    /// How many.
    pub(crate) rows: usize,
    /// The outputs.
    pub(crate) out: &'a mut [T],
}

impl<T: Real> Kernel for Rows<'_, '_, T> {
    type Output = ();

    /// # Panics
    /// Where lengths do not match the plan.
    fn run<S: Simd>(self, s: S) {
        let Self { plan, parameters, rows, .. } = self;
        // Where they lie in the data, until a layer has made others.
        let mut given = Some(&self.x[..rows * plan.widths[0]]);
        let (mut values, mut next) = (Vec::new(), Vec::new());
        let mut dense = plan.dense.iter();
        let mut taken: Vec<Vec<T>> = vec![Vec::new(); plan.sources.len()];
        for (number, layer) in plan.layers.iter().enumerate() {
            if let Some(source) = plan.source(number) {
                taken[source] = given.unwrap_or(&values).to_vec();
            }
            match layer {
                Layer::Dense(_) => {
                    let Some(place) = dense.next() else { unreachable!("`dense` lists all dense layers") };
                    next.clear();
                    next.resize(rows * place.outputs, <T as Element>::ZERO);
                    // SAFETY: nobody writes the parameters.
                    let matrix = unsafe { parameters[place.kernel].get() };
                    let shape = (place.inputs, place.outputs);
                    multiply_few(S::LEVEL, given.take().unwrap_or(&values), matrix, shape, &mut next);
                    if let Some(bias) = place.bias {
                        // SAFETY: as above.
                        let bias = unsafe { parameters[bias].get() };
                        next.chunks_exact_mut(bias.len()).for_each(|values| s.run(AddTo { values, bias }));
                    }
                    std::mem::swap(&mut values, &mut next);
                }
                Layer::Activation(activation) => {
                    values.extend_from_slice(given.take().unwrap_or(&[]));
                    if activation.is_softmax() {
                        let units = values.len() / rows;
                        softmax_rows(&mut MatrixMut::by_rows(&mut values, rows, units), None, None);
                    } else {
                        activate(s, *activation, &mut values);
                    }
                }
                &Layer::Add { source } => {
                    values.extend_from_slice(given.take().unwrap_or(&[]));
                    let Some(source) = plan.source(source) else { unreachable!("`sources` lists what sums take") };
                    s.run(AddTo { values: &mut values, bias: &taken[source] });
                }
                Layer::Noise(_) | Layer::Rescaling { .. } => {}
            }
        }
        self.out.copy_from_slice(given.unwrap_or(&values));
    }
}
