//! Layer 4: optimizers as updates of one vector of a parameter, with Keras 3's formulas.
//!
//! An [`Optimizer`] is what the user chose; [`with_rule`] turns it, for one step, into an [`UpdateRule`] with all
//! constants computed in `f64` and rounded once, and hands that to a [`RuleVisitor`] as a type: the loops over
//! parameters know nothing of other optimizers. Clipping by value, then weight decay, then the update, as in Keras.

mod further;
mod rules;

#[cfg(test)]
mod tests;

use self::further::{Further, Rule};
use self::rules::{Adam, Descent, Momentum, Nesterov, Regulated, RmsProp};
use crate::simd::{Element, Simd, V};

/// The most slots of state that an optimizer keeps for each parameter.
pub(crate) const STATES: usize = 3;

/// An optimizer with its hyperparameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Optimizer {
    /// Which, with its own hyperparameters.
    pub(crate) kind: OptimizerKind,
    /// Decoupled weight decay: `w -= weight_decay · learning_rate · w` before each update.
    pub(crate) weight_decay: f64,
    /// Largest magnitude of an element of the gradient.
    pub(crate) clipvalue: Option<f64>,
}

/// Which optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum OptimizerKind {
    /// Gradient descent; slots: momentum, unless that is 0.
    Sgd {
        /// In [0, 1].
        momentum: f64,
        /// Whether the step looks ahead (Nesterov 1983).
        nesterov: bool,
    },
    /// Adam (Kingma and Ba 2014), or AdamW with weight decay; slots: m, v and, with amsgrad, the largest v.
    Adam {
        /// Decay of the mean gradient, in [0, 1).
        beta_1: f64,
        /// Decay of the mean squared gradient, in [0, 1).
        beta_2: f64,
        /// Added to the root ("epsilon hat" of the paper).
        epsilon: f64,
        /// Whether the largest v so far is used (Reddi et al. 2018).
        amsgrad: bool,
    },
    /// RMSprop (Hinton 2012); slots: velocity, then if centered the average gradient, then momentum unless that is 0.
    RmsProp {
        /// Decay of the averages, in [0, 1).
        rho: f64,
        /// At least 0.
        momentum: f64,
        /// Added under the root.
        epsilon: f64,
        /// Whether the variance of the gradient is used instead of its mean square.
        centered: bool,
    },
    /// Adam with Nesterov's momentum (Dozat 2016); slots: m, v.
    Nadam {
        /// Decay of the mean gradient, in [0, 1).
        beta_1: f64,
        /// Decay of the mean squared gradient, in [0, 1).
        beta_2: f64,
        /// Added to the root.
        epsilon: f64,
    },
    /// Adam with the infinity norm (Kingma and Ba 2014, section 7.1); slots: m, u.
    Adamax {
        /// Decay of the mean gradient, in [0, 1).
        beta_1: f64,
        /// Decay of the norm, in [0, 1).
        beta_2: f64,
        /// Added to the norm.
        epsilon: f64,
    },
    /// Adagrad (Duchi et al. 2011); slots: the sum of squared gradients, from a value above 0 on.
    Adagrad {
        /// Added under the root.
        epsilon: f64,
    },
    /// Adadelta (Zeiler 2012); slots: mean squared gradient, mean squared change.
    Adadelta {
        /// Decay of the averages, in [0, 1).
        rho: f64,
        /// Added under the roots.
        epsilon: f64,
    },
    /// Lion (Chen et al. 2023); slots: momentum.
    Lion {
        /// Share of the momentum in the step.
        beta_1: f64,
        /// Decay of the momentum.
        beta_2: f64,
    },
}

/// Clipping that needs whole gradients, and so is done by whoever has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NormClip {
    /// Each parameter's gradient to a Euclidean norm of its own.
    Each(f64),
    /// All gradients together to one norm.
    Global(f64),
}

/// An optimizer at one step, in the type of the parameters.
pub(crate) trait UpdateRule<T: Element>: Copy + Send + Sync {
    /// Slots of state in use.
    const STATES: usize;
    /// Whether an update divides and takes roots, so that it is worth being compiled into the steps of every tile's product.
    const SLOW: bool = false;
    /// Whether the rule is common enough to be compiled into the products of every level; gradients of others are stored first.
    const FUSED: bool = false;

    /// The rate, where an update is `w -= rate · g` and nothing else.
    fn descent(&self) -> Option<T> {
        None
    }

    /// The new values of some parameters and of their state; slots that are not in use are passed through.
    fn update<S: Simd>(
        self,
        s: S,
        value: V<S, T>,
        gradient: V<S, T>,
        states: [V<S, T>; STATES],
    ) -> (V<S, T>, [V<S, T>; STATES]);
}

