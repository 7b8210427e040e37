"""from_torch and to_torch: equal predictions; what has no counterpart is named."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import dropfast as df
from dropfast import layers as L

torch = pytest.importorskip("torch")
nn = torch.nn


def moved(network):
    """Parameters and running statistics of no special value."""
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.dtype.is_floating_point:
            low = 0.3 if "var" in name else -1.0
            tensor.uniform_(low, 1.0)
    return network.eval()


NETWORKS = [
    (nn.Sequential(nn.Linear(4, 5), act, nn.Linear(5, 2)), (4,))
    for act in (
        *(nn.ReLU(), nn.LeakyReLU(0.3), nn.ELU(0.5), nn.SELU(), nn.GELU(), nn.GELU("tanh")),
        *(nn.ReLU6(), nn.Softplus(), nn.Softsign(), nn.Hardsigmoid(), nn.Hardswish(), nn.Mish()),
        *(nn.LogSigmoid(), nn.Hardtanh(), nn.Tanhshrink(), nn.CELU(0.5)),
        *(nn.SiLU(), nn.Tanh(), nn.Sigmoid(), nn.Softmax(1), nn.Softmax(-1), nn.Identity()),
        *(nn.Dropout(0.3), nn.AlphaDropout(0.3), nn.Dropout(0.0), nn.PReLU(), nn.PReLU(5)),
        *(nn.BatchNorm1d(5), nn.BatchNorm1d(5, 0.1, 0.2, False), nn.LayerNorm(5)),
        nn.LayerNorm(5, elementwise_affine=False),
    )
] + [
    (nn.Sequential(nn.Flatten(), nn.Linear(6, 3, bias=False)), (2, 3)),
    (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Flatten(), nn.Linear(8, 2)), (2, 3)),
    (nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 2))).double(), (4,)),
    (nn.Sequential(nn.Tanh()), (4,)),
]


@pytest.mark.parametrize(("network", "shape"), NETWORKS, ids=lambda value: str(value)[:60])
def test_there_and_back(network, shape):
    moved(network)
    model = df.from_torch(network, shape, seed=0)
    x = np.random.default_rng(0).normal(size=(6, *shape)).astype(model.dtype)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
        again = model.to_torch().eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.predict(x), expected, 1e-6, 1e-6)
    np.testing.assert_allclose(again, expected, 1e-6, 1e-6)
    assert again.dtype == expected.dtype


def test_weights_are_copies_and_names_and_frozen_layers_come_along():
    names = OrderedDict(first=nn.Linear(3, 2), drop=nn.Dropout(0.4), last=nn.Linear(2, 1))
    network = nn.Sequential(names)
    network.first.requires_grad_(False)
    model = df.from_torch(network)
    assert [layer.name for layer in model.layers] == ["first", "drop", "last"]
    assert [layer.trainable for layer in model.layers] == [False, True, True]
    assert model.layers[1].rate == 0.4
    before = network.last.weight.clone()
    model.layers[2].kernel[...] = 7.0
    assert torch.equal(network.last.weight, before)
    back = model.to_torch()
    assert back.drop.p == 0.4
    assert [p.requires_grad for p in back.parameters()] == [False, False, True, True]
    assert back.last.weight.tolist() == [[7.0, 7.0]]


def test_a_sequential_of_ours():
    model = df.Sequential(
        [
            L.Input((2, 3)),
            L.Rescaling(0.5, 0.25),
            L.Flatten(),
            L.Normalization(mean=[1e3, 2.0, 3.0, 4.0, 5.0, 6.0], variance=[4.0] * 6),
            L.Dense(4, "relu"),
            L.BatchNormalization(center=False),
            L.Dropout(0.5),
            L.Dense(4, "softmax"),
            L.PReLU(df.initializers.Constant(0.1)),
            L.Reshape((2, 2)),
            L.Softmax(1),
            L.Flatten(),
            L.LayerNormalization(scale=False),
            L.Dense(2, "elu"),
        ],
        seed=0,
    )
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    network = model.to_torch()
    assert type(network) is nn.Sequential
    with torch.no_grad():
        found = network.eval()(torch.from_numpy(x)).numpy()
        dropped = [network.train()(torch.from_numpy(x)) for _ in range(2)]
    np.testing.assert_allclose(found, model.predict(x), 1e-6, 1e-6)
    assert not torch.equal(*dropped)


def test_graphs():
    a, b = df.Input(4, name="a"), df.Input(4, name="b")
    shared = L.Dense(4, "tanh", name="shared")
    h, k = shared(a), shared(b)
    parts = [cls()([h, k]) for cls in (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum)]
    words = L.Flatten()(L.Embedding(3, 2)(b))
    both = L.Concatenate()([*parts, L.Subtract()([h, k]), L.Dot(1, normalize=True)([h, k]), words])
    ends = {"o": L.Dense(2, name="o")(both), "p": 2 * h - 1}
    model = df.Model({"a": a, "b": b}, ends, seed=0)
    rng = np.random.default_rng(0)
    x = {"a": rng.normal(size=(5, 4)), "b": rng.integers(0, 3, (5, 4))}
    x = {name: array.astype(np.float32) for name, array in x.items()}
    network = model.to_torch().eval()
    found = network({name: torch.from_numpy(array) for name, array in x.items()})
    for name, expected in model.predict(x).items():
        np.testing.assert_allclose(found[name].detach().numpy(), expected, 1e-6, 1e-6)
    assert len(list(network.parameters())) == len(model.weights)
    again = df.Model([a, b], [h, k], seed=0).to_torch()
    assert len(again([torch.zeros(2, 4), torch.zeros(2, 4)])) == 2


REFUSED = [
    (nn.Sequential(nn.Linear(4, 2), nn.Conv1d(1, 1, 1)), None, TypeError, "1 = Conv1d"),
    (nn.Sequential(nn.Linear(4, 2), nn.Linear(3, 2)), None, ValueError, "fit each other.*1 = Lin"),
    (nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), None, ValueError, "input_shape must be given"),
    (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), (2, 3), ValueError, "vectors before 1"),
    (nn.Sequential(nn.Linear(4, 2).half()), None, TypeError, "float32, or all float64"),
    (nn.Sequential(nn.Identity()), 4, ValueError, "does something"),
    (nn.Sequential(nn.Linear(4, 2), nn.Hardtanh(0, 1)), None, ValueError, "1 = Hardtanh"),
    (nn.Linear(4, 2), None, TypeError, "nn.Sequential.*Linear"),
    (nn.Sequential(nn.Embedding(3, 2, padding_idx=0)), 4, ValueError, "padding"),
]


@pytest.mark.parametrize(("network", "shape", "error", "message"), REFUSED)
def test_modules_without_counterpart_are_named(network, shape, error, message):
    with pytest.raises(error, match=message):
        df.from_torch(network, shape)


LAYERS = [
    L.GaussianDropout(0.5, name="odd"),
    L.Dropout(0.5, noise_shape=(None, 1), name="odd"),
    L.Dropout(0.5, scale_at="inference", name="odd"),
    L.Lambda(np.tanh, name="odd"),
    L.Dense(2, np.tanh, name="odd"),
    L.Dense(2, "exponential", name="odd"),
    L.ReLU(threshold=0.5, name="odd"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_layers_without_counterpart_are_named(layer):
    model = df.Sequential([L.Input(4), layer, L.Dense(1)], seed=0)
    with pytest.raises(ValueError, match=r"layer 'odd' of class \w+ has no counterpart in PyTorch"):
        model.to_torch()
    with pytest.raises(ValueError, match="must be built"):
        df.Sequential([L.Dense(1)]).to_torch()


def test_other_runtimes_read_it(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    model = df.from_torch(network, 2)
    x = np.array([[0, 4], [2, 1]])
    expected = network(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(model.predict(x), expected, 1e-6, 1e-6)
    torch.save(model.to_torch().state_dict(), tmp_path / "m.pt")
    state = torch.load(tmp_path / "m.pt", weights_only=True)
    assert state["dense.weight"].shape == (2, 6)
