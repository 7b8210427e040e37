"""Matrix products of float32 in the shapes of training steps, beside a loop of multiply-adds."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import _core
from dropfast.bench.peers import able_to
from dropfast.bench.peers.ours import CONTENDERS

# rows, features in, features out
SHAPES = (
    (32, 784, 200),
    (32, 200, 100),
    (128, 784, 1024),
    (128, 1024, 1024),
    (256, 2048, 2048),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
)
KINDS = ("x·W", "dy·Wᵀ", "xᵀ·dy")
LARGE = 1024


def operands(shape, kind):
    """The two factors of a product of a training step; transposed ones are views."""
    rows, inputs, outputs = shape
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, inputs), dtype=np.float32)
    kernel = rng.standard_normal((inputs, outputs), dtype=np.float32)
    dy = rng.standard_normal((rows, outputs), dtype=np.float32)
    return {"x·W": (x, kernel), "dy·Wᵀ": (dy, kernel.T), "xᵀ·dy": (x.T, dy)}[kind]


@pytest.mark.parametrize("contender", able_to("product"), ids=lambda each: each.name)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def bench_product(measure, shape, kind, contender):
    if kind != KINDS[0] and shape[0] >= LARGE:
        pytest.skip("a cube is the same in all three")
    a, b = operands(shape, kind)
    function = contender.product(a, b)
    exact = a.astype(np.float64) @ b
    bound = 4e-7 * a.shape[1] * np.abs(a).max() * np.abs(b).max()
    np.testing.assert_allclose(np.asarray(function()), exact, rtol=0, atol=bound)
    flops = 2 * a.size * b.shape[1]
    measure(function, [*shape, kind], contender, flops, flops=flops)


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda each: each.name)
def bench_multiply_add_loop(benchmark, contender):
    """The peak that a product can't pass: registers only, no memory."""
    df.set_num_threads(contender.threads)
    rate = max(_core.fma_peak_gflops(contender.threads) for _ in range(5))
    benchmark.extra_info.update(case=["peak"], contender=contender.loop, gflops=rate)
    benchmark.pedantic(lambda: None)
