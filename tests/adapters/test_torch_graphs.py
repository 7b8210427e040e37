"""The PyTorch functions where calls are recorded or transformed: compile, export, torch.func."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest

import dropfast as df

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from dropfast import torch as ours  # noqa: E402

# PyTorch's own parts warn of one another.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

# What PyTorch 2.4 can't compile whole, whosever dropout it is.
VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
later = pytest.mark.skipif(VERSION < (2, 6), reason="PyTorch 2.6 or later")

KEY = df.Key(seed=3, stream=1, step=2**63 + 4)
SHAPES = {
    "dropout": (6, 5),
    "dropout1d": (2, 3, 4),
    "dropout2d": (2, 3, 2, 2),
    "dropout3d": (2, 3, 2, 1, 2),
    "alpha_dropout": (6, 5),
    "feature_alpha_dropout": (2, 3, 2, 2),
}
MODULES = {
    "Dropout": (6, 5),
    "Dropout1d": (2, 3, 4),
    "Dropout2d": (2, 3, 2, 2),
    "Dropout3d": (2, 3, 2, 1, 2),
    "AlphaDropout": (6, 5),
    "FeatureAlphaDropout": (2, 3, 2, 2),
}
BACKENDS = ["aot_eager", "inductor"]


def compiled(function, backend="aot_eager", **options):
    if backend == "inductor" and shutil.which("c++") is None:
        pytest.skip("no C++ compiler")
    torch._dynamo.reset()
    return torch.compile(function, backend=backend, fullgraph=True, **options)


def mask(shape, p, key):
    return torch.from_numpy(np.asarray(df.dropout_mask(shape, p, key)))


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_of_all_kinds(name):
    x = torch.randn(SHAPES[name], dtype=torch.float64, requires_grad=True)

    def call(x):
        return getattr(ours, name)(x, 0.4, True, key=KEY)

    assert torch.autograd.gradcheck(
        call,
        (x,),
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert torch.autograd.gradgradcheck(
        call, (x,), check_batched_grad=True, check_fwd_over_rev=True, check_rev_over_rev=True
    )


@pytest.mark.parametrize("name", SHAPES)
def test_transforms_of_functions(name):
    x = torch.randn(SHAPES[name], dtype=torch.float64)

    def call(x):
        return getattr(ours, name)(x, 0.4, True, key=KEY)

    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(call(leaf).sum(), leaf)
    assert torch.equal(torch.func.grad(lambda x: call(x).sum())(x), expected)
    value, tangent = torch.func.jvp(call, (x,), (torch.ones_like(x),))
    assert torch.equal(value, call(x))
    assert torch.equal(tangent, expected)
    assert torch.equal(torch.func.vjp(call, x)[1](torch.ones_like(x))[0], expected)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        found = jacobian(call)(x).reshape(x.numel(), x.numel())
        assert torch.equal(found, torch.diag(expected.flatten()))
    jacobians = (torch.func.jacrev, torch.func.jacfwd)
    for outer, inner in itertools.product(jacobians, jacobians):
        hessian = outer(inner(lambda x: (call(x) ** 2).sum()))(x).reshape(x.numel(), -1)
        assert torch.allclose(hessian, torch.diag(2 * expected.flatten() ** 2))
    assert torch.equal(torch.func.functionalize(call)(x), call(x))
    assert torch.equal(torch.func.linearize(call, x)[1](torch.ones_like(x)), expected)


@pytest.mark.parametrize("name", SHAPES)
def test_vmap(name):
    x = torch.ones(5, *SHAPES[name])

    def call(x):
        return getattr(ours, name)(x, 0.5, True)

    different = torch.func.vmap(call, randomness="different")(x)
    same = torch.func.vmap(call, randomness="same")(x)
    assert not torch.equal(different, different[:1].expand_as(different))
    assert torch.equal(same, same[:1].expand_as(same))
    with pytest.raises(RuntimeError, match="randomness error mode"):
        torch.func.vmap(call)(x)
    last = torch.func.vmap(call, in_dims=-1, randomness="same")(x.movedim(0, -1))
    assert last.shape == x.shape
    keyed = torch.func.vmap(lambda x: getattr(ours, name)(x, 0.5, True, key=KEY))(x)
    for row in keyed:
        assert torch.equal(row, getattr(ours, name)(x[0], 0.5, True, key=KEY))
    for randomness in ("different", "same"):
        per_sample = torch.func.vmap(
            torch.func.grad(lambda x: (call(x) ** 2).sum() / 2), randomness=randomness
        )(x)
        assert per_sample.shape == x.shape


def test_vmap_over_vmap_and_around_gradients():
    x = torch.ones(3, 4, 50)
    nested = torch.func.vmap(
        torch.func.vmap(lambda x: ours.dropout(x, 0.5), randomness="different"),
        randomness="different",
    )(x)
    assert len({tuple(row.tolist()) for row in nested.flatten(0, 1)}) == 12
    gradient = torch.func.grad(
        lambda x: torch.func.vmap(lambda x: ours.dropout(x, 0.5).sum(), randomness="different")(
            x
        ).sum()
    )(x[0])
    assert set(gradient.flatten().tolist()) == {0.0, 2.0}


def test_batches_of_gradients():
    x = torch.ones(30, requires_grad=True)
    y = ours.dropout(x, 0.5)
    (batch,) = torch.autograd.grad(y, x, torch.eye(30), is_grads_batched=True)
    assert torch.equal(batch, torch.diag(y.detach()))


def test_forward_mode_in_eager_and_in_place():
    import torch.autograd.forward_ad as forward

    with forward.dual_level():
        x = forward.make_dual(torch.ones(30), torch.full((30,), 3.0))
        y, dy = forward.unpack_dual(ours.dropout(x, 0.5))
        assert torch.equal(dy, 3 * y)
        target = x * 1
        ours.dropout(target, 0.5, inplace=True)
        y, dy = forward.unpack_dual(target)
        assert torch.equal(dy, 3 * y)


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(mode):
    graph = make_fx(lambda x: ours.dropout(x, 0.5), tracing_mode=mode)(torch.ones(100))
    assert "dropfast.dropout" in graph.code
    first, second = graph(torch.ones(100)), graph(torch.ones(100))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("training", [False, True])
def test_symbolic_trace(training):
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), ours.Dropout(0.5), ours.Dropout1d(0.5))
    graph = torch.fx.symbolic_trace(network.train(training))
    x = torch.randn(3, 4)
    assert graph(x).shape == (3, 4)
    if not training:
        assert torch.equal(graph(x), network(x))


def test_fake_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        x = torch.empty(3, 4, 5, 6).to(memory_format=torch.channels_last)
        y = ours.Dropout2d(0.5)(x)
        assert y.stride() == x.stride()
    outside = mode.from_tensor(torch.ones(5, requires_grad=True))
    assert ours.dropout(outside, 0.5).shape == (5,)


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict):
    network = torch.nn.Sequential(torch.nn.Linear(8, 8), ours.Dropout(0.5), ours.AlphaDropout(0.1))
    program = torch.export.export(network, (torch.ones(4, 8),), strict=strict)
    assert "dropfast.dropout" in program.graph_module.code
    module = program.module()
    assert not torch.equal(module(torch.ones(4, 8)), module(torch.ones(4, 8)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "autocast"])
def test_compiled_training(backend, kind):
    dtype = torch.bfloat16 if kind == "bfloat16" else torch.float32
    network = torch.nn.Sequential(torch.nn.Linear(8, 64), ours.Dropout(0.5)).to(dtype)
    call = compiled(network, backend)
    x = torch.randn(16, 8).to(dtype)
    kept = []
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
            y = call(x)
        y.float().sum().backward()
        kept.append((y != 0).float())
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[1], kept[2])
    assert torch.allclose(network[0].bias.grad.float(), 2 * sum(kept).sum(0))


@pytest.mark.parametrize("name", MODULES)
def test_compiled_modules_draw_what_eager_ones_draw(name):
    module = getattr(ours, name)(0.4)
    call = compiled(module)
    x = torch.randn(MODULES[name])
    torch.manual_seed(1)
    expected = module(x)
    torch.manual_seed(1)
    assert torch.equal(call(x), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_checkpoints(backend):
    layer = ours.Dropout(0.5)
    call = compiled(
        lambda x: checkpoint(lambda x: layer(x.sin()) ** 2, x, use_reentrant=False), backend
    )
    x = torch.ones(500, requires_grad=True)
    for _ in range(2):
        y = call(x)
        (dx,) = torch.autograd.grad(y.sum(), x)
        one = torch.ones(())
        assert torch.allclose(dx, 8 * (y != 0) * one.sin() * one.cos())


def test_compiled_with_shapes_that_change():
    call = compiled(ours.Dropout2d(0.5), dynamic=True)
    for n in (3, 5, 7):
        x = torch.ones(n, 4, 3, n, requires_grad=True)
        y = call(x)
        y.sum().backward()
        assert torch.equal(x.grad, y)
        assert (y == y[:, :, :1, :1]).all()


@later
def test_compiled_with_keys():
    assert torch.equal(
        compiled(lambda x: ours.dropout(x, 0.5, key=KEY))(torch.ones(64)),
        ours.dropout(torch.ones(64), 0.5, key=KEY),
    )


def test_compiled_with_seeds():
    layer = ours.Dropout(0.5, seed=7, stream=2)
    call = compiled(layer)
    for step in range(4):
        assert torch.equal(call(torch.ones(300)) != 0, mask((300,), 0.5, df.Key(7, 2, step)))
    assert layer.step == 4


def test_compiled_in_place_and_eval():
    call = compiled(lambda x: ours.dropout(x * 1, 0.5, True, True))
    x = torch.ones(64, requires_grad=True)
    y = call(x)
    y.sum().backward()
    assert torch.equal(x.grad, y)
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), ours.Dropout(0.5)).eval()
    x = torch.randn(3, 4)
    assert torch.allclose(compiled(network)(x), network(x))


@later
def test_compiled_backward_passes():
    network = torch.nn.Sequential(torch.nn.Linear(8, 64), ours.Dropout(0.5))
    with torch._dynamo.config.patch(compiled_autograd=True):
        torch._dynamo.reset()

        @torch.compile(backend="aot_eager")
        def train(x):
            y = network(x)
            y.sum().backward()
            return y

        for _ in range(3):
            network.zero_grad()
            y = train(torch.ones(8))
            assert torch.equal(network[0].bias.grad, 2.0 * (y != 0))


@later
def test_compiled_graphs_are_found_in_the_cache(tmp_path, monkeypatch):
    from torch._dynamo.utils import counters

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network = torch.nn.Sequential(torch.nn.Linear(8, 64), ours.Dropout(0.5))
    with torch._functorch.config.patch(enable_autograd_cache=True):
        for _ in range(2):
            counters.clear()
            compiled(network, "inductor")(torch.ones(8)).sum().backward()
        assert counters["aot_autograd"]["autograd_cache_hit"] == 1


@later
def test_compiled_attention():
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.5, batch_first=True)
    ours.replace_dropout(layer)
    x = torch.randn(2, 5, 16)
    first, second = (compiled(layer)(x) for _ in range(2))
    first.sum().backward()
    assert not torch.equal(first, second)
    attention = ours.MultiheadAttention(16, 2, dropout=0.5, batch_first=True)
    assert (compiled(attention)(x, x, x)[1] == 0).any()


@pytest.mark.skipif(not hasattr(torch.jit, "script"), reason="this PyTorch has no TorchScript")
def test_torchscript_takes_the_module_of_torch():
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), ours.Dropout(0.5))
    scripted = torch.jit.script(network)
    assert not torch.equal(scripted(torch.ones(3, 4)), scripted(torch.ones(3, 4)))
    traced = torch.jit.trace(ours.Dropout(0.5), torch.ones(100), check_trace=False)
    assert not torch.equal(traced(torch.ones(100)), traced(torch.ones(100)))
