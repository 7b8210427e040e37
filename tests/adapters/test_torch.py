"""The PyTorch modules: masks, gradients, dtypes, in-place use, seeds, fall-through, replacing."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import dropfast as df

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.utils.checkpoint import checkpoint  # noqa: E402

from dropfast import torch as ours  # noqa: E402

KEY = df.Key(seed=3, stream=1, step=4)
MODULES = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
SHAPES = {
    "Dropout": (6, 5),
    "Dropout1d": (4, 8, 6),
    "Dropout2d": (4, 8, 3, 2),
    "Dropout3d": (4, 8, 3, 2, 2),
    "AlphaDropout": (6, 5),
    "FeatureAlphaDropout": (4, 8, 3),
}

# PyTorch 2.4 warns of its own parts in checkpoints.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.cpu.amp.autocast:FutureWarning")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_forward_and_backward_share_the_mask_of_the_key(dtype):
    x = torch.randn(40, 33, dtype=getattr(torch, dtype)).requires_grad_()
    mask = torch.from_numpy(df.dropout_mask((40, 33), 0.3, KEY))
    y = ours.dropout(x, 0.3, key=KEY)
    assert y.dtype == x.dtype
    assert torch.equal(y != 0, mask & (x != 0))
    dy = torch.ones_like(y)
    y.backward(dy)
    assert torch.equal(x.grad, ours.dropout(dy, 0.3, key=KEY))


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout"])
def test_values_are_those_of_the_native_functions(name):
    x = np.random.default_rng(0).normal(size=(7, 9)).astype(np.float32)
    native = getattr(df, name)(x, 0.4, KEY)
    assert np.array_equal(getattr(ours, name)(torch.from_numpy(x), 0.4, True, key=KEY), native)


@pytest.mark.parametrize("name", MODULES)
def test_gradients_of_first_and_second_order(name):
    x = torch.randn(SHAPES[name], dtype=torch.float64, requires_grad=True)
    function = type(getattr(ours, name)()).function

    def call(x):
        return function(x, 0.4, True, key=KEY)

    assert torch.autograd.gradcheck(call, (x,))
    assert torch.autograd.gradgradcheck(call, (x,))


def test_gradients_of_functional_transforms():
    x = torch.randn(20)
    gradient = torch.func.grad(lambda x: ours.dropout(x, 0.5, key=KEY).sum())(x)
    assert torch.equal(gradient, ours.dropout(torch.ones(20), 0.5, key=KEY))


@pytest.mark.parametrize("name", MODULES)
def test_modules_stand_in_for_those_of_torch(name):
    module, peer = getattr(ours, name)(0.25), getattr(torch.nn, name)(0.25)
    assert isinstance(module, type(peer))
    assert repr(module) == repr(peer)
    assert module.state_dict() == peer.state_dict() == {}
    x = torch.randn(SHAPES[name])
    assert module.eval()(x) is x
    y = module.train()(x)
    assert y.shape == x.shape
    assert not torch.equal(x, y)


@pytest.mark.parametrize("name", ["Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"])
def test_whole_channels_are_dropped(name):
    x = torch.ones(SHAPES[name])
    y = getattr(ours, name)(0.5, seed=0)(x).flatten(2)
    assert (y == y[:, :, :1]).all()
    assert len(y[:, :, 0].unique()) == 2


def test_channels_without_a_batch():
    for module, shape in [(ours.Dropout1d, (64, 5)), (ours.Dropout3d, (64, 2, 2, 2))]:
        y = module(0.5, seed=0)(torch.ones(shape)).flatten(1)
        assert (y == y[:, :1]).all()
        assert set(y.unique().tolist()) == {0.0, 2.0}


def test_rates_at_the_ends():
    x = torch.tensor([1.0, float("nan"), float("inf")])
    assert ours.dropout(x, 1.0).tolist() == [0.0, 0.0, 0.0]
    assert ours.dropout(x, 0.0)[0] == 1.0
    assert ours.alpha_dropout(x, 1.0, True).tolist() == [0.0, 0.0, 0.0]
    assert ours.dropout(torch.empty(0, 3)).shape == (0, 3)
    assert ours.dropout(torch.tensor(1.0), 0.5).shape == ()


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_rates_outside_are_refused(p):
    for call in (lambda: ours.dropout(torch.ones(3), p), lambda: ours.Dropout(p)):
        with pytest.raises(ValueError, match="probability has to be between 0 and 1, but got"):
            call()


def test_layouts_share_the_mask():
    x = torch.randn(30, 20)
    y = ours.dropout(x, 0.5, key=KEY)
    assert torch.equal(ours.dropout(x.T.contiguous().T, 0.5, key=KEY), y)
    assert torch.equal(ours.dropout(torch.randn(30, 40)[:, ::2] * 0 + x, 0.5, key=KEY), y)
    ones = ours.dropout(torch.ones(1, 20).expand(30, 20), 0.5, key=KEY)
    assert torch.equal(ones != 0, y != 0)
    negative = torch._neg_view(-x)
    assert torch.equal(ours.dropout(negative, 0.5, key=KEY), y)


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.T, lambda x: x[::2], torch._neg_view])
def test_in_place(view):
    x = torch.randn(8, 6)
    expected = ours.dropout(view(x), 0.5, key=KEY)
    version = x._version
    target = view(x)
    assert ours.dropout(target, 0.5, inplace=True, key=KEY) is target
    assert torch.equal(view(x), expected)
    assert x._version > version


def test_in_place_gradient_and_refusals():
    x = torch.randn(10, requires_grad=True)
    (ours.dropout(x * 2, 0.5, inplace=True, key=KEY)).sum().backward()
    assert torch.equal(x.grad, 2 * ours.dropout(torch.ones(10), 0.5, key=KEY))
    before = x.detach().clone()
    with pytest.raises(RuntimeError, match="leaf"):
        ours.dropout(x, 0.5, inplace=True)
    assert torch.equal(x, before)
    saved = (x * 1).exp()
    loss = ours.dropout(saved, 0.5, inplace=True).sum()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    with pytest.raises(RuntimeError, match="single memory location"):
        ours.dropout(torch.ones(1).expand(4), 0.5, inplace=True)


def test_masks_follow_the_generator_of_torch():
    layer, x = ours.Dropout(0.5), torch.ones(200)
    torch.manual_seed(5)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(ours.Dropout(0.5)(x), first)
    with torch.random.fork_rng(devices=[]):
        layer(x)
    assert torch.equal(layer(x), second)


def test_activation_checkpoints_draw_the_same_mask():
    x = torch.ones(500, requires_grad=True)
    y = checkpoint(lambda x: ours.Dropout(0.5)(x) ** 2, x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(x.grad, 2 * y)


def test_own_seed_counts_calls():
    layer, x = ours.Dropout(0.5, seed=7, stream=2), torch.ones(300)
    state = torch.get_rng_state()
    masks = [layer(x) != 0 for _ in range(3)]
    assert torch.equal(state, torch.get_rng_state())
    for step, mask in enumerate(masks):
        assert np.array_equal(mask, df.dropout_mask((300,), 0.5, df.Key(7, 2, step)))
    layer.eval()(x)
    assert layer.step == 3
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (twin.seed, twin.stream, twin.step) == (7, 2, 3)
    assert repr(layer) == "Dropout(p=0.5, inplace=False, seed=7, stream=2)"
    with pytest.raises(ValueError, match="seed"):
        ours.Dropout(seed=-1)
