"""The PyTorch functions where PyTorch has habits: ends, ranks, errors, odd tensors, layouts."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest

import dropfast as df

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import torch.nn.functional as F  # noqa: E402

from dropfast import torch as ours  # noqa: E402

KEY = df.Key(seed=3, stream=1, step=4)
NAMES = ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
SHAPES = {
    "dropout": (6, 5),
    "dropout1d": (4, 8, 6),
    "dropout2d": (4, 8, 3, 2),
    "dropout3d": (4, 8, 3, 2, 2),
    "alpha_dropout": (6, 5),
    "feature_alpha_dropout": (4, 8, 3, 2),
}


def outcome(call):
    """What a call returns, warns or raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            return type(error), str(error)
    return result, [(warning.category, str(warning.message)) for warning in caught]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inplace", [False, True])
def test_nothing_to_drop_returns_the_input_and_draws_nothing(name, inplace):
    function, shape = getattr(ours, name), SHAPES[name]
    state = torch.get_rng_state()
    leaf = torch.randn(shape, requires_grad=True)
    state = torch.get_rng_state()
    for p in (0.0, 0):
        assert function(leaf, p, True, inplace) is leaf
    assert function(leaf, 0.5, False, inplace) is leaf
    empty = torch.empty(0, *shape[1:])
    assert function(empty, 0.5, True, inplace) is empty
    function(torch.ones(shape), 1.0, True, inplace)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_dropping_all(name):
    x = torch.randn(SHAPES[name], requires_grad=True)
    y = getattr(ours, name)(x, 1, True)
    assert not y.any()
    assert not torch.signbit(y).any()
    y.sum().backward()
    assert not x.grad.any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rank", range(7))
def test_ranks_end_as_in_torch(name, training, rank):
    x = torch.ones(tuple(range(2, 2 + rank)))
    mine, theirs = (
        outcome(lambda f=f: f(x, 0.5, training).shape)
        for f in (getattr(ours, name), getattr(F, name))
    )
    assert mine == theirs


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d"])
@pytest.mark.parametrize("rank", range(2, 7))
@pytest.mark.filterwarnings("ignore:dropout")
def test_odd_ranks_share_decisions_along_the_axes_that_torch_shares(name, rank):
    x = torch.ones(tuple(range(2, 2 + rank)))

    def shared_axes(function):
        always = [True] * rank
        for _ in range(40):
            y = function(x, 0.5)
            always = [
                before and torch.equal(y, y.narrow(axis, 0, 1).expand_as(y))
                for axis, before in enumerate(always)
            ]
        return always

    if name != "dropout1d" or rank <= 3:
        assert shared_axes(getattr(ours, name)) == shared_axes(getattr(F, name))


@pytest.mark.parametrize(
    "p", [-0.1, 1.5, float("nan"), "half", None, [0.5], np.float32(0.5), np.float64(0.25), True, 1]
)
@pytest.mark.parametrize("name", NAMES)
def test_rates_of_all_types_end_as_in_torch(name, p):
    x = torch.ones(SHAPES[name])
    state = torch.get_rng_state()
    mine, theirs = (
        outcome(lambda f=f: f(x, p, True).shape) for f in (getattr(ours, name), getattr(F, name))
    )
    assert mine == theirs
    if isinstance(mine[0], type):
        torch.set_rng_state(state)
    kind = name.title().replace("_D", "D").replace("Feature_A", "FeatureA")
    if kind in ("Dropout", "Dropout2d") and p == p:
        mine, theirs = (outcome(lambda m=m: repr(getattr(m, kind)(p))) for m in (ours, torch.nn))
        assert mine == theirs


@pytest.mark.parametrize("x", [np.ones((4, 8, 3, 2)), [1.0, 2.0], None, "text", 3.0])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_tensor_is_refused_as_in_torch(name, x):
    mine, theirs = (
        outcome(lambda f=f: f(x, 0.5, True)) for f in (getattr(ours, name), getattr(F, name))
    )
    assert mine == theirs
    assert isinstance(mine[0], type)


def test_whole_number_and_boolean_tensors_end_as_in_torch():
    for dtype in (torch.int64, torch.bool, torch.complex64, torch.uint8):
        x = torch.ones(64, dtype=dtype)
        mine, theirs = (
            outcome(lambda f=f, x=x: f(x, 0.5, True).dtype) for f in (ours.dropout, F.dropout)
        )
        assert mine == theirs


