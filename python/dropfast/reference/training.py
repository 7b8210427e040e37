"""Layer 6, reference: a network trained by backpropagation, step by step and in whole runs.

The program (a list of layer dicts), the keys and the order of operations are the fast path's; the
arithmetic is plain NumPy in float64, rounded to the network's type only where weights and optimizer
state are stored. So after s steps in float32 the fast path's weights differ by its own rounding
alone: about s * learning rate * (largest gradient) * sqrt(inputs) * 2^-24 while no activation sits
on a kink.

A step: forward with masks, loss, backward, penalties' gradients, clipping, weight decay, update,
constraints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import layers as L
from ._arguments import Array
from .constraints import max_norm
from .losses import LOSSES, targets64
from .optimizers import clip_gradients, initial_state, optimizer_update
from .random import SHUFFLE_DOMAIN, Key, KeyLike, permutation
from .regularizers import l1_l2, l1_l2_gradient

F64 = npt.NDArray[np.float64]
Params = Sequence[Array]
State = Sequence[Sequence[Array]]
Rates = npt.NDArray[np.float64] | Sequence[float] | None


class Network:
    """A stack of layers; holds no weights.

    Parameters
    ----------
    layers : list of dict
        The program, see :mod:`dropfast.reference.layers`.
    input_size : int
        Features of an input row.
    dtype : str
        "float32" or "float64": the type of the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import Network
    >>> network = Network([{"kind": "dense", "units": 1, "use_bias": False}], 2, "float64")
    >>> out = np.empty((1, 1))
    >>> network.forward([np.array([[1.0], [2.0]])], np.array([[3.0, 4.0]]), out)
    >>> out.tolist()
    [[11.0]]
    """

    def __init__(
        self, layers: Sequence[Mapping[str, Any]], input_size: int, dtype: str = "float32"
    ) -> None:
        self.layers = [dict(layer) for layer in layers]
        self.input_size = input_size
        self.dtype = np.dtype(dtype)
        self.stochastic = [layer for layer in self.layers if layer["kind"] in L.STOCHASTIC]

    def forward(
        self,
        params: Params,
        x: Array,
        out: Array,
        *,
        keys: Sequence[KeyLike] | None = None,
        rates: Rates = None,
        first_row: int = 0,
        consistent: bool = False,
    ) -> None:
        """Outputs of one batch: with a key per stochastic layer as in training, else inference.

        Its rows draw as rows first_row and after of a larger batch, or all as row 0.
        """
        out[...] = self._forward(params, x, keys, rates, (first_row, consistent))[0]

    def predict_mc(
        self,
        params: Params,
        x: Array,
        mean: F64,
        m2: F64,
        *,
        keys: Sequence[KeyLike],
        samples: int,
        first_sample: int = 0,
        rates: Rates = None,
        first_row: int = 0,
        consistent: bool = False,
    ) -> None:
        """Monte Carlo dropout (Gal and Ghahramani 2016), Welford's sums updated in place."""
        for sample in range(first_sample, first_sample + samples):
            at = [_at(key, sample) for key in keys]
            y, _ = self._forward(params, x, at, rates, (first_row, consistent))
            delta = y - mean
            mean += delta / (sample + 1)
            m2 += delta * (y - mean)

    def train(
        self,
        params: Params,
        state: State,
        x: Array,
        y: Array,
        *,
        order: npt.NDArray[np.int64],
        start: int,
        batches: int,
        batch_size: int,
        loss: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        learning_rates: Sequence[float] | npt.NDArray[np.float64],
        keys: Sequence[KeyLike],
        rates: npt.NDArray[np.float64] | None = None,
        first_step: int = 0,
        counter: npt.NDArray[np.uint64] | None = None,
        total: float = 0.0,
        sample_weight: Array | None = None,
        predictions: Array | None = None,
        milliseconds: float = 0,
        gradient_blocks: int = 1,
    ) -> tuple[int, float, int]:
        """Train on `batches` batches of the rows order[start * batch_size:], in place.

        Returns
        -------
        tuple of int, float, int
            Batches done; `total` plus the sum over rows of the weighted losses (penalties times
            rows included); number of rows classified correctly, 0 for other losses. `milliseconds`
            does not matter here: the reference runs to the end. `gradient_blocks` cuts batches, see
            `gradients`.
        """
        done, correct = 0, 0
        for s in range(batches):
            rows = order[(start + s) * batch_size : (start + s + 1) * batch_size]
            if len(rows) == 0:
                break
            weights = np.ones(len(rows)) if sample_weight is None else sample_weight[rows]
            batch_loss, output, gradients = self.gradients(
                params,
                x[rows],
                y[rows],
                loss=loss,
                keys=[_at(key, first_step + s) for key in keys],
                rates=None if rates is None else rates[s],
                sample_weight=weights,
                blocks=gradient_blocks,
            )
            if not np.isfinite(batch_loss):
                raise FloatingPointError(
                    f"loss must be finite. Received: {batch_loss} in batch {start + s}"
                )
            self._apply(
                params, state, gradients, optimizer, float(learning_rates[s]), first_step + s + 1
            )
            if counter is not None:
                counter[0] = first_step + s + 1
            done, total = done + 1, total + batch_loss * len(rows)
            correct += _correct_rows(loss["name"], y[rows], output)
            if predictions is not None:
                first = (start + s) * batch_size
                predictions[first : first + len(rows)] = output
        return done, total, correct

    def gradients(
        self,
        params: Params,
        x: Array,
        y: Array,
        *,
        loss: Mapping[str, Any],
        keys: Sequence[KeyLike] | None,
        rates: Rates = None,
        sample_weight: Array | None = None,
        blocks: int = 1,
    ) -> tuple[float, F64, list[F64]]:
        """Mean loss of a batch with penalties, its outputs, the gradient of every parameter.

        Block i of B has rows i n / B to (i + 1) n / B, rounded down; blocks are added in a tree
        whose left half, where B is odd, has one more. Blocks without rows are left out.
        """
        n = len(x)
        weights = (
            np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
        ) / n

        def tree(first: int, last: int) -> Any:
            if last - first > 1:
                middle = (first + last + 1) // 2
                a, b = tree(first, middle), tree(middle, last)
                if a is None or b is None:
                    return b if a is None else a
                gradients = [p + q for p, q in zip(a[2], b[2], strict=True)]
                return a[0] + b[0], np.concatenate([a[1], b[1]]), gradients
            start, end = first * n // blocks, last * n // blocks
            if start == end:
                return None
            rows = slice(start, end)
            return self._block(params, x[rows], y[rows], weights[rows], start, (loss, keys, rates))

        value, output, gradients = tree(0, blocks)
        for i, (w, (l1, l2)) in enumerate(zip(params, self._penalties(), strict=True)):
            wide = w.astype(np.float64)
            value += l1_l2(wide, l1, l2)
            gradients[i] = gradients[i] + l1_l2_gradient(wide, l1, l2)
        return value, output, gradients

    def _block(
        self,
        params: Params,
        x: Array,
        y: Array,
        weights: F64,
        first_row: int,
        how: tuple[Mapping[str, Any], Sequence[KeyLike] | None, Rates],
    ) -> tuple[float, F64, list[F64]]:
        """Loss, outputs and gradients of some rows, which begin at a row of their batch."""
        loss, keys, rates = how
        output, tape = self._forward(params, x, keys, rates, (first_row, False))
        targets = targets64(loss, y, output)
        spec, y_pred, fused = dict(loss), output, self._fused(loss)
        if fused:  # softmax below a cross-entropy: both together, from the logits
            spec["from_logits"], y_pred = True, tape[-1]["z"]
        rows, d_rows = LOSSES[loss["name"]]
        value = float((weights * rows(targets, y_pred, spec)).sum())
        dy = d_rows(targets, y_pred, spec) * weights[:, None]
        return value, output, self._backward(tape, dy, fused)

    def _fused(self, loss: Mapping[str, Any]) -> bool:
        last = self.layers[-1]
        return (
            last.get("activation") == "softmax"
            and loss["name"].endswith("categorical_crossentropy")
            and not loss.get("from_logits", False)
        )

    def _forward(
        self,
        params: Params,
        x: Array,
        keys: Sequence[KeyLike] | None,
        rates: Rates,
        rows: tuple[int, bool] = (0, False),
    ) -> tuple[F64, list[dict[str, Any]]]:
        """Output, and a tape with one entry per layer of what its backward step needs."""
        h = np.asarray(x, np.float64)
        weights = (w.astype(np.float64) for w in params)
        tape: list[dict[str, Any]] = []
        values = [h]
        place = 0
        for layer in self.layers:
            entry: dict[str, Any] = {"layer": layer, "x": h}
            if layer["kind"] == "add":
                h = h + values[layer["source"]]
            elif layer["kind"] in L.STOCHASTIC:
                rate = float(layer["rate"] if rates is None else rates[place])
                if keys is None:
                    noise = L.at_inference(layer, rate)
                else:
                    shape = (h.shape[0], h.shape[1])
                    noise = L.draw_rows(layer, shape, rate, keys[place], self.dtype, *rows)
                place += 1
                entry["noise"] = noise
                h = noise.forward(h)
            else:
                entry["z"] = h
                if layer["kind"] == "dense":
                    entry["kernel"] = next(weights)
                    bias = next(weights) if layer.get("use_bias", True) else None
                    entry["z"] = L.dense_forward(h, entry["kernel"], bias)
                h = entry["y"] = L.activate(layer, entry["z"])
            tape.append(entry)
            values.append(h)
        return h, tape

    def _backward(self, tape: list[dict[str, Any]], dy: F64, fused: bool) -> list[F64]:
        """Down the tape; `fused`: dy belongs to the last layer's pre-activation already."""
        gradients: list[F64] = []
        # What sums have for the gradients of the values that they take beside the chain.
        skips: dict[int, F64] = {}
        for number in range(len(tape), 0, -1):
            entry = tape[number - 1]
            layer = entry["layer"]
            if number in skips:
                dy = dy + skips.pop(number)
            if layer["kind"] == "add":
                source = layer["source"]
                skips[source] = skips[source] + dy if source in skips else dy
                continue
            if "noise" in entry:
                dy = entry["noise"].backward(dy)
                continue
            if not (fused and entry is tape[-1]):
                dy = L.activate_backward(layer, entry["z"], entry["y"], dy)
            if layer["kind"] == "dense":
                dy, dkernel, dbias = L.dense_backward(dy, entry["x"], entry["kernel"])
                gradients += [dbias, dkernel] if layer.get("use_bias", True) else [dkernel]
        return gradients[::-1]

    def _per_parameter(self, kernel: Sequence[str], bias: Sequence[str]) -> list[list[Any]]:
        """Entries of the dense layers' dicts, in the order of the parameters."""
        values = []
        for layer in self.layers:
            if layer["kind"] == "dense":
                values.append([layer.get(name) for name in kernel])
                if layer.get("use_bias", True):
                    values.append([layer.get(name) for name in bias])
        return values

    def _penalties(self) -> list[list[float]]:
        pairs = self._per_parameter(("kernel_l1", "kernel_l2"), ("bias_l1", "bias_l2"))
        return [[value or 0.0 for value in pair] for pair in pairs]

    def _apply(
        self,
        params: Params,
        state: State,
        gradients: list[F64],
        optimizer: Mapping[str, Any],
        learning_rate: float,
        step: int,
    ) -> None:
        """Clip, decay and update, constrain."""
        limits = self._per_parameter(("kernel_max_norm",), ("bias_max_norm",))
        clipped = clip_gradients(optimizer, gradients)
        for i, (w, gradient) in enumerate(zip(params, clipped, strict=True)):
            slots = [slot[i] for slot in state]
            optimizer_update(optimizer, w, gradient, slots, learning_rate, step)
            if limits[i][0] is not None:
                w[...] = max_norm(w.astype(np.float64), limits[i][0])


