"""fit_sequential: an nn.Sequential trained by dropfast's engine, in its parameters' memory."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402

from dropfast.torch import fit_sequential  # noqa: E402

X = torch.linspace(-2, 2, 512 * 20).reshape(20, 512).t().contiguous().sin()
Y = (X[:, 0] * X[:, 1] > 0).long()


def make(dropout=0.0, dtype=torch.float32):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(20, 32), nn.BatchNorm1d(32), nn.Tanh()),
        nn.LayerNorm(32),
        nn.Linear(32, 16, bias=False),
        nn.GELU(approximate="tanh"),
        nn.Identity(),
        nn.Dropout(dropout),
        nn.Linear(16, 2),
    ).to(dtype)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01, eps=1e-12),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, eps=1e-12),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_torch(name):
    mine, theirs = make(dtype=torch.float64), make(dtype=torch.float64)
    if "adam" in name:
        # A bias before a batch norm has gradients of noise alone, which Adam blows up.
        for network in (mine, theirs):
            network[1][1] = nn.Identity()
    fit_sequential(
        mine,
        X.double(),
        Y,
        loss=nn.CrossEntropyLoss(),
        optimizer=OPTIMIZERS[name](mine.parameters()),
        epochs=2,
        batch_size=64,
        shuffle=False,
        verbose=0,
    )
    optimizer = OPTIMIZERS[name](theirs.parameters())
    for _ in range(2):
        for i in range(0, 512, 64):
            optimizer.zero_grad()
            rows = X[i : i + 64].double()
            nn.functional.cross_entropy(theirs(rows), Y[i : i + 64]).backward()
            optimizer.step()
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    for (key, a), b in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
        close = {"rtol": 2e-3, "atol": 2e-4}
        if "running_var" in key:
            close = {"rtol": 0.05, "atol": 0.01}
        torch.testing.assert_close(a, b, **close)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (nn.CrossEntropyLoss(), Y),
        (nn.CrossEntropyLoss(label_smoothing=0.1), Y),
        ("sparse_categorical_crossentropy", Y),
        (nn.MSELoss(), X[:, :2]),
        (nn.L1Loss(), X[:, :2]),
        (nn.HuberLoss(delta=0.5), X[:, :2]),
        (nn.BCEWithLogitsLoss(), (X[:, :2] > 0).float()),
    ],
)
def test_losses_and_identity(loss, targets):
    network = make(0.2)
    if isinstance(loss, str):
        network.append(nn.Softmax(-1))
    before = dict(network.named_parameters())
    pointers = {name: parameter.data_ptr() for name, parameter in before.items()}
    versions = {name: parameter._version for name, parameter in before.items()}
    values = copy.deepcopy(network.state_dict())
    history = fit_sequential(
        network, X, targets, loss=loss, optimizer="adam", epochs=6, seed=3, verbose=0
    )
    losses = history.history["loss"]
    assert losses[-1] < losses[0]
    assert network.training
    for name, parameter in network.named_parameters():
        assert parameter is before[name]
        assert parameter.requires_grad
        assert parameter._version > versions[name]
        assert not torch.equal(parameter, values[name])
    assert network[-1 if not isinstance(loss, str) else -2].bias.data_ptr() == pointers["7.bias"]
    again = make(0.2)
    if isinstance(loss, str):
        again.append(nn.Softmax(-1))
    fit_sequential(again, X, targets, loss=loss, optimizer="adam", epochs=6, seed=3, verbose=0)
    for a, b in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_training_goes_on_in_torch_and_back():
    network = make(0.1)
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    for _ in range(2):
        fit_sequential(network, X, Y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, verbose=0)
        nn.functional.cross_entropy(network(X), Y).backward()
        optimizer.step()
    fresh = make()
    fresh.load_state_dict(network.state_dict())
    torch.testing.assert_close(fresh.eval()(X), network.eval()(X))
    assert network[1][1].num_batches_tracked == 2 * 16 + 2


def test_frozen_layers_stay():
    network = make()
    network[3].requires_grad_(False)
    before = network[3].weight.clone()
    fit_sequential(network, X, Y, loss=nn.CrossEntropyLoss(), verbose=0)
    assert torch.equal(network[3].weight, before)


class _Own(nn.Linear):
    pass


def _hooked():
    layer = nn.Linear(20, 2)
    layer.register_forward_hook(lambda *_: None)
    return layer


def _half_frozen():
    layer = nn.Linear(20, 2)
    layer.bias.requires_grad_(False)
    return layer


@pytest.mark.parametrize(
    ("modules", "kind", "words"),
    [
        ([nn.Conv1d(1, 1, 1)], TypeError, "0 = Conv1d"),
        ([nn.Sequential(_Own(20, 2))], TypeError, "0.0 = _Own"),
        ([_hooked()], ValueError, "hooks"),
        ([_half_frozen()], ValueError, "only a part is trained"),
        ([nn.Linear(20, 2), nn.Softmax(0)], ValueError, "its axis must be the last"),
        ([nn.Linear(20, 2), nn.BatchNorm1d(2, momentum=None)], ValueError, "momentum"),
        ([nn.Linear(20, 2), nn.LayerNorm((2, 1))], ValueError, "one axis"),
        ([nn.Linear(19, 2)], ValueError, "features that Linear"),
        ([nn.Linear(20, 2, dtype=torch.bfloat16)], TypeError, "float32"),
        ([nn.Linear(20, 2, device="meta")], TypeError, "on the CPU"),
    ],
)
def test_what_has_no_counterpart_is_named(modules, kind, words):
    network = nn.Sequential(*modules)
    with pytest.raises(kind, match=words):
        fit_sequential(network, X, Y, loss=nn.CrossEntropyLoss(), verbose=0)


def test_other_refusals():
    network = make()
    before = copy.deepcopy(network.state_dict())

    def fit(**options):
        return fit_sequential(
            network, **{"x": X, "y": Y, "loss": nn.CrossEntropyLoss(), "verbose": 0, **options}
        )

    with pytest.raises(TypeError, match=r"network must be a torch\.nn\.Sequential"):
        fit_sequential(nn.Linear(2, 2), X, Y, loss="mse")
    for loss in (nn.CTCLoss(), nn.CrossEntropyLoss(reduction="sum"), nn.MSELoss(reduction="none")):
        with pytest.raises(ValueError, match="loss must be"):
            fit(loss=loss)
    for optimizer in (
        torch.optim.Adagrad(network.parameters()),
        torch.optim.SGD(network.parameters(), 0.1, weight_decay=0.1),
        torch.optim.SGD(network[3].parameters(), 0.1),
    ):
        with pytest.raises(ValueError, match="optimizer must be"):
            fit(optimizer=optimizer)
    shared = nn.Linear(20, 20)
    with pytest.raises(ValueError, match="each module once"):
        fit_sequential(nn.Sequential(shared, shared), X, Y, loss="mse")
    with pytest.raises(ValueError):  # noqa: PT011
        fit(x=X[:10])
    with pytest.raises(ValueError):  # noqa: PT011
        fit(batch_size=0)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
