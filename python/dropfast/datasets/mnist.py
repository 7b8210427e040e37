"""Layer 6: MNIST (LeCun, Cortes, Burges 1998), handwritten digits, from where it can be had.

Sources, in this order: the folder named by the environment variable ``DROPFAST_DATA``; the cache
folder; a download into the cache folder. `dropfast.datasets.published` looks there and checks each
file.
"""

from __future__ import annotations

from pathlib import Path

from dropfast.datasets.idx import IdxFile
from dropfast.datasets.published import Published, Split, cache_of

URLS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)

# In the order x_train, y_train, x_test, y_test.
FILES = (
    IdxFile(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


def load_data() -> tuple[Split, Split]:
    """Load the 60,000 training and 10,000 test images of MNIST with their labels.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images of shape (n, 28, 28) with grey levels 0 to 255, and labels of shape (n,) from 0 to
        9; all uint8.

    Raises
    ------
    ValueError
        If a file is truncated, has a wrong magic number, wrong counts or a wrong checksum.
    FileNotFoundError
        If no source has the data (the message says what helps), or a folder has only some of the
        four files.

    Examples
    --------
    >>> from dropfast.datasets import mnist
    >>> (x_train, y_train), (x_test, y_test) = mnist.load_data()  # doctest: +SKIP
    """
    return Published("MNIST", "mnist", FILES, URLS).load()


def cache_folder() -> Path:
    """Return the folder that keeps downloaded files.

    It is ``$XDG_CACHE_HOME/dropfast/mnist``, or the same below ``~/.cache``.

    Examples
    --------
    >>> cache_folder().name
    'mnist'
    """
    return cache_of("mnist")