def fit(
    network: Network,
    params: Params,
    x: Array,
    y: Array,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    loss: Mapping[str, Any],
    optimizer: Mapping[str, Any],
    learning_rate: float,
    shuffle: bool = True,
) -> list[float]:
    """Train from one seed for some epochs of shuffled batches; returns each epoch's mean loss.

    Shuffling draws from stream 2 * 2**48 with the epoch as step; the masks of the stochastic layer
    at place i (its index in the program) from stream i with the number of optimizer steps before as
    step.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import Network, fit
    >>> network = Network([{"kind": "dense", "units": 1, "use_bias": False}], 1, "float64")
    >>> w, x = np.zeros((1, 1)), np.array([[1.0], [2.0]])
    >>> losses = fit(network, [w], x, 3 * x, seed=0, epochs=20, batch_size=2,
    ...     loss={"name": "mean_squared_error"}, optimizer={"name": "sgd"}, learning_rate=0.1)
    >>> round(float(w[0, 0]), 3), losses[-1] < losses[0]
    (3.0, True)
    """
    state = initial_state(optimizer, params)
    places = [i for i, layer in enumerate(network.layers) if layer["kind"] in L.STOCHASTIC]
    keys = [Key(seed, place) for place in places]
    batches = -(-len(x) // batch_size)
    means = []
    for epoch in range(epochs):
        shuffled = permutation(len(x), Key(seed, SHUFFLE_DOMAIN, epoch))
        _, total, _ = network.train(
            params,
            state,
            x,
            y,
            order=shuffled if shuffle else np.arange(len(x)),
            start=0,
            batches=batches,
            batch_size=batch_size,
            loss=loss,
            optimizer=optimizer,
            learning_rates=[learning_rate] * batches,
            keys=keys,
            first_step=epoch * batches,
        )
        means.append(total / len(x))
    return means


def _at(key: KeyLike, step: int) -> Key:
    return Key(key.seed, key.stream, step)


def _correct_rows(name: str, y: Array, output: F64) -> int:
    """Rows whose top class is the target's; binary: all units on the right side of one half."""
    if name == "sparse_categorical_crossentropy":
        return int((output.argmax(axis=-1) == np.asarray(y).reshape(-1)).sum())
    if name == "categorical_crossentropy":
        return int((output.argmax(axis=-1) == np.asarray(y).argmax(axis=-1)).sum())
    if name == "binary_crossentropy":
        return int(((output > 0.5) == (np.asarray(y) > 0.5)).all(axis=-1).sum())
    return 0
