"""Layer 6: data to try dropout on.

`fashion_mnist` is the real thing, `noisy_sine` a small regression made on the spot.
"""

from __future__ import annotations

from dropfast.datasets import fashion_mnist
from dropfast.datasets.synthetic import noisy_sine

__all__ = ["fashion_mnist", "noisy_sine"]
