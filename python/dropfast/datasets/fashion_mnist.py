"""Layer 6: Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747), from where it can be had.

Sources, in this order: the Debian package ``dataset-fashion-mnist``; the folder named by the
environment variable ``DROPFAST_DATA``; the cache folder; a download into the cache folder.
`dropfast.datasets.published` looks there and checks each file.
"""

from __future__ import annotations

from pathlib import Path

from dropfast.datasets.idx import IdxFile
from dropfast.datasets.published import Published, Split, cache_of

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")

URLS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)

# In the order x_train, y_train, x_test, y_test.
FILES = (
    IdxFile(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        (60_000,),
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)


def load_data() -> tuple[Split, Split]:
    """Load the 60,000 training and 10,000 test images of Fashion-MNIST with their labels.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images of shape (n, 28, 28) with grey levels 0 to 255, and labels of shape (n,) from 0 to
        9, named in `CLASS_NAMES`; all uint8.

    Raises
    ------
    ValueError
        If a file is truncated, has a wrong magic number, wrong counts or a wrong checksum.
    FileNotFoundError
        If no source has the data (the message says which commands help), or a folder has only
        some of the four files.

    Examples
    --------
    >>> from dropfast.datasets import fashion_mnist
    >>> (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    >>> x_train.shape, y_train.shape, x_test.shape, y_test.shape
    ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
    """
    return _published().load()


def cache_folder() -> Path:
    """Return the folder that keeps downloaded files.

    It is ``$XDG_CACHE_HOME/dropfast/fashion-mnist``, or the same below ``~/.cache``.

    Examples
    --------
    >>> cache_folder().name
    'fashion-mnist'
    """
    return cache_of("fashion-mnist")


def _published() -> Published:
    package = "sudo apt-get install dataset-fashion-mnist      (Debian, Ubuntu)"
    return Published("Fashion-MNIST", "fashion-mnist", FILES, URLS, (DEBIAN_FOLDER,), (package,))
