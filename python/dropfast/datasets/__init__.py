"""Layer 6: data to try dropout on.

`fashion_mnist` and `mnist` are the real things, `noisy_sine` a small regression made on the spot.
"""

from __future__ import annotations

from dropfast.datasets import fashion_mnist, mnist
from dropfast.datasets.synthetic import noisy_sine

__all__ = ["fashion_mnist", "mnist", "noisy_sine"]
