"""The native module: kernels on NumPy arrays, keys of the random stream, and the training engine.

Float arrays may be float16, bfloat16 (`ml_dtypes`), float32 or float64 where nothing else is said.
Every function checks all arguments before it writes, and releases the interpreter's lock.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Hold",
    "Key",
    "Network",
    "Turn",
    "__version__",
    "_drop",
    "_drop_filled",
    "_drop_strided",
    "_dropout_add",
    "_gelu_dropout",
    "_gelu_dropout_backward",
    "activation",
    "activation_backward",
    "aes_level",
    "alpha_dropout",
    "alpha_dropout_backward",
    "dense",
    "dense_backward",
    "dropout",
    "dropout_backward",
    "dropout_mask",
    "first_nonfinite_row",
    "fma_peak_gflops",
    "force_team_sizes",
    "forked",
    "gaussian_dropout",
    "gaussian_dropout_backward",
    "get_num_threads",
    "has_bfloat16",
    "limit_threads",
    "loss",
    "loss_gradient",
    "matmul",
    "matmul_bfloat16",
    "optimizer_update",
    "permutation",
    "random_normal",
    "random_uniform",
    "random_words",
    "round_bfloat16",
    "set_num_threads",
    "simd_level",
]

__version__: str

_Array = NDArray[Any]
_NoiseShape = Sequence[int | None] | None

@final
class Key:
    """A place in the random stream: seed, stream and step, each in [0, 2**64). Immutable."""

    def __new__(cls, seed: int = 0, stream: int = 0, step: int = 0) -> Key: ...
    @property
    def seed(self) -> int:
        """The one number all randomness of a model comes from."""
    @property
    def stream(self) -> int:
        """Which independent stream of the seed; from 2**48 up they are reserved."""
    @property
    def step(self) -> int:
        """Which draw of the stream."""
    def at(self, step: int) -> Key:
        """The same seed and stream at another step."""
    def fold_in(self, stream: int) -> Key:
        """The same seed and step in another stream."""
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

def dropout(
    x: _Array,
    rate: float,
    key: Key,
    training: bool = True,
    noise_shape: _NoiseShape = None,
    rows_per_mask: int = 1,
    offset: int = 0,
    out: _Array | None = None,
) -> _Array:
    """Inverted dropout: zeros with probability `rate`, the others times 1 / (1 - rate)."""

def dropout_backward(
    dy: _Array,
    rate: float,
    key: Key,
    noise_shape: _NoiseShape = None,
    rows_per_mask: int = 1,
    offset: int = 0,
    out: _Array | None = None,
) -> _Array:
    """Gradient of `dropout`: the same mask, drawn again."""

def _drop(rule: int, dtype: int, x: int, y: int, n: int, p: float, key: Key | int, /) -> None:
    """Drop from `n` elements side by side at address x, into y (private: addresses are trusted)."""

def _drop_filled(
    rule: int, dtype: int, x: int, y: int, n: int, p: float, key: Key | int, /
) -> None:
    """Drop from `n` elements that all are the one at address x, into y."""

def _drop_strided(
    rule: int,
    dtype: int,
    x: int,
    y: int,
    shape: Sequence[int],
    x_strides: Sequence[int],
    y_strides: Sequence[int],
    shared: Sequence[bool] | None,
    p: float,
    key: Key | int,
    /,
) -> None:
    """Drop from an array of any layout at address x, into y; strides count elements."""

def _dropout_add(
    x: int,
    bias: int,
    features: int,
    residual: int,
    y: int,
    n: int,
    p: float,
    key: Key | int,
    /,
) -> None:
    """Residual + dropout(x + bias) of float32 at addresses, into y; no bias at address 0."""

def _gelu_dropout(approximate: bool, x: int, y: int, n: int, p: float, key: Key | int, /) -> None:
    """dropout(gelu(x)) of float32 at address x, into y."""

def _gelu_dropout_backward(
    approximate: bool, x: int, dy: int, dx: int, n: int, p: float, key: Key | int, /
) -> None:
    """gelu'(x) dropout(dy) of float32 at addresses, into dx."""