@pytest.mark.parametrize(
    "views",
    [
        lambda x: [x[:4]],
        lambda x: x.chunk(2),
        lambda x: x.split(4),
        lambda x: x.view(2, 4).unbind(),
        lambda x: [x],
        lambda x: [x.view(2, 4)],
    ],
)
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_what_must_not_be_written_is_as_it_was(views, p):
    x = torch.ones(8, requires_grad=True)
    target = views(x)[0]
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match=r"in-?place"):
        ours.dropout(target, p, inplace=True)
    assert torch.equal(x.detach(), torch.ones(8))
    assert torch.equal(state, torch.get_rng_state())


def test_views_of_one_output_may_not_be_written():
    x = torch.ones(8, requires_grad=True) * 1
    first = x.chunk(2)[0]
    with pytest.raises(RuntimeError, match="view"):
        ours.dropout(first, 0.5, inplace=True)
    assert torch.equal(x.detach(), torch.ones(8))


def test_in_place_on_a_view_goes_into_the_gradient_of_its_base():
    x = torch.ones(8, requires_grad=True)
    base = x * 3
    view = base[:4]
    assert ours.dropout(view, 0.5, inplace=True, key=KEY) is view
    base.sum().backward()
    mask = torch.from_numpy(df.dropout_mask(4, 0.5, KEY))
    assert torch.equal(x.grad, torch.cat([6.0 * mask, torch.full((4,), 3.0)]))


def test_in_place_without_gradients_returns_the_object():
    leaf = torch.ones(64, requires_grad=True)
    with torch.no_grad():
        assert ours.dropout(leaf, 0.5, inplace=True) is leaf
    assert leaf._version == 1
    with torch.inference_mode():
        x = torch.ones(64)
        assert ours.dropout(x, 0.5, inplace=True) is x
        assert set(x.tolist()) == {0.0, 2.0}
    with pytest.raises(RuntimeError, match=r"[Ii]nference"):
        ours.dropout(x, 0.5, inplace=True)


def test_inference_mode():
    with torch.inference_mode():
        assert ours.dropout(torch.ones(64), 0.5).is_inference()
    x = torch.ones(8, requires_grad=True)
    ours.dropout(x, 0.5).sum().backward()


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_default_devices_of_others(device):
    x = torch.ones(100, requires_grad=True)
    torch.set_default_device(device)
    try:
        for y in (ours.dropout(x, 0.5), ours.Dropout(0.5)(x), ours.Dropout(0.5, seed=1)(x)):
            assert y.device.type == "cpu"
            y.sum().backward()
    finally:
        torch.set_default_device(None)
    with torch.device("meta"):
        assert ours.dropout(x, 0.5).device.type == "cpu"


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_tensors_that_only_torch_knows():
    nested = torch.nested.nested_tensor([torch.ones(3), torch.ones(5)])
    assert ours.dropout(nested, 0.5).is_nested
    zeros = torch._efficientzerotensor((5,))
    assert not ours.dropout(zeros, 0.5).any()
    assert ours.dropout(torch.ones(3, device="meta"), 0.5).device.type == "meta"
    with pytest.raises(NotImplementedError, match="key and noise_shape need a plain CPU tensor"):
        ours.dropout(torch.ones(3, device="meta"), 0.5, key=KEY)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_jagged_tensors():
    nested = torch.nested.nested_tensor([torch.ones(3, 2), torch.ones(5, 2)], layout=torch.jagged)
    assert ours.dropout(nested, 0.5).values().shape == (8, 2)


class _Wrapped(torch.Tensor):
    """A tensor that holds another and has no memory of its own."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def out(x):
            return x.inner if isinstance(x, cls) else x

        result = func(*map(out, args), **{k: out(v) for k, v in (kwargs or {}).items()})
        return cls(result) if isinstance(result, torch.Tensor) else result


class _Tagged(torch.Tensor):
    pass


class _Duck:
    """Not a tensor, but PyTorch asks it."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func.__name__, args[1:], kwargs


def test_classes_of_others():
    x = torch.ones(100)
    assert isinstance(ours.dropout(_Wrapped(x), 0.5), _Wrapped)
    assert isinstance(ours.dropout(x.as_subclass(_Tagged), 0.5), _Tagged)
    for name in NAMES:
        assert getattr(ours, name)(_Duck(), 0.25)[0] == name
    parameter = torch.nn.Parameter(x)
    assert type(ours.dropout(parameter, 0.5)) is torch.Tensor


