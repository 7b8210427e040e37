"""Layer 6: what a model answers: calls, predictions, Monte Carlo predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dropfast.arrays import Array
from dropfast.attributes import changes
from dropfast.callbacks.base import Callback, CallbackList
from dropfast.checks import check_integer
from dropfast.models import adapters
from dropfast.models.data import Feed, check_x
from dropfast.models.generators import is_stream
from dropfast.models.kinds import as_given, inputs_of
from dropfast.models.monte_carlo import Wanted, sample
from dropfast.models.stack import Stack
from dropfast.random import CALLS, Key
from dropfast.training.engine import Native


class Predicting(Stack):
    """A stack that computes. See `dropfast.Sequential`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.calls = 0
        self.epochs_done = 0

    def __call__(self, x: Any, training: bool | None = False) -> Any:
        """Send one batch through the model.

        Parameters
        ----------
        x
            Batch, first axis the rows.
        training
            Whether stochastic layers draw: at (seed, 5 * 2**48 + place, number of the call).

        Returns
        -------
        ndarray
            The outputs.

        Raises
        ------
        ValueError
            If the shape doesn't fit.
        """
        array = np.asanyarray(self._take(x))
        engine = self.engine()
        rows = engine.direct(array)
        rows = engine.convert(array) if rows is None else rows
        if not training:
            with self._turn.reading:
                return self._answer(engine.forward(rows))
        keys = self.plan.keys(self.seed, CALLS, self.calls)
        self.calls += 1
        # Layers count on the way, running statistics for instance.
        with self._turn.writing:
            return self._answer(engine.forward(rows, keys, self._rates_now()))

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
    ) -> Any:
        """Outputs without dropout.

        Parameters
        ----------
        x
            Inputs, first axis the rows; a memory map is read in blocks, and so are h5py datasets,
            zarr and dask arrays and all else with `shape`, `dtype` and slices. Of several inputs a
            list or dict; arrays of it are copied into one. Or a generator or loader of batches.
        batch_size
            Rows a batch, for `steps` and for callbacks that are told about batches; None is 32. It
            doesn't change the results.
        verbose
            For compatibility: predictions are silent.
        steps
            Number of batches after which to stop; None for all rows.
        callbacks
            Told when it and each batch start and end.

        Returns
        -------
        ndarray
            Outputs, in the model's dtype.

        Raises
        ------
        ValueError
            If the shape doesn't fit or there is no row.

        Examples
        --------
        >>> import numpy as np, dropfast as df
        >>> model = df.Sequential([df.layers.Dropout(0.5), df.layers.Dense(2)], seed=0)
        >>> model.predict(np.ones((3, 4))).shape
        (3, 2)
        """
        runner = self._runner
        if (
            runner is not None
            and type(x) is np.ndarray
            and callbacks is None
            and steps is None
            and self._seen is changes.latest
        ):
            outputs = runner.at_once(x)
            if outputs is not None:
                return outputs
        if batch_size is not None:
            check_integer("batch_size", batch_size, least=1)
        x = as_given(x)
        if is_stream(x):
            return self._predict_stream(x, batch_size, steps, callbacks)
        array = self._take(x)
        if steps is not None:
            array = array[: (batch_size or 32) * check_integer("steps", steps, least=1)]
        hooks = CallbackList(callbacks, self._itself(), {"steps": steps})
        hooks.call("predict_begin", {})
        if hooks.wants("predict_batch_begin", "predict_batch_end"):
            outputs = self._outputs_told(array, batch_size or 32, hooks)
        else:
            outputs = self._outputs(array, batch_size)
        hooks.call("predict_end", {})
        return self._answer(outputs)

    def _outputs_told(self, x: Array, batch_size: int, hooks: CallbackList) -> Array:
        """Outputs a batch at a time, with callbacks between."""
        parts = []
        for number, first in enumerate(range(0, len(x), batch_size)):
            hooks.call("predict_batch_begin", number, {})
            parts.append(self._outputs(x[first : first + batch_size]))
            hooks.call("predict_batch_end", number, {"outputs": self._answer(parts[-1])})
        return np.concatenate(parts)

    def _predict_stream(
        self, x: Any, batch_size: int | None, steps: int | None, callbacks: Any
    ) -> Any:
        """Outputs of the batches of a generator or loader, one after the other."""
        hooks = CallbackList(callbacks, self._itself(), {"steps": steps})
        hooks.call("predict_begin", {})
        parts = []
        for number, part in enumerate(inputs_of(x, steps)):
            hooks.call("predict_batch_begin", number, {})
            parts.append(self._outputs(self._take(part), batch_size))
            hooks.call("predict_batch_end", number, {"outputs": self._answer(parts[-1])})
        hooks.call("predict_end", {})
        return self._answer(np.concatenate(parts))

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs of one batch, without dropout."""
        return self(x)

    def predict_mc(
        self,
        x: Any,
        samples: int = 100,
        quantiles: Sequence[float] | None = None,
        information: bool = False,
        return_samples: bool = False,
        first_row: int = 0,
        first_sample: int = 0,
        key: Key | None = None,
        consistent: bool = False,
    ) -> Any:
        """Predict with dropout left on, many times: mean and spread tell how sure the model is.

        Gal and Ghahramani 2016. Sample s draws at (seed, 4 * 2**48 + place, s), so results repeat.

        Parameters
        ----------
        x
            Inputs, first axis the rows.
        samples
            Number of passes.
        quantiles
            Which quantiles to compute, each in [0, 1]. They are exact: where all samples together
            don't fit into 128 MiB, passes are run again for the rows that are left.
        information
            Whether to compute what `MonteCarlo.mutual_information` needs; for classifiers.
        return_samples
            Whether to keep the raw samples, in memory that grows with their number.
        first_row, first_sample
            The numbers of the first row of `x` and of the first sample, for blocks of a larger
            prediction: `MonteCarlo.merge` joins them to what one call returns, to the bit. A block
            with a `first_sample` above 0 keeps its samples for that.
        key
            Where sample 0 draws instead: place i at (seed, stream + i, step + number of the
            sample).
        consistent
            Whether all rows of a sample share a mask, that of row 0: then a sample is one network,
            and its outputs are a smooth function of the inputs.

        Returns
        -------
        MonteCarlo
            Unpacks into mean and standard deviation, both float64 of the outputs' shape. Of several
            outputs one each, in a list or dict.

        Raises
        ------
        ValueError
            If an argument is outside its range.

        Examples
        --------
        >>> import numpy as np, dropfast as df
        >>> model = df.Sequential([df.layers.Dropout(0.5), df.layers.Dense(1)], seed=0)
        >>> mean, std = model.predict_mc(np.ones((3, 4)), samples=10)
        >>> mean.shape, bool((std > 0).all())
        ((3, 1), True)
        """
        array = np.asanyarray(self._take(x))
        engine = self.engine()
        rows = engine.direct(array)
        rows = engine.convert(array) if rows is None else rows
        rates = self._rates_now()
        wanted = Wanted(
            samples,
            quantiles,
            information,
            return_samples,
            first_row,
            first_sample,
            key,
            consistent,
        )
        with self._turn.reading:
            found = sample(self, rows, wanted, rates)
        return adapters.answers(self.plan.graph, self.plan.columns_out, found)

    def _take(self, x: Any) -> Any:
        """Checked inputs; builds the model where that is still to be done."""
        x = self._packed(x)
        array = check_x(x, self._input_shape if self.built else None)
        if not self.built:
            self.build((None, *array.shape[1:]))
        return array

    def _packed(self, x: Any, name: str = "x") -> Any:
        """Several inputs as one array; a single one is left as it is."""
        if not self.built and not self.one_input and adapters.is_structure(x):
            self.build(adapters.shapes_of(x))
        if self._built is None:
            return x
        plan = self._built
        return adapters.pack_inputs(x, plan.graph, plan.columns_in, self.dtype, name)

    def _answer(self, rows: Array) -> Any:
        """Outputs as the model's own are given: alone, or in a list or dict."""
        return adapters.answer(self.plan.graph, self.plan.columns_out, rows)

    def _outputs(self, x: Array, batch_size: int | None = None) -> Array:
        """Outputs of checked inputs, block after block."""
        engine = self.engine()
        feed = Feed(engine, x)
        with self._turn.reading:
            if feed.whole is not None and batch_size is None and isinstance(engine, Native):
                return engine.forward(feed.whole)
            outputs = [engine.forward(rows) for _, rows in feed.blocks(np.dtype(self.dtype))]
        return np.concatenate(outputs)

    def _rates_now(self) -> Array | None:
        """Rates of schedules where training stands."""
        rates = self.plan.rates(self._steps_done(), 1, max(self.epochs_done - 1, 0))
        return None if rates is None else rates[0]

    def _steps_done(self) -> int:
        return 0

    def _itself(self) -> Any:
        return self