def dropout_mask(
    shape: int | Sequence[int],
    rate: float,
    key: Key,
    noise_shape: _NoiseShape = None,
    rows_per_mask: int = 1,
    offset: int = 0,
    packed: bool = False,
) -> _Array:
    """The mask of `dropout`: bool, True where kept; or bits in uint8, the first the lowest."""

def alpha_dropout(
    x: _Array,
    rate: float,
    key: Key,
    training: bool = True,
    noise_shape: _NoiseShape = None,
    offset: int = 0,
    out: _Array | None = None,
) -> _Array:
    """Dropout that keeps mean 0 and variance 1 of SELU networks."""

def alpha_dropout_backward(
    dy: _Array,
    rate: float,
    key: Key,
    noise_shape: _NoiseShape = None,
    offset: int = 0,
    out: _Array | None = None,
) -> _Array:
    """Gradient of `alpha_dropout`."""

def gaussian_dropout(
    x: _Array,
    rate: float,
    key: Key,
    training: bool = True,
    offset: int = 0,
    out: _Array | None = None,
) -> _Array:
    """Times Gaussian noise of mean 1 and variance rate / (1 - rate)."""

def gaussian_dropout_backward(
    dy: _Array, rate: float, key: Key, offset: int = 0, out: _Array | None = None
) -> _Array:
    """Gradient of `gaussian_dropout`."""

def random_words(n: int, key: Key, offset: int = 0) -> NDArray[np.uint32]:
    """Raw 32-bit words of the stream."""

def random_uniform(n: int, key: Key, offset: int = 0) -> NDArray[np.float64]:
    """Uniform variates in [0, 1) with 53 random bits."""

def random_normal(n: int, key: Key, offset: int = 0) -> NDArray[np.float64]:
    """Standard normal variates, computed in float32."""

def permutation(n: int, key: Key) -> NDArray[np.int64]:
    """A random order of 0 .. n-1."""

def set_num_threads(n: int) -> None:
    """Set how many threads calls of this process may use."""

def get_num_threads() -> int:
    """How many threads calls from this thread may use."""

def limit_threads(n: int) -> int:
    """Bound the threads of calls from the calling thread; returns the bound before."""

def force_team_sizes(sizes: str, seed: int = 0) -> None:
    """Force the sizes of teams in training, for tests: "measured", "full" or "random"."""

def simd_level() -> str:
    """Instruction set of the arithmetic: "scalar", "avx2" or "avx512"."""

def aes_level() -> str:
    """Instruction set of the generator, for example "vaes512" or "soft"."""

def activation(
    name: str,
    x: _Array,
    negative_slope: float | None = None,
    alpha: float | None = None,
    approximate: bool = False,
    out: _Array | None = None,
    max_value: float | None = None,
    threshold: float | None = None,
) -> _Array:
    """Apply an activation by name; softmax over the last axis."""

def activation_backward(
    name: str,
    x: _Array,
    y: _Array,
    dy: _Array,
    negative_slope: float | None = None,
    alpha: float | None = None,
    approximate: bool = False,
    out: _Array | None = None,
    max_value: float | None = None,
    threshold: float | None = None,
) -> _Array:
    """Gradient of `activation`: x is the pre-activation, y = activation(x)."""

def loss(spec: Mapping[str, Any], y_true: _Array, y_pred: _Array) -> NDArray[np.float64]:
    """Loss of each row, [n]."""

def loss_gradient(
    spec: Mapping[str, Any], y_true: _Array, y_pred: _Array, weights: _Array
) -> _Array:
    """Gradient of sum(weights * loss) with respect to y_pred, [n, units]; weights [n]."""

def optimizer_update(
    spec: Mapping[str, Any],
    parameter: _Array,
    gradient: _Array,
    state: Sequence[_Array],
    learning_rate: float,
    step: int,
) -> None:
    """Decay and update one parameter in place, elementwise; steps count from 1."""

def dense(
    x: _Array,
    kernel: _Array,
    bias: _Array | None = None,
    activation: str | None = None,
    rate: float = 0.0,
    key: Key | None = None,
    rows_per_mask: int = 1,
    out: _Array | None = None,
) -> _Array:
    """dropout(activation(x @ kernel + bias)), fused. float32 or float64."""