def test_a_mode_sees_the_function():
    seen = []

    class Mode(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Mode():
        y = ours.dropout(torch.ones(100), 0.5, key=KEY, noise_shape=(None,))
        ours.dropout2d(torch.ones(SHAPES["dropout2d"]), 0.5)
    assert torch.equal(y, ours.dropout(torch.ones(100), 0.5, key=KEY))
    assert ours.dropout in seen
    assert ours.dropout2d in seen


def test_ours_in_the_place_of_the_originals(monkeypatch):
    for name in NAMES:
        monkeypatch.setattr(F, name, getattr(ours, name))
    assert F.dropout(torch.ones(3, device="meta"), 0.5).device.type == "meta"
    assert F.dropout(torch.ones(3), 0.5).shape == (3,)
    with pytest.raises(ValueError, match="probability"):
        F.dropout(torch.ones(3), 1.5)


def test_seeds_and_tensors_of_others():
    with pytest.raises(ValueError, match="seed"):
        ours.Dropout(seed=-1)
    with pytest.raises(ValueError, match="p must be"):
        ours.Dropout(float("nan"))


@pytest.mark.parametrize("noise_shape", [(1,), (3, 4, 5), (2, None), (None, 0)])
def test_noise_shapes_that_do_not_fit(noise_shape):
    with pytest.raises(ValueError, match="noise_shape must have one entry per dimension"):
        ours.dropout(torch.ones(3, 4), 0.5, noise_shape=noise_shape)
    with pytest.raises(TypeError, match="noise_shape must be a tuple"):
        ours.dropout(torch.ones(3, 4), 0.5, noise_shape=("a", None))


@pytest.mark.parametrize("noise_shape", [(None, 1), (1, None), (1, 1), (3, 4)])
@pytest.mark.parametrize("transposed", [False, True])
def test_noise_shapes(noise_shape, transposed):
    x = torch.randn(4, 3).t() if transposed else torch.randn(3, 4)
    y = ours.dropout(x, 0.5, key=KEY, noise_shape=noise_shape)
    mask = torch.from_numpy(df.dropout_mask((3, 4), 0.5, KEY, noise_shape=noise_shape))
    assert torch.equal(y, 2 * x * mask)


def layouts(x):
    """The same values, as they may lie."""
    dims = list(range(x.dim()))
    yield x.contiguous()
    for order in ([*dims[::-1]], [dims[0], *dims[2:], dims[1]], [*dims[1:], dims[0]]):
        yield x.permute(order).contiguous().permute([order.index(axis) for axis in dims])
    yield torch.stack([x, x], -1)[..., 0]
    yield torch.cat([x, x], 0)[: len(x)]
    yield torch._neg_view(-x)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layouts_of_inputs_and_gradients(name, dtype):
    x = torch.randn(5, 6, *(3, 4, 2)[: len(SHAPES[name]) - 2]).to(dtype)
    dy = torch.randn(x.shape).to(dtype)
    function = getattr(ours, name)
    for key in (KEY, None):
        reference = None
        for lying in layouts(x):
            leaf = lying.detach().requires_grad_()
            torch.manual_seed(0)
            y = function(leaf, 0.5, True, key=key)
            assert y.stride() == torch.empty_like(lying).stride()
            (ones,) = torch.autograd.grad(y, leaf, torch.ones_like(dy), retain_graph=True)
            if "alpha" not in name:
                assert torch.equal(y, ones * x)
            for gradient in layouts(dy):
                (dx,) = torch.autograd.grad(y, leaf, gradient, retain_graph=True)
                torch.testing.assert_close(dx, ones * dy, rtol=1e-2, atol=1e-2)
            (dx,) = torch.autograd.grad(y.sum(), leaf, retain_graph=True)
            assert torch.equal(dx, ones)
            if key is not None:
                reference = y if reference is None else reference
                assert torch.equal(y, reference)


def test_threads_draw_apart():
    found, x = [], torch.ones(64)

    def draw():
        found.extend(tuple(ours.dropout(x, 0.5).tolist()) for _ in range(50))

    workers = [threading.Thread(target=draw) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(found)) == 200


def test_under_a_mode_of_dispatch():
    from torch.utils.flop_counter import FlopCounterMode

    x = torch.ones(100, requires_grad=True)
    with FlopCounterMode(display=False):
        y = ours.dropout(x, 0.5)
        y.sum().backward()
    assert torch.equal(x.grad, y)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dropout", (7,)),
        ("dropout", (512,)),
        ("dropout2d", (32, 63, 2, 2)),
        ("dropout3d", (2047, 2, 2, 2)),
    ],
)
def test_masks_are_the_same_with_a_gradient_and_without(name, shape):
    # A checkpoint runs the call in both ways.
    x, function = torch.ones(shape, requires_grad=True), getattr(ours, name)
    torch.manual_seed(0)
    tracked = function(x, 0.5)
    torch.manual_seed(0)
    with torch.no_grad():
        assert torch.equal(function(x, 0.5), tracked)


@pytest.mark.filterwarnings("ignore:dropout3d")
def test_a_rank_that_has_one_axis_of_decisions():
    x = torch.ones(4, requires_grad=True)
    assert ours.dropout3d(x, 0.5).shape == (4,)
