"""Layer 6: fit, the loop over epochs."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dropfast.callbacks.base import Callback, CallbackList
from dropfast.callbacks.history import History
from dropfast.callbacks.stopping import TerminateOnNaN
from dropfast.checks import check_flag, check_integer, check_number
from dropfast.models import epoch as epochs_of
from dropfast.models.compiling import Compiled
from dropfast.models.data import Feed, split
from dropfast.models.generators import is_stream, unpack
from dropfast.models.keeping import Kept, Snapshots
from dropfast.models.kinds import as_given
from dropfast.models.source import Rows, Source
from dropfast.models.turns import alone
from dropfast.models.warn import warn_if_epochs_matter, warn_if_idle
from dropfast.pieces import Pieces
from dropfast.progress import Progress, resolve_verbose
from dropfast.random import SHUFFLE, Key, permutation


class Fitting(Compiled):
    """A stack that learns. See `dropfast.Sequential`.

    Attributes
    ----------
    history
        What the latest `fit` returned, or None.
    """

    history: History | None = None

    @alone
    def fit(
        self,
        x: Any = None,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Iterable[Callback] | Callback | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int | None = None,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for some epochs.

        Shuffling depends only on the seed and the number of the epoch; masks depend only on the
        seed and the optimizer's steps. So a run that was interrupted and resumed with
        `initial_epoch` gives the same bits. Without `initial_epoch`, shuffling and schedules
        continue from ``model.epochs_done``: several calls with one epoch each give the bits of
        one call.

        Bad arguments and data are rejected before the first step. After Ctrl-C, or an error in a
        callback or generator, the weights stay as far as they were trained. A loss that is not
        finite undoes its epoch; if it is the first of its epoch, the epoch before is undone too,
        because its last steps led there. For that, weights and optimizer state are written to a
        temporary file before each epoch (see `tempfile.gettempdir`), or kept in memory if they are
        smaller than 64 KiB or no file can be written. Apart from that, `fit` needs memory for one
        batch and the optimizer.

        Parameters
        ----------
        x
            Inputs, first axis the rows; of one axis, they are a column. Memory maps, h5py datasets,
            zarr and dask arrays and all else with `shape`, `dtype` and slices are read piece by
            piece (targets too, but kept). Or a generator of (x, y) or (x, y, sample_weight)
            batches.
        y
            Targets: labels (n,) or values (n, units), as the loss takes them.
        batch_size
            Rows for each step; None is 32. If it exceeds the data, there is one short batch.
        epochs
            Number of the epoch after the last one.
        verbose
            1: a progress bar; 2: one line for each epoch; 0: silent; "auto": the bar on a terminal
            or in a notebook, otherwise lines.
        callbacks
            See `dropfast.callbacks`.
        validation_split
            Share of the rows, the last ones, that is held out for validation.
        validation_data
            (x, y) or (x, y, sample_weight) to validate on.
        shuffle
            Whether rows are shuffled before each epoch.
        class_weight
            Label -> weight of its rows.
        sample_weight
            One weight a row.
        initial_epoch
            Number of the first epoch, for callbacks, shuffling and schedules. None is 0 for
            callbacks and goes on with the model's own count otherwise.
        steps_per_epoch
            Batches in each epoch: needed for endless generators. With arrays, each epoch continues
            where the last one stopped; the data are shuffled anew after each pass.
        validation_steps, validation_batch_size
            Number and size of the batches to validate on; None is all rows, and `batch_size`.
        validation_freq
            Validate after every so many epochs.

        Returns
        -------
        History
            Losses and metrics of the epochs.

        Raises
        ------
        ValueError
            If the model is not compiled or the data doesn't fit; nothing is trained then.
        FloatingPointError
            If the loss becomes NaN or infinite: weights and optimizer are those before the last
            epoch that began with a finite loss, or where there is none as they were.
        RuntimeError
            If another thread trains the model.

        Examples
        --------
        >>> import numpy as np, dropfast as df
        >>> x, y = df.datasets.noisy_sine(200, seed=0)
        >>> model = df.Sequential([df.layers.Dense(20, "tanh"), df.layers.Dense(1)], seed=0)
        >>> model.compile(df.optimizers.Adam(0.01), "mse")
        >>> history = model.fit(x, y, epochs=5, verbose=0)
        >>> history.history["loss"][-1] < history.history["loss"][0]
        True
        """
        x, validation_data = as_given(x), as_given(validation_data)
        size = 32 if batch_size is None else _count("batch_size", batch_size)
        _count("epochs", epochs, least=0)
        # Numbers that callbacks are told, and how far the model's own count is ahead of them.
        first = 0 if initial_epoch is None else _count("initial_epoch", initial_epoch, least=0)
        ahead = self.epochs_done if initial_epoch is None else 0
        for name, value in (
            ("validation_steps", validation_steps),
            ("validation_batch_size", validation_batch_size),
        ):
            if value is not None:
                _count(name, value)
        _count("validation_freq", validation_freq)
        check_flag("shuffle", shuffle)
        if steps_per_epoch is not None:
            _count("steps_per_epoch", steps_per_epoch)
        progress = Progress(resolve_verbose(verbose))
        held_out: tuple[Any, ...] | None = validation_data
        check_number("validation_split", validation_split, 0.0, 1.0)
        if validation_split and validation_data is None:
            if is_stream(x):
                raise ValueError(
                    "validation_split must be 0 for a generator. Received: a generator"
                )
            x, y = self._packed(x), self._packed_targets(_given(y), x)
            (x, y, sample_weight), held_out = split(
                x if isinstance(x, Pieces) else np.asanyarray(x),
                y,
                sample_weight,
                validation_split,
            )
        source = self._source(x, y, sample_weight, class_weight, size, shuffle)
        if held_out is not None:
            held_out = self._held_out(held_out)
        self._begin()
        warn_if_idle(self.plan, self.loss)
        steps = source.steps
        history = self.history = History()
        hooks = CallbackList(
            [callbacks, progress, history],
            self._itself(),
            {
                "epochs": epochs,
                "steps": steps if steps_per_epoch is None else steps_per_epoch,
                "rows": source.rows_in(steps_per_epoch),
                "verbose": progress.verbose,
                "validation_freq": validation_freq,
                "validation": held_out is not None,
            },
        )
        kept = Snapshots(self.optimizer)
        try:
            self._place = (first, 0)
            hooks.call("train_begin", {})
            if self._place != (first, 0):
                # A callback has taken up the state of an interrupted fit.
                first, source.skip = self._place
                ahead = self.epochs_done - first
            logs: dict[str, float] = {}
            for epoch in range(first, epochs):
                found = self._epoch(
                    source, epoch, epoch + ahead, steps_per_epoch, hooks, progress, kept
                )
                source.skip = 0
                if found is None:
                    break
                logs = found
                if held_out is not None and (epoch + 1) % validation_freq == 0:
                    rows = size if validation_batch_size is None else validation_batch_size
                    values = self._validate(held_out, rows, validation_steps, hooks)
                    logs |= {f"val_{name}": value for name, value in values.items()}
                hooks.call("epoch_end", epoch, logs)
                if self.stop_training:
                    break
            self.optimizer.finalize_variable_values()
            hooks.call("train_end", logs)
        finally:
            self.optimizer.show_averages(False)
            kept.close()
            progress.close()
        return history

    # Epoch and batch that a fit starts with.
    _place = (0, 0)

    def go_on_at(self, epoch: int, batch: int = 0) -> None:
        """Let the fit that is about to begin start elsewhere; for `Callback.on_train_begin`.

        Parameters
        ----------
        epoch, batch
            What it trains first, as callbacks count them.
        """
        self._place = (epoch, batch)

    @alone
    def train_on_batch(
        self,
        x: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch, its rows in the order given.

        Parameters
        ----------
        x, y, sample_weight, class_weight
            As `fit`.
        return_dict
            Whether to return a dict.

        Returns
        -------
        float, list of float or dict
            Loss of the batch before the step, as trained (dropout on); with metrics a list.

        Raises
        ------
        ValueError
            If the model is not compiled or the data doesn't fit.
        FloatingPointError
            If the loss is NaN or infinite: the weights are as before.
        """
        rows = self._checked(x, y, sample_weight, class_weight)
        self._check_blocks(len(rows[0]))
        self._begin()
        warn_if_epochs_matter(self.plan, self.epochs_done)
        tally = epochs_of.Tally(self)
        # A step changes nothing if its loss is not finite, except what layers count on the way.
        before = Kept()
        before.keep([weight.value for weight in self._weights if not weight.trainable])
        try:
            self._step_through(rows, len(rows[0]), max(self.epochs_done - 1, 0), tally)
        except FloatingPointError:
            before.go_back()
            raise
        finally:
            before.close()
        logs = tally.logs()
        if return_dict:
            return logs
        return list(logs.values()) if self.metrics else logs["loss"]

    def _begin(self) -> None:
        """Optimizer state for the weights that are trained now, and no stop in force."""
        _ = self.trainer()
        self.stop_training = False

    def _source(
        self,
        x: Any,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        class_weight: Mapping[int, float] | None,
        batch_size: int,
        shuffle: bool,
    ) -> Source:
        """Where epochs take their rows from."""
        if is_stream(x):
            if y is not None or sample_weight is not None:
                raise ValueError(
                    "y and sample_weight must come from the generator. Received: both kinds"
                )
            first = next(iter(x), None) if not self.built else None
            if first is not None and not self.built:
                self._checked(*unpack(first), class_weight)
            repeated = [first] if first is not None and iter(x) is x else []
            return Source(None, x, repeated, class_weight)
        data = self._checked(x, y, sample_weight, class_weight)
        size = min(batch_size, len(data[0]))
        self._check_blocks(size)
        return Source(data, batch_size=size, shuffle=shuffle)

    def _epoch(
        self,
        source: Source,
        epoch: int,
        number: int,
        most_batches: int | None,
        hooks: CallbackList,
        progress: Progress,
        kept: Snapshots,
    ) -> dict[str, float] | None:
        """One epoch, of this number in the model's count; None if a bad loss ended it quietly."""
        kept.keep(self.weights, epoch)
        hooks.call("epoch_begin", epoch, {})
        tally = epochs_of.Tally(self)
        try:
            if source.data is not None:
                self._arrays(source, number, most_batches, tally, hooks, progress)
            else:
                self._stream(source, number, most_batches, tally, hooks, progress)
        except FloatingPointError as error:
            weights, good = kept.go_back()
            if good < epoch:
                self.epochs_done = good + number - epoch
            message = f"epoch {epoch + 1}: {error}. {weights}"
            quiet = [found for found in hooks.callbacks if isinstance(found, TerminateOnNaN)]
            if not quiet:
                raise FloatingPointError(message) from error
            for callback in quiet:
                callback.terminated(message)
            self.stop_training = True
            return None
        self.epochs_done = number + 1
        return tally.logs()

    def _arrays(
        self,
        source: Source,
        epoch: int,
        most_batches: int | None,
        tally: epochs_of.Tally,
        hooks: CallbackList,
        progress: Progress,
    ) -> None:
        """An epoch of rows: all of them, or so many batches that go on where the last ones were."""
        assert source.data is not None
        assert source.steps is not None
        x, y, weights = source.data
        if source.feed is None or not source.feed.fits(self.trainer()):
            source.feed = Feed(self.trainer(), x)
        steps, done = source.steps if most_batches is None else most_batches, source.skip
        while done < steps and not self.stop_training:
            turn, at = divmod(epoch * steps + done, source.steps)
            if source.shuffle:
                order = permutation(len(x), Key(self.seed, SHUFFLE, turn))
            else:
                order = np.arange(len(x), dtype=np.int64)
            count = min(steps - done, source.steps - at)
            epochs_of.train(
                self,
                source.feed,
                y,
                weights,
                order[at * source.batch_size :],
                source.batch_size,
                epoch,
                tally,
                hooks,
                progress.advance,
                done,
                count,
            )
            done += count

    def _stream(
        self,
        source: Source,
        epoch: int,
        most_batches: int | None,
        tally: epochs_of.Tally,
        hooks: CallbackList,
        progress: Progress,
    ) -> None:
        """An epoch of batches that come from a generator."""
        if hasattr(source.stream, "on_epoch_begin"):
            source.stream.on_epoch_begin()
        count = source.skip
        for part in islice(source.batches(), count, most_batches):
            rows = self._checked(*unpack(part), source.class_weight)
            self._step_through(rows, len(rows[0]), epoch, tally, hooks, progress, count)
            count += 1
            if self.stop_training:
                return
        if hasattr(source.stream, "on_epoch_end"):
            source.stream.on_epoch_end()
        if most_batches is not None and 0 < count < most_batches:
            warnings.warn(
                f"x ran out of batches: {count} of {most_batches} in epoch {epoch + 1}",
                UserWarning,
                stacklevel=2,
            )
        if count == 0:
            raise ValueError(
                "x must yield at least one batch an epoch: give steps_per_epoch, or an iterable "
                f"that starts anew. Received: none in epoch {epoch + 1}"
            )

    def _step_through(
        self,
        rows: Rows,
        batch_size: int,
        epoch: int,
        tally: epochs_of.Tally,
        hooks: CallbackList | None = None,
        progress: Progress | None = None,
        first_batch: int = 0,
    ) -> None:
        """Train on rows as they come, in one batch."""
        x, y, weights = rows
        epochs_of.train(
            self,
            Feed(self.trainer(), x),
            y,
            weights,
            np.arange(len(x), dtype=np.int64),
            batch_size,
            epoch,
            tally,
            hooks or CallbackList((), self._itself(), {}),
            progress.advance if progress is not None else lambda rows, logs: None,
            first_batch,
        )

    def _held_out(self, data: Any) -> tuple[Any, ...]:
        """Validation data, checked before the first epoch."""
        if is_stream(data):
            stream: tuple[Any, ...] = data
            return stream
        if not isinstance(data, list | tuple) or len(data) not in (2, 3):
            entries = f"{len(data)} entries" if isinstance(data, list | tuple) else repr(data)
            raise ValueError(
                f"validation_data must be (x, y) or (x, y, sample_weight). Received: {entries}"
            )
        x, y, weights = unpack(tuple(data))
        self._checked(x, y, weights, None, "validation ")
        return x, y, weights

    def _validate(
        self, data: tuple[Any, ...], batch_size: int, steps: int | None, hooks: CallbackList
    ) -> dict[str, float]:
        x, y, weights = (data, None, None) if is_stream(data) else data
        found = self.evaluate(
            x,
            y,
            batch_size=batch_size,
            sample_weight=weights,
            steps=steps,
            callbacks=hooks,
            return_dict=True,
        )
        return dict(found)


def _count(name: str, value: Any, least: int = 1) -> int:
    return check_integer(name, value, least)


def _given(y: ArrayLike | None) -> ArrayLike:
    if y is None:
        raise ValueError("y must be given. Received: y=None")
    return y
