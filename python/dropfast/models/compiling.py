"""Layer 6: loss, optimizer and metrics of a model, and its evaluation."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dropfast import further_losses, losses, metrics, optimizers
from dropfast.arrays import Array, as_numeric, check_finite
from dropfast.attributes import changes
from dropfast.callbacks.base import Callback, CallbackList, told
from dropfast.checks import check_flag, check_integer, named
from dropfast.graph.symbolic import flatten
from dropfast.metrics.base import Metric
from dropfast.models import adapters
from dropfast.models.data import check_x, check_y, row_weights
from dropfast.models.kinds import as_given
from dropfast.models.objectives import losses_of, metrics_of, several
from dropfast.models.predicting import Predicting
from dropfast.models.stack import NotReadyError
from dropfast.models.turns import alone
from dropfast.training.engine import Engine
from dropfast.training.exact import why_not
from dropfast.training.folded import _Folded, _FoldedMetric, folded
from dropfast.training.plan import features
from dropfast.training.several import _Several

# A model's file may name them.
_ = further_losses


class Compiled(Predicting):
    """A stack with a loss. See `dropfast.Sequential`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._loss: losses.Loss | None = None
        # Losses as given, where a list or dict of them is, and their weights.
        self._losses: Any = None
        self._loss_weights: Any = None
        self._several: _Several | None = None
        self._optimizer: optimizers.Optimizer | None = None
        self._metric_names: Any = []
        self._weighted_names: Any = []
        self._metrics: list[metrics.Metric] = []
        self._training_obstacle = ""
        # The latest change of any object when that was found out.
        self._looked: object = None

    @alone
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        rows_per_mask: int = 1,
        gradient_blocks: int = 1,
    ) -> None:
        """Say how the model is trained.

        Parameters
        ----------
        optimizer
            Name or object; see `dropfast.optimizers`.
        loss
            Name or object; see `dropfast.losses`. Of your own: an object of a class with `call`
            and `gradient`. A bare function has no gradient to train by.
            Of several outputs a list or dict, None where an output has none; or one for all.
        loss_weights
            Factors of the outputs' losses, a list or dict. The loss of each by itself is logged as
            "<output>_loss".
        metrics
            Names, objects, or functions of (y_true, y_pred); "accuracy" takes the form that fits
            the loss. Every row counts the same. Of several outputs a list or dict of lists.
        weighted_metrics
            Like `metrics`, but rows count by their `sample_weight` and `class_weight`. One whose
            name is taken gets "weighted_" in front.
        rows_per_mask
            For Dropout layers that set none themselves: how many consecutive rows of a batch share
            a mask, which saves work; 0 for the whole batch. 1 is standard dropout.
        gradient_blocks
            Into how many blocks of rows a batch is cut: gradients, losses and batch statistics are
            sums of the blocks', added in one fixed tree, so that the bits don't depend on how many
            processes compute them (see `dropfast.distributed`). More than 1 trains layer by layer.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            For compatibility, without effect: there is one way to run, some 100 ms of steps at a
            time, and no loss scaling.

        Raises
        ------
        ValueError
            If a name is unknown, no loss is given or a number is outside its range; the model is as
            it was then.
        RuntimeError
            If another thread trains the model.

        Examples
        --------
        >>> import dropfast as df
        >>> model = df.Sequential([df.layers.Dense(10, activation="softmax")], seed=0)
        >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> model.optimizer.learning_rate
        0.001
        """
        if loss is None:
            raise ValueError("loss must be given. Received: loss=None")
        if metrics is None and _hold_no_numbers(loss_weights):
            warnings.warn(
                "compile takes loss_weights in the third place, as Keras 3: give metrics by name",
                DeprecationWarning,
                stacklevel=2,
            )
            metrics, loss_weights = loss_weights, None
        (found_loss, all_losses), found_optimizer = losses_of(loss), optimizers.get(optimizer)
        rows = check_integer("rows_per_mask", rows_per_mask)
        cut = check_integer("gradient_blocks", gradient_blocks, least=1)
        names = _names("metrics", metrics, found_loss)
        weighted = _names("weighted_metrics", weighted_metrics, found_loss)
        if self._built is not None:
            together = several(self._built, found_loss, all_losses, loss_weights)
            if together is not None:
                metrics_of(together.parts, names, weighted)
        self._losses, self._loss_weights, self._several = all_losses, loss_weights, None
        self._loss, self._optimizer = found_loss, found_optimizer
        self._metric_names, self._weighted_names, self._metrics = names, weighted, []
        self.rows_per_mask, self.gradient_blocks, self._stepper = rows, cut, None
        self.stop_training = False
        changes.note()

    stop_training = False

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._loss is not None

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimizer.

        Raises
        ------
        ValueError
            If the model is not compiled.
        """
        if self._optimizer is None:
            raise NotReadyError(_NOT_COMPILED.format(self.name))
        return self._optimizer

    @property
    def loss(self) -> losses.Loss:
        """The loss.

        Raises
        ------
        ValueError
            If the model is not compiled.
        """
        if self._loss is None:
            raise NotReadyError(_NOT_COMPILED.format(self.name))
        if self._several is None and self._built is not None:
            given = self._losses, self._loss_weights
            self._several = several(self._built, self._loss, *given)
        if self._several is None and self._built is not None:
            return folded(self._loss, self._built.columns_out.shape)
        return self._loss if self._several is None else self._several

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, then the weighted ones, made to fit the loss once outputs are known."""
        if self._metrics or not self.built or self._loss is None:
            return self._metrics
        loss = self.loss
        if isinstance(loss, _Several):
            self._metrics = metrics_of(loss.parts, self._metric_names, self._weighted_names)
            return self._metrics
        wanted = [*_plain(self._metric_names), *_plain(self._weighted_names)]
        if wanted:
            units = features(self.plan.columns_out.shape)
            found: dict[str, metrics.Metric] = {}
            for i, name in enumerate(wanted):
                if isinstance(loss, _Folded):
                    inner = metrics.for_loss(name, loss.loss, loss.shape[-1])
                    metric: metrics.Metric = _FoldedMetric(loss, inner)
                else:
                    metric = metrics.for_loss(name, loss, units)
                if metric.name in found and i >= len(_plain(self._metric_names)):
                    metric.name = f"weighted_{metric.name}"
                if metric.name in found:
                    raise ValueError(
                        f"metrics must have different names. Received: {metric.name!r} twice"
                    )
                found[metric.name] = metric
            self._metrics = list(found.values())
        return self._metrics

    def feed_metrics(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Add a batch to all metrics; weights of rows count for the weighted ones only."""
        self._feed(self.metrics, y_true, y_pred, weights)

    def _feed(
        self, fed: Sequence[Metric], y_true: Array, y_pred: Array, weights: Array | None
    ) -> None:
        for i, metric in enumerate(fed):
            weighted = getattr(metric, "weighted", i >= len(_plain(self._metric_names)))
            metric.update_state(y_true, y_pred, weights if weighted else None)

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in order: "loss", then the metrics."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def trainer(self) -> Engine:
        """The engine that trains: the native one where that knows the loss too."""
        self._look_at_training()
        return self.engine(only_stepwise=bool(self._training_obstacle))

    @property
    def training_obstacle(self) -> str:
        """Why the model trains layer by layer, or "" if the native engine trains it."""
        self._look_at_training()
        return self._training_obstacle

    def _look_at_training(self) -> None:
        """After a change of any object: who can train now, and the state that it needs."""
        plan, loss, optimizer = self.plan, self.loss, self.optimizer
        seen = changes.latest
        if self._looked is seen:
            return
        why = plan.obstacle or plan.frozen
        for what, thing in (("loss", loss), ("optimizer", optimizer)):
            reason = why_not(thing)
            why = why or (reason and f"the {what}: {reason}")
        if isinstance(loss, _Several | _Folded):
            why = plan.obstacle or "the loss, which has a weight"
        if isinstance(loss, losses.CategoricalCrossentropy | losses.SparseCategoricalCrossentropy):
            softmax = bool(plan.program) and plan.program[-1].get("activation") == "softmax"
            if not loss.from_logits and not softmax:
                why = why or "the loss: it divides outputs that are no softmax by their sum"
        if not why and loss.spec() is None:
            why = f"the loss: the native engine doesn't know {type(loss).__name__}"
        why = why or optimizer.obstacle()
        if self.gradient_blocks > 1:
            why = why or f"gradient_blocks={self.gradient_blocks}"
        optimizer.build(self.trainable_weights)
        self._training_obstacle, self._looked = why, seen

    def evaluate(
        self,
        x: Any = None,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | CallbackList | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics without dropout.

        Parameters
        ----------
        x
            Inputs; or a generator of (x, y) or (x, y, sample_weight), then `steps` may limit it.
        y
            Targets.
        batch_size
            Rows a batch, for `steps` and for callbacks that are told about batches; None is 32.
        verbose
            For compatibility: evaluation is silent.
        sample_weight
            One weight a row, or None.
        steps
            Number of batches after which to stop; None for all.
        callbacks
            Told when it and each batch start and end.
        return_dict
            Whether to return a dict.

        Returns
        -------
        float, list of float or dict
            The loss; with metrics a list, loss first.

        Raises
        ------
        ValueError
            If the model is not compiled, or the data doesn't fit.

        Examples
        --------
        >>> import numpy as np, dropfast as df
        >>> model = df.Sequential([df.layers.Dense(1, kernel_initializer="ones")], seed=0)
        >>> model.compile("sgd", "mse", metrics=["mae"])
        >>> model.evaluate(np.ones((4, 2)), np.zeros((4, 1)))
        [4.0, 2.0]
        """
        from dropfast.models.generators import batches

        _ = self.loss
        check_flag("return_dict", return_dict)
        size = 32 if batch_size is None else check_integer("batch_size", batch_size, least=1)
        hooks = told(callbacks, self._itself(), {"steps": steps})
        one_by_one = hooks.wants("test_batch_begin", "test_batch_end")
        if steps is not None:
            check_integer("steps", steps, least=1)
        parts = batches(as_given(x), y, sample_weight, steps, size, one_by_one)
        hooks.call("test_begin", {})
        total, rows, fed = 0.0, 0, self._metrics_to_feed()
        for number, part in enumerate(parts):
            if one_by_one:
                hooks.call("test_batch_begin", number, {})
            batch_total, count = self._evaluate(*part, fed)
            total, rows = total + batch_total, rows + count
            if one_by_one:
                hooks.call("test_batch_end", number, self._test_logs(total, rows, fed))
        logs = self._test_logs(total, rows, fed)
        hooks.call("test_end", logs)
        if return_dict:
            return logs
        return list(logs.values()) if self.metrics else logs["loss"]

    def _test_logs(self, total: float, rows: int, fed: Sequence[Metric]) -> dict[str, float]:
        """Loss and metrics of the rows so far."""
        logs = {"loss": total / rows + self.penalty()}
        return logs | {metric.name: metric.result() for metric in fed}

    def test_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics of one batch; see `evaluate`."""
        return self.evaluate(x, y, sample_weight=sample_weight, return_dict=return_dict)

    def _metrics_to_feed(self) -> list[Metric]:
        """Metrics that count from 0, apart from those of a fit that goes on meanwhile."""
        fed = copy.deepcopy(self.metrics) if self._turn.trained else self.metrics
        for metric in fed:
            metric.reset_state()
        return list(fed)

    def _evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        fed: list[Metric],
    ) -> tuple[float, int]:
        """Sum of losses and number of rows; the metrics are fed."""
        inputs, targets, weights = self._checked(x, y, sample_weight, None)
        if not fed:
            # The first data may have built the model, and with it the metrics.
            fed.extend(self._metrics_to_feed())
        engine = self.engine()
        before = engine.activity
        outputs = self._outputs(inputs)
        values = self.loss.call(targets, outputs)
        total = float((values if weights is None else values * weights).sum())
        total += engine.activity - before
        self._feed(fed, targets, outputs, weights)
        return total, len(inputs)

    def __getstate__(self) -> dict[str, Any]:
        # joblib writes an array that is met twice as two: which weights the optimizer has trained
        # goes by their numbers.
        state = super().__getstate__()
        if self._optimizer is not None and self._optimizer._params:
            numbers = {id(array): i for i, array in enumerate(self.weights)}
            trained = [numbers.get(id(array)) for array in self._optimizer._params]
            if None not in trained:
                state["_trained"] = trained
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        trained = state.get("_trained")
        super().__setstate__({k: v for k, v in state.items() if k != "_trained"})
        if trained is not None and self._optimizer is not None:
            arrays = self.weights
            self._optimizer._params = [arrays[i] for i in trained]

    def penalty(self) -> float:
        """Sum of the penalties of all weights that are trained."""
        moved = {id(array) for array in self.trainable_weights}
        return sum(
            weight.regularizer(weight.value)
            for weight in self._weights
            if weight.regularizer and id(weight.value) in moved
        )

    def _checked(
        self,
        x: Any,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        class_weight: Mapping[int, float] | None,
        prefix: str = "",
    ) -> tuple[Array, Array, Array | None]:
        """Data in the model's form; builds the model where that is still to be done."""
        loss = self.loss
        if x is None or y is None:
            missing = "x" if x is None else "y"
            raise ValueError(f"{prefix}{missing} must be given. Received: {prefix}{missing}=None")
        x = self._packed(x, f"{prefix}x")
        inputs = check_x(x, self._input_shape if self.built else None, f"{prefix}x")
        if self._built is None and not self.one_input:
            self.build((None, *inputs.shape[1:]))
        if self._built is not None and isinstance(self.loss, _Several):
            targets: Array = adapters.pack_targets(y, len(inputs), self.loss.parts, f"{prefix}y")
            if class_weight is not None:
                raise ValueError("class_weight must be None for several outputs. Received: others")
            weights = row_weights(sample_weight, None, targets, self.dtype, 1)
            check_finite(f"{prefix}x", inputs)
            return inputs, targets, weights
        targets = as_numeric(f"{prefix}y", y)
        if targets.ndim == 0 or len(targets) != len(inputs):
            count = "a scalar" if targets.ndim == 0 else f"{len(targets)} rows"
            raise ValueError(
                f"{prefix}y must have as many rows as {prefix}x, {len(inputs)}. Received: {count}"
            )
        check_finite(f"{prefix}x", inputs)
        if not self.built:
            self.build((None, *inputs.shape[1:]))
        if isinstance(self.loss, _Folded):
            checked = self.loss.targets(f"{prefix}y", targets, self.dtype)
            if class_weight is not None:
                raise ValueError(
                    "class_weight must be None for outputs of more than two axes. Received: others"
                )
        else:
            checked = check_y(
                targets, len(inputs), loss, self.plan.columns_out.shape, self.dtype, f"{prefix}y"
            )
        units = features(self.plan.columns_out.shape)
        weights = row_weights(sample_weight, class_weight, checked, self.dtype, units)
        for metric in self.metrics:
            # One that can't take these targets is told before the first step.
            metric.matched(checked[:1], np.zeros((1, units)))
        return inputs, checked, weights

    def _check_blocks(self, batch_size: int) -> None:
        """Refuse blocks that no batch could fill."""
        if self.gradient_blocks > batch_size:
            raise ValueError(
                f"gradient_blocks must be at most the rows of a batch, {batch_size}. "
                f"Received: gradient_blocks={self.gradient_blocks}"
            )

    def _packed_targets(self, y: Any, x: Any) -> Any:
        """Several targets as one array; a single one is left as it is."""
        if self._built is None or not isinstance(self.loss, _Several):
            return y
        return adapters.pack_targets(y, len(self._packed(x)), self.loss.parts)

    def _steps_done(self) -> int:
        return 0 if self._optimizer is None else self._optimizer.iterations


_NOT_COMPILED = "model {!r} must be compiled: call compile first. Received: a model without a loss"


def _hold_no_numbers(weights: Any) -> bool:
    """Whether what stands where weights do are metrics, by name or as objects."""
    given = flatten(weights) if isinstance(weights, list | tuple) else []
    return bool(given) and not any(isinstance(one, int | float) for one in given)


def _plain(given: Any) -> list[Any]:
    """The metrics of the one output, which may be named."""
    if isinstance(given, Mapping):
        given = [name for part in given.values() for name in _plain(part)]
    elif not isinstance(given, list | tuple):
        return [given]
    return [name for part in given for name in (part if isinstance(part, list) else [part])]


def _names(what: str, given: Any, loss: losses.Loss) -> Any:
    """Metrics as given, each of which can be made."""
    if given is None:
        return []
    if not isinstance(given, list | tuple | Mapping):
        raise ValueError(f"{what} must be a list. Received: {what}={given!r}")
    for name in flatten(given):
        if name is not None:
            named(what, lambda name: metrics.for_loss(name, loss, 1), name)
    return dict(given) if isinstance(given, Mapping) else list(given or ())
