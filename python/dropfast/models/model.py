"""Layer 6: Model: a graph of layers that is trained, asked, explained and saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from dropfast.graph import Graph, connect, enter, is_symbolic
from dropfast.mixed_precision import Policy
from dropfast.models import explaining, files, saving, summary
from dropfast.models.attributes import Attributes
from dropfast.output import write


class Model(Attributes):
    """A model of layers that are called on symbolic tensors, or by a `call` method of your own.

    ============  =================================================================
    building      ``Model(inputs, outputs)`` or a subclass; `build`, `get_layer`, `weights`,
                  `summary`
    training      `compile`, `fit`, `train_on_batch`, `evaluate`
    answers       ``model(x, training=...)``, `predict`, `predict_mc`
    dropout       `explain_dropout`
    files         `save`, `save_weights`, `load_weights`, `export`; `dropfast.load_model`
    elsewhere     `to_torch`; `dropfast.from_keras`, `from_torch`, `from_sklearn`
    ============  =================================================================

    A subclass makes its layers in ``__init__`` and calls them in ``call(self, x, training=None)``.
    That is traced when the model is built, once for each value of `training`, with symbolic
    tensors: so Python can't decide by values there. A layer that is called without `training`
    follows the model; one object called at several places draws its own masks at each, and shares
    its weights.

    All randomness comes from the one seed: initial weights, shuffling, masks, Monte Carlo samples.

    Parameters
    ----------
    inputs, outputs
        Symbolic tensors: one each, or a list, tuple or dict. Subclasses with a `call` give none.
    seed
        Integer in [0, 2**64). None takes one from `dropfast.set_random_seed`, or else from the
        operating system; ``model.seed`` holds it.
    name
        A name.
    dtype
        "float32", "float64" or "mixed_bfloat16", or a `dropfast.mixed_precision.Policy`: what the
        model computes in. None takes the global policy.

    Raises
    ------
    ValueError, TypeError
        If inputs and outputs are not connected, or an argument is outside its range.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> x = df.Input((4,))
    >>> h = df.layers.Dense(8, "relu")(x)
    >>> h = h + df.layers.Dropout(0.2)(df.layers.Dense(8, "relu")(h))
    >>> model = df.Model(x, df.layers.Dense(2, "softmax")(h), seed=0)
    >>> model.predict(np.ones((3, 4))).shape
    (3, 2)

    >>> class Twice(df.Model):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.dropout = df.layers.Dropout(0.5)
    ...         self.dense = df.layers.Dense(3)
    ...     def call(self, x, training=None):
    ...         return self.dropout(self.dense(self.dropout(x)), training=training)
    >>> Twice(seed=0).predict(np.ones((5, 4))).shape
    (5, 3)
    """

    _functional: Graph | None = None

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | Policy | None = None,
    ) -> None:
        super().__init__(seed, name, dtype)
        if inputs is None and outputs is None:
            if type(self).call is Model.call:
                raise ValueError(
                    "inputs and outputs must be given, or a subclass must define call(self, x, "
                    "training=None). Received: none"
                )
            return
        if inputs is None or outputs is None:
            missing = "inputs" if inputs is None else "outputs"
            raise ValueError(f"{missing} must be given. Received: {missing}=None")
        if type(self) is Model and name is None:
            self.name = "functional"
        self._connect(connect(inputs, outputs))

    def call(self, x: Any, training: bool | None = None) -> Any:
        """What the model is: subclasses define it with calls of layers."""
        return self(x, training)

    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Send one batch through the model, or let it be a part of another one.

        Parameters
        ----------
        x
            Batch, first axis the rows; or symbolic tensors.
        training
            Whether stochastic layers draw: at (seed, 5 * 2**48 + place, number of the call).

        Returns
        -------
        ndarray or SymbolicTensor
            The outputs.

        Raises
        ------
        ValueError
            If the shape doesn't fit.
        """
        if is_symbolic(x):
            return enter(self, x, training)
        return super().__call__(x, bool(training))

    @classmethod
    def _of(
        cls, graph: Graph, seed: int, name: str, dtype: DTypeLike | Policy, values: Any = None
    ) -> Model:
        """A model of a graph, with weights that are drawn or given."""
        model = Model.__new__(Model)
        Attributes.__init__(model, seed, name, dtype)
        model._connect(graph, values)
        return model

    def _fixed_graph(self) -> Graph | None:
        return self._functional

    def _connect(self, graph: Graph, values: Any = None) -> None:
        """Be a graph that is there already."""
        build = self._builder(values)
        for call in graph.calls:
            shapes = [source.shape for source in call.sources]
            build(call.layer, shapes if call.layer.merges else shapes[0])
        self._functional = graph
        self._take_graph(graph)

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print layers, shapes, numbers of weights, and drop rates.

        After training it also shows the share of elements that each dropout layer dropped in the
        latest step.

        Parameters
        ----------
        line_length
            Width in characters; None takes as much as the table needs.
        print_fn
            Called with each line.
        positions, expand_nested, show_trainable, layer_range
            For compatibility, without effect.

        Examples
        --------
        >>> import dropfast as df
        >>> model = df.Sequential([df.layers.Input(4), df.layers.Dense(2, name="out")], seed=0)
        >>> model.summary()
        Model "sequential" (seed 0, float32)
        ...
        """
        if print_fn is not None and not callable(print_fn):
            raise TypeError(f"print_fn must be a function. Received: print_fn={print_fn!r}")
        for line in summary.lines(self, line_length):
            (print_fn or write)(line)

    def explain_dropout(
        self, x: ArrayLike, step: int | None = None, row: int = 0
    ) -> explaining.Explanation:
        """Which units training drops for a row of a batch at a step: from the key alone.

        Parameters
        ----------
        x
            The batch, or as many rows as matter; only its shape counts.
        step
            Number of optimizer steps before this one; None is the latest step done.
        row
            Row in the batch.

        Returns
        -------
        Explanation
            One entry a dropout layer.

        Raises
        ------
        ValueError
            If the row or step is outside its range.

        Examples
        --------
        >>> import numpy as np, dropfast as df
        >>> model = df.Sequential([df.layers.Dropout(0.5), df.layers.Dense(1)], seed=0)
        >>> told = model.explain_dropout(np.ones((2, 4)), step=0)
        >>> told[0].dropped.tolist()
        [...]
        """
        return explaining.explain(self, x, step, row)

    def save(self, filepath: files.Path, overwrite: bool = True) -> None:
        """Write the model with its optimizer's state to a safetensors file, atomically.

        Training continued after `dropfast.load_model` gives the same bits as training that was
        never interrupted.

        Parameters
        ----------
        filepath
            File to write.
        overwrite
            False makes a file that exists an error.

        Raises
        ------
        ValueError
            If the model is not built, or holds functions or classes without a name.
        FileExistsError
            If the file exists and must not be overwritten.

        Examples
        --------
        >>> import os, tempfile, numpy as np, dropfast as df
        >>> path = os.path.join(tempfile.mkdtemp(), "m.safetensors")
        >>> model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0)
        >>> model.save(path)
        >>> again = df.load_model(path)
        >>> x = np.ones((1, 2))
        >>> bool((again.predict(x) == model.predict(x)).all())
        True
        """
        saving.save(self, filepath, overwrite)

    def export(
        self,
        filepath: files.Path,
        format: str = "onnx",
        *,
        monte_carlo: bool = False,
        overwrite: bool = True,
    ) -> None:
        """Write the model as an ONNX file, for other runtimes to predict with (extra ``onnx``).

        Inputs and outputs have the names that they have here, and any number of rows.

        Parameters
        ----------
        filepath
            File to write; its name ends in ".onnx".
        format
            "onnx".
        monte_carlo
            Whether dropout acts at each run, as in `predict_mc`, by random numbers of the runtime's
            own. Each row draws for itself, whatever `rows_per_mask` says.
        overwrite
            False makes a file that exists an error.

        Raises
        ------
        ValueError
            If the model is not built, a layer has no counterpart, or the name promises another
            format; nothing is written then.
        FileExistsError
            If the file exists and must not be overwritten.

        Examples
        --------
        >>> import dropfast as df
        >>> model = df.Sequential([df.layers.Input(4), df.layers.Dense(2)], seed=0)
        >>> model.export("m.onnx")  # doctest: +SKIP
        """
        from dropfast.converters import export

        export(self, filepath, format, monte_carlo=monte_carlo, overwrite=overwrite)

    def to_torch(self) -> Any:
        """The model as PyTorch modules, with copies of its weights (extra ``torch``).

        Returns
        -------
        torch.nn.Module
            An ``nn.Sequential`` for layers in a row, else a module that takes and returns what the
            model does. In evaluation mode it predicts the same; dropout draws PyTorch's masks.

        Raises
        ------
        ValueError
            If the model is not built, or a layer has no counterpart; it is named.

        Examples
        --------
        >>> import dropfast as df
        >>> model = df.Sequential([df.layers.Input(4), df.layers.Dense(2)], seed=0)
        >>> model.to_torch()  # doctest: +SKIP
        Sequential(
          (dense): Linear(in_features=4, out_features=2, bias=True)
        )
        """
        from dropfast.converters import to_torch

        return to_torch(self)

    def save_weights(self, filepath: files.Path, overwrite: bool = True) -> None:
        """Write the weights alone; parameters and errors as `save`."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: files.Path) -> None:
        """Read weights that `save` or `save_weights` wrote into this model.

        Raises
        ------
        ValueError
            If the file is damaged or doesn't fit; the weights are as before then.
        FileNotFoundError
            If there is none.
        """
        saving.load_weights(self, filepath)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Model:
        """Make a model, with new weights, from what `get_config` returned.

        Raises
        ------
        ValueError
            If the config has unknown keys or values.
        """
        return saving.model_from_description(config, custom_objects)

    def _itself(self) -> Model:
        return self

    def _repr_html_(self) -> str:
        return summary.html(self)