/// Whether a rule is compiled into the products of `T`: in double precision only those of SGD and Adam.
pub(crate) const fn is_fused<T: Element, R: UpdateRule<T>>() -> bool {
    R::FUSED && (T::LANES == 16 || R::STATES != 1)
}

/// Something to do with an update rule, whichever it is.
pub(crate) trait RuleVisitor<T: Element> {
    /// What it returns.
    type Output;

    /// Does it.
    fn visit<R: UpdateRule<T>>(self, rule: R) -> Self::Output;
}

impl Optimizer {
    /// Slots of state for each parameter.
    pub(crate) fn states(&self) -> usize {
        match self.kind {
            OptimizerKind::Sgd { momentum, .. } => usize::from(momentum != 0.0),
            OptimizerKind::Adam { amsgrad, .. } => 2 + usize::from(amsgrad),
            OptimizerKind::RmsProp { momentum, centered, .. } => {
                1 + usize::from(centered) + usize::from(momentum != 0.0)
            }
            OptimizerKind::Adagrad { .. } | OptimizerKind::Lion { .. } => 1,
            OptimizerKind::Nadam { .. } | OptimizerKind::Adamax { .. } | OptimizerKind::Adadelta { .. } => 2,
        }
    }
}

impl Optimizer {
    /// Whether its rule is compiled into the products of `T`.
    pub(crate) fn is_fused<T: Element>(&self) -> bool {
        struct Ask;

        impl<T: Element> RuleVisitor<T> for Ask {
            type Output = bool;

            fn visit<R: UpdateRule<T>>(self, _: R) -> bool {
                is_fused::<T, R>()
            }
        }
        with_rule::<T, _>(self, 1.0, 1, Ask)
    }
}

/// Calls the visitor with the optimizer's rule for step `step` (counted from 1).
pub(crate) fn with_rule<T: Element, W: RuleVisitor<T>>(
    optimizer: &Optimizer,
    learning_rate: f64,
    step: u64,
    visitor: W,
) -> W::Output {
    let decay = optimizer.weight_decay * learning_rate;
    let visitor = Regulate { decay, clipvalue: optimizer.clipvalue, visitor };
    match optimizer.kind {
        OptimizerKind::Sgd { momentum: 0.0, .. } => visitor.visit(Descent::new(learning_rate)),
        OptimizerKind::Sgd { momentum, nesterov: false } => visitor.visit(Momentum::new(learning_rate, momentum)),
        OptimizerKind::Sgd { momentum, nesterov: true } => {
            visitor.visit(Nesterov(Momentum::new(learning_rate, momentum)))
        }
        OptimizerKind::Adam { beta_1, beta_2, epsilon, amsgrad } => {
            let unbias = (1.0 - power(beta_2, step)).sqrt() / (1.0 - power(beta_1, step));
            let rate = learning_rate * unbias;
            if amsgrad {
                visitor.visit(Adam::<T, true>::new(rate, beta_1, beta_2, epsilon))
            } else {
                visitor.visit(Adam::<T, false>::new(rate, beta_1, beta_2, epsilon))
            }
        }
        OptimizerKind::RmsProp { rho, momentum, epsilon, centered } => match (centered, momentum != 0.0) {
            (false, false) => visitor.visit(RmsProp::<T, false, false>::new(learning_rate, rho, momentum, epsilon)),
            (false, true) => visitor.visit(RmsProp::<T, false, true>::new(learning_rate, rho, momentum, epsilon)),
            (true, false) => visitor.visit(RmsProp::<T, true, false>::new(learning_rate, rho, momentum, epsilon)),
            (true, true) => visitor.visit(RmsProp::<T, true, true>::new(learning_rate, rho, momentum, epsilon)),
        },
        // Always regulated, so that each is compiled once.
        kind => {
            let rule = Rule::new(kind, learning_rate, step);
            match optimizer.states() {
                1 => visitor.always(Further::<T, 1>::new(rule)),
                _ => visitor.always(Further::<T, 2>::new(rule)),
            }
        }
    }
}

/// Wraps a rule into clipping and weight decay, where there are any.
struct Regulate<W> {
    decay: f64,
    clipvalue: Option<f64>,
    visitor: W,
}

impl<W> Regulate<W> {
    fn visit<T: Element, R: UpdateRule<T>>(self, rule: R) -> W::Output
    where
        W: RuleVisitor<T>,
    {
        if self.decay == 0.0 && self.clipvalue.is_none() {
            return self.visitor.visit(rule);
        }
        self.always(rule)
    }

    fn always<T: Element, R: UpdateRule<T>>(self, rule: R) -> W::Output
    where
        W: RuleVisitor<T>,
    {
        let bound = self.clipvalue.unwrap_or(f64::INFINITY);
        self.visitor.visit(Regulated { rule, bound: T::from_f64(bound), decay: T::from_f64(self.decay) })
    }
}

/// `base^exponent` by repeated squaring: the same bits everywhere, which a library's power does not promise.
fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}
