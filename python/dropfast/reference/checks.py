"""Layer 6, reference: the search for values that no training can use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._arguments import check_float_array


def first_nonfinite_row(x: npt.ArrayLike) -> int | None:
    """Where the first NaN or infinity is, counted along the first axis.

    Parameters
    ----------
    x : ndarray of float

    Returns
    -------
    int or None
        None where all values are finite.

    Raises
    ------
    TypeError
        If x is not an array of floats.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import first_nonfinite_row
    >>> first_nonfinite_row(np.array([[1.0, 2.0], [3.0, np.nan]]))
    1
    """
    array = np.atleast_1d(check_float_array("x", x))
    if array.size == 0:
        return None
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return None if finite.all() else int(np.argmin(finite))
