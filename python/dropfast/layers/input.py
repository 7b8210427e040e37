"""Layer 6: Input, which says the shape of a row before data is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from dropfast.checks import check_integer, check_name
from dropfast.graph import SymbolicTensor
from dropfast.layers.spellings import row_shape as given_shape


def Input(
    shape: Sequence[int] | int | None = None,
    batch_size: int | None = None,
    dtype: DTypeLike | None = None,
    *,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
) -> SymbolicTensor:
    """Say the shape of one row: a symbolic tensor, for layers to be called on.

    First in a Sequential, it builds the model at once. It is not one of ``model.layers``.

    Parameters
    ----------
    shape
        Shape of a row, without the batch; an int is a vector's length.
    batch_size, dtype
        For compatibility, without effect: batches may have any size, and the model has the dtype.
    batch_shape
        Instead of `shape`, with the rows in front.
    name
        A name, by which a dict of inputs is sorted and messages speak.

    Returns
    -------
    SymbolicTensor
        Shape ``(None, *shape)``.

    Raises
    ------
    ValueError
        If a size is not a positive integer.

    Examples
    --------
    >>> import dropfast as df
    >>> x = df.Input((4,))
    >>> model = df.Model(x, df.layers.Dense(2)(x), seed=0)
    >>> model.output_shape
    (None, 2)
    >>> df.Sequential([df.Input(4), df.layers.Dense(2)], seed=0).output_shape
    (None, 2)
    """
    if name is not None:
        check_name(name)
    if batch_shape is not None:
        shape = [size or 0 for size in batch_shape[1:]]
    if shape is None:
        raise ValueError("shape must be given. Received: shape=None")
    return SymbolicTensor((None, *row_shape(shape)), name or "input", given_name=name is not None)


def InputLayer(
    shape: Sequence[int] | int | None = None,
    batch_size: int | None = None,
    dtype: DTypeLike | None = None,
    *,
    sparse: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    input_tensor: SymbolicTensor | None = None,
    name: str | None = None,
    **old: Any,
) -> SymbolicTensor:
    """Another way to say `Input`, as the first layer of a Sequential.

    Parameters
    ----------
    shape, batch_size, dtype, name
        As `Input`.
    sparse
        Must not be True.
    batch_shape
        Instead of `shape`, with the rows in front.
    input_tensor
        Must be None.
    **old
        ``input_shape`` and its kin.

    Examples
    --------
    >>> import dropfast as df
    >>> df.layers.InputLayer(input_shape=(4,)).shape
    (None, 4)
    """
    if sparse or input_tensor is not None:
        raise ValueError("sparse and input_tensor must not be given. Received: one of them")
    if batch_shape is not None:
        old["batch_shape"] = batch_shape
    found = given_shape("InputLayer", old) if shape is None else shape
    if found is None:
        raise ValueError("shape must be given. Received: shape=None")
    return Input(found, batch_size, dtype, name=name)


def row_shape(shape: Sequence[int] | int) -> tuple[int, ...]:
    """The shape of a row as a tuple, checked."""
    try:
        if isinstance(shape, str | bytes | bytearray | dict | set):
            raise TypeError
        given = (shape,) if hasattr(shape, "__index__") else tuple(shape)
        if not given:
            raise ValueError
        return tuple(check_integer("shape", size, least=1) for size in given)
    except (TypeError, ValueError):
        raise ValueError(f"shape must hold positive integers. Received: shape={shape!r}") from None
