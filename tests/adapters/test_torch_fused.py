"""dropout_add, bias_dropout_add, gelu_dropout: the same as their steps, forward and backward."""

from __future__ import annotations

import pytest

import dropfast as df

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import torch.nn.functional as F  # noqa: E402

from dropfast import torch as ours  # noqa: E402

KEY = df.Key(seed=3, stream=1, step=4)

FUSED = {
    "dropout_add": (
        lambda x, b, r, **k: ours.dropout_add(x, r, 0.3, **k),
        lambda x, b, r, **k: r + ours.dropout(x, 0.3, **k),
    ),
    "bias_dropout_add": (
        lambda x, b, r, **k: ours.bias_dropout_add(x, b, r, 0.3, **k),
        lambda x, b, r, **k: r + ours.dropout(x + b, 0.3, **k),
    ),
    "gelu_dropout": (
        lambda x, b, r, **k: ours.gelu_dropout(x, 0.3, **k),
        lambda x, b, r, **k: ours.dropout(F.gelu(x), 0.3, **k),
    ),
    "tanh": (
        lambda x, b, r, **k: ours.gelu_dropout(x, 0.3, approximate="tanh", **k),
        lambda x, b, r, **k: ours.dropout(F.gelu(x, approximate="tanh"), 0.3, **k),
    ),
}


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("shape", [(7,), (5, 33), (3, 700, 33), (300, 1024)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_fused_is_as_in_steps(name, shape, dtype, layout):
    def make(shape):
        x = torch.randn(shape, dtype=dtype)
        return (
            x.mT.contiguous().mT if layout == "transposed" and x.dim() > 1 else x
        ).requires_grad_()

    given = [make(shape), make(shape[-1:]), make(shape)]
    ends = []
    for function in FUSED[name]:
        y = function(*given, key=KEY)
        gradients = torch.autograd.grad(y, given, torch.ones(shape, dtype=dtype), allow_unused=True)
        ends.append((y, *gradients))
    for mine, theirs in zip(*ends, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype == torch.bfloat16 else {}
            torch.testing.assert_close(mine, theirs, **tolerance)


@pytest.mark.parametrize("name", FUSED)
def test_without_training_and_with_the_generator(name):
    x, b, r = torch.randn(4, 600), torch.randn(600), torch.randn(4, 600)
    fused, steps = FUSED[name]
    torch.manual_seed(0)
    y = fused(x, b, r)
    torch.manual_seed(0)
    torch.testing.assert_close(y, steps(x, b, r))
    assert torch.equal(ours.dropout_add(x, r, 0.3, False), r + x)
    assert torch.equal(ours.dropout_add(x, r, 0.0), r + x)
    assert torch.equal(ours.dropout_add(x, r, 1.0), r)
    compiled = torch.compile(lambda x: fused(x, b, r), backend="aot_eager", fullgraph=True)
    assert compiled(x).shape == y.shape


def test_gradients_of_second_order():
    x = torch.randn(30, 40, requires_grad=True)
    for fused, steps in FUSED.values():
        ends = []
        for function in (fused, steps):
            y = function(x, torch.ones(40), x.detach(), key=KEY)
            (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
            ends.append(torch.autograd.grad(dx.square().sum(), x)[0])
        torch.testing.assert_close(*ends, rtol=1e-3, atol=1e-3)


def test_what_does_not_fit_together_is_refused_as_in_steps():
    with pytest.raises(RuntimeError, match="size of tensor"):
        ours.dropout_add(torch.ones(3), torch.ones(4))
    with pytest.raises(ValueError, match="probability"):
        ours.dropout_add(torch.ones(3), torch.ones(3), 2.0)