def dense_backward(
    dy: _Array,
    x: _Array,
    kernel: _Array,
    y: _Array | None = None,
    activation: str | None = None,
    rate: float = 0.0,
    key: Key | None = None,
    rows_per_mask: int = 1,
) -> tuple[_Array, _Array, _Array]:
    """Gradients of `dense`: dx, dkernel, dbias."""

def matmul(a: _Array, b: _Array, out: _Array | None = None) -> _Array:
    """The product a @ b; an element is one chain of fused multiply-adds. float32 or float64."""

def matmul_bfloat16(a: _Array, b: _Array, out: _Array | None = None) -> _Array:
    """The product of float32 matrices rounded to bfloat16, with sums in float32."""

def round_bfloat16(x: _Array) -> _Array:
    """The nearest bfloat16 of each float32, as float32; subnormal numbers become zero."""

def has_bfloat16() -> bool:
    """Whether products in bfloat16 run on instructions made for them."""

def first_nonfinite_row(x: _Array) -> int | None:
    """The first position on the first axis that holds a NaN or an infinity."""

def fma_peak_gflops(threads: int) -> float:
    """GFLOP/s of a loop of float32 multiply-adds that touches no memory."""

def forked() -> None:
    """To be called in a forked child: what other threads of the parent held is free."""

@final
class Hold:
    """A turn, held inside of `with`."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_raised: object) -> None: ...

@final
class Turn:
    """What guards the weights of one model: read by many threads at once, or changed by one."""

    def __new__(cls) -> Turn: ...
    @property
    def reading(self) -> Hold:
        """For reading: other threads may read, too."""
    @property
    def writing(self) -> Hold:
        """For changing weights: nobody else reads or changes them."""
    @property
    def stepping(self) -> Hold:
        """For training steps: as `writing`, and an error inside other changes by the thread."""
    @property
    def trained(self) -> bool:
        """Whether a thread is in what only one may do."""
    @property
    def training(self) -> Hold:
        """For what only one thread may do, like `fit`: an error where another one does."""

@final
class Network:
    """Plan and scratch memory of one stack of layers; holds no weights."""

    def __new__(
        cls, layers: Sequence[Mapping[str, Any]], input_size: int, dtype: str = "float32"
    ) -> Network: ...
    def forward(
        self,
        params: Sequence[_Array],
        x: _Array,
        out: _Array,
        *,
        keys: Sequence[Key] | None = None,
        rates: Sequence[float] | NDArray[np.float64] | None = None,
        first_row: int = 0,
        consistent: bool = False,
    ) -> None:
        """Write the outputs of one batch; with keys, one per stochastic layer, as in training.

        The rows are number first_row and after; consistent gives all of them one mask.
        """
    def predict(
        self, params: Sequence[_Array], x: _Array, turn: Turn | None = None
    ) -> _Array | None:
        """Outputs of rows at inference.

        None unless x is just as the network takes it, and the turn is free.
        """
    def predict_mc(
        self,
        params: Sequence[_Array],
        x: _Array,
        mean: NDArray[np.float64],
        m2: NDArray[np.float64],
        *,
        keys: Sequence[Key],
        samples: int,
        first_sample: int = 0,
        rates: Sequence[float] | NDArray[np.float64] | None = None,
        first_row: int = 0,
        consistent: bool = False,
    ) -> None:
        """Add Monte Carlo samples to Welford's sums; sample s draws at key.at(s)."""
    def train(
        self,
        params: Sequence[_Array],
        state: Sequence[Sequence[_Array]],
        x: _Array,
        y: _Array,
        *,
        order: NDArray[np.int64],
        start: int,
        batches: int,
        batch_size: int,
        loss: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        learning_rates: NDArray[np.float64],
        keys: Sequence[Key],
        rates: NDArray[np.float64] | None = None,
        first_step: int,
        counter: NDArray[np.uint64] | None = None,
        total: float = 0.0,
        sample_weight: _Array | None = None,
        predictions: _Array | None = None,
        milliseconds: int = 100,
    ) -> tuple[int, float, int]:
        """Run batches for about `milliseconds`: (batches done, total plus losses, correct rows).

        The counter, one element, moves with each step: weights and counter always belong together.
        """
