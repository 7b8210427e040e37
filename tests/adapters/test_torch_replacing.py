"""What replace_dropout and patched reach: modules, attention, recurrent layers, calls; seeds."""

from __future__ import annotations

import contextlib
import copy
import pickle

import numpy as np
import pytest

import dropfast as df

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from dropfast import torch as ours  # noqa: E402

# PyTorch 2.4 warns of its own parts in checkpoints.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.cpu.amp.autocast:FutureWarning")


class _Own(nn.Dropout):
    pass


class _Number(nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = 0.1

    def forward(self, x):
        return F.dropout(x, self.dropout, self.training)


def test_report():
    shared = nn.Dropout(0.1)
    network = nn.Sequential(
        shared, nn.ModuleDict({"inner": nn.Dropout2d(0.3)}), shared, _Own(), _Number(), nn.ReLU()
    ).eval()
    report = ours.replace_dropout(network, seed=9)
    assert report.module is network
    assert report.replaced == (
        ours.Replaced("0", nn.Dropout),
        ours.Replaced("1.inner", nn.Dropout2d),
    )
    assert [(left.name, left.kind) for left in report.left] == [("3", _Own), ("4", _Number)]
    assert "one's own, derived from torch.nn.Dropout" in report.left[0].reason
    assert "dropout=0.1" in report.left[1].reason
    assert str(report).splitlines()[0] == "replaced 2, left 2"
    inner = network[1]["inner"]
    assert network[0] is network[2] is shared
    assert (type(shared), type(inner), type(network[3])) == (ours.Dropout, ours.Dropout2d, _Own)
    assert (shared.stream, inner.stream, inner.seed, inner.p) == (0, 1, 9, 0.3)
    assert not shared.training
    again = ours.replace_dropout(network)
    assert not again.replaced
    itself = ours.replace_dropout(nn.AlphaDropout())
    assert type(itself.module) is ours.AlphaDropout
    assert "(itself): AlphaDropout" in str(itself)


def test_refusals():
    with pytest.raises(TypeError, match="module must be"):
        ours.replace_dropout(3)
    untouched = nn.Dropout()
    with pytest.raises(ValueError, match="seed"):
        ours.replace_dropout(untouched, seed=-1)
    assert type(untouched) is nn.Dropout


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_attention(need_weights, batch_first):
    torch.manual_seed(0)
    peer = nn.MultiheadAttention(16, 2, dropout=0.5, batch_first=batch_first)
    module = copy.deepcopy(peer)
    report = ours.replace_dropout(module)
    assert type(module) is ours.MultiheadAttention
    assert [entry.kind for entry in report.replaced] == [nn.MultiheadAttention]
    x = torch.randn(5, 6, 16)
    masks = [None, torch.randn(6 if batch_first else 5, 6 if batch_first else 5)]
    for mask in masks:
        expected = peer.eval()(x, x, x, attn_mask=mask, need_weights=need_weights)
        found = module.eval()(x, x, x, attn_mask=mask, need_weights=need_weights)
        assert torch.equal(expected[0], found[0])
    module.train()
    first, second = (module(x, x, x, need_weights=need_weights)[0] for _ in range(2))
    assert not torch.equal(first, second)
    if need_weights:
        weights = module(x, x, x, average_attn_weights=False)[1]
        assert 0.2 < (weights == 0).float().mean() < 0.8
    rows = [module(x, x, x, need_weights=need_weights)[0].detach() for _ in range(600)]
    mean = torch.stack(rows).mean(0)
    assert (mean - module.eval()(x, x, x)[0]).abs().max() < 0.2
    module.train()(x, x, x, need_weights=need_weights)[0].sum().backward()
    assert module.in_proj_weight.grad is not None
    assert module.state_dict().keys() == peer.state_dict().keys()


@pytest.mark.parametrize("device", [None, "cpu"])
def test_seeded_attention_and_recurrent_layers_repeat(device):
    with torch.device(device) if device else contextlib.nullcontext():
        seeded_layers_repeat()


def seeded_layers_repeat():
    x = torch.randn(5, 3, 16)
    for make, calls in [
        (lambda: nn.MultiheadAttention(16, 2, dropout=0.5), 1),
        (lambda: nn.LSTM(16, 16, 3, dropout=0.5), 2),
    ]:
        torch.manual_seed(0)
        module = make()
        ours.replace_dropout(module, seed=4)
        state = torch.get_rng_state()
        arguments = (x, x, x) if calls == 1 else (x,)
        first, second = module(*arguments)[0], module(*arguments)[0]
        assert torch.equal(state, torch.get_rng_state())
        assert not torch.equal(first, second)
        assert module.step == 2 * calls
        module.step = 0
        assert torch.equal(module(*arguments)[0], first)


@pytest.mark.parametrize("mask", [None, "bool", "float", "causal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_scaled_dot_product_attention(mask, dtype):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 8).to(dtype).requires_grad_() for n in (6, 7, 7))
    options = {}
    if mask == "bool":
        options["attn_mask"] = torch.rand(6, 7) > 0.3
    if mask == "float":
        options["attn_mask"] = torch.randn(6, 7).to(dtype)
    if mask == "causal":
        options["is_causal"] = True
    ends = []
    for function in (ours.scaled_dot_product_attention, F.scaled_dot_product_attention):
        y = function(q, k, v, dropout_p=1e-12, **options)
        ends.append((y, *torch.autograd.grad(y.square().sum(), (q, k, v))))
    tolerance = {"rtol": 2e-2, "atol": 5e-2} if dtype == torch.bfloat16 else {}
    for mine, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(mine, theirs, **tolerance)
    y = ours.scaled_dot_product_attention(q, k, v, dropout_p=0.0, **options)
    assert torch.equal(y, F.scaled_dot_product_attention(q, k, v, **options))


def test_attention_weights_of_whole_rows_are_left_out_as_in_torch():
    q = torch.randn(1, 1, 4, 8)
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[2] = False
    mine, theirs = (
        f(q, q, q, attn_mask=mask, dropout_p=1e-12)
        for f in (ours.scaled_dot_product_attention, F.scaled_dot_product_attention)
    )
    torch.testing.assert_close(mine, theirs, equal_nan=True)


def test_scaled_dot_product_attention_refuses_as_torch_does():
    q = torch.randn(1, 1, 4, 8)
    for options in (
        {"dropout_p": 1.5},
        {"dropout_p": 0.1, "attn_mask": q[0, 0, :, :4], "is_causal": True},
    ):
        raised = []
        for f in (ours.scaled_dot_product_attention, F.scaled_dot_product_attention):
            with pytest.raises((RuntimeError, ValueError)) as caught:
                f(q, q, q, **options)
            raised.append((caught.type, str(caught.value)))
        assert raised[0] == raised[1]


def test_transformers_learn():
    torch.manual_seed(0)
    model = nn.Transformer(16, 2, 2, 2, 32, dropout=0.2, batch_first=True)
    report = ours.replace_dropout(model)
    kinds = [entry.kind for entry in report.replaced]
    assert kinds.count(nn.MultiheadAttention) == 6
    assert not report.left
    x = torch.randn(3, 5, 16)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = model(x, x).sub(x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "case", ["plain", "batch_first", "packed", "unbatched", "states", "nobias"]
)
def test_recurrent_layers(kind, bidirectional, case):
    torch.manual_seed(0)
    peer = getattr(nn, kind)(
        6,
        5,
        num_layers=3,
        dropout=1e-12,
        bidirectional=bidirectional,
        batch_first=case == "batch_first",
        bias=case != "nobias",
    )
    module = copy.deepcopy(peer)
    assert [entry.kind for entry in ours.replace_dropout(module).replaced] == [type(peer)]
    assert type(module) is getattr(ours, kind)
    x = torch.randn(4, 6) if case == "unbatched" else torch.randn(4, 3, 6)
    arguments = [x]
    if case == "packed":
        arguments = [nn.utils.rnn.pack_padded_sequence(x, [4, 2, 1])]
    if case == "states":
        h = torch.randn(6 if bidirectional else 3, 3, 5)
        arguments.append((h, h.clone()) if kind == "LSTM" else h)

    def flat(found):
        return [t for t in torch.utils._pytree.tree_leaves(found) if isinstance(t, torch.Tensor)]

    for training in (True, False):
        expected = flat(peer.train(training)(*arguments))
        found = flat(module.train(training)(*arguments))
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs)
    module.dropout = 0.5
    module.train()
    first, second = (flat(module(*arguments))[0] for _ in range(2))
    assert not torch.equal(first, second)
    first.sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_projections_and_one_layer():
    lstm = nn.LSTM(6, 5, num_layers=2, dropout=0.5, proj_size=3)
    ours.replace_dropout(lstm)
    assert lstm(torch.randn(4, 3, 6))[0].shape == (4, 3, 3)
    lone = nn.Sequential(nn.MultiheadAttention(8, 2), nn.LSTM(3, 3, 2))
    assert not ours.replace_dropout(lone).replaced


def test_patched():
    originals = (F.dropout, F.scaled_dot_product_attention)
    x = torch.ones(100)
    with ours.patched(), ours.patched():
        assert F.dropout is ours.dropout
        torch.manual_seed(0)
        y = _Number()(x)
        z = nn.Dropout(0.1)(x)
    assert (F.dropout, F.scaled_dot_product_attention) == originals
    torch.manual_seed(0)
    assert torch.equal(y, ours.dropout(x, 0.1))
    assert torch.equal(z, ours.dropout(x, 0.1))
    with pytest.raises(KeyError), ours.patched():
        raise KeyError
    assert (F.dropout, F.scaled_dot_product_attention) == originals


def test_modules_copy_and_pickle():
    attention = nn.MultiheadAttention(8, 2, dropout=0.5)
    lstm = nn.LSTM(3, 3, 2, dropout=0.5)
    for module in (attention, lstm):
        ours.replace_dropout(module, seed=3)
        module.step = 5
        for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert (twin.seed, twin.step, type(twin)) == (3, 5, type(module))
            twin.step = 7
            assert module.step == 5


@pytest.mark.parametrize("reentrant", [False, True])
def test_seeds_under_checkpoints_are_refused(reentrant):
    layer = ours.Dropout(0.5, seed=1)
    x = torch.ones(10, requires_grad=True)
    y = checkpoint(lambda x: layer(x) ** 2, x, use_reentrant=reentrant)
    with pytest.raises(RuntimeError, match="can't be called while gradients are computed"):
        y.sum().backward()
    assert layer.step == 1


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_without_seeds(reentrant):
    attention = nn.MultiheadAttention(16, 2, dropout=0.5)
    ours.replace_dropout(attention)
    ends = []
    for wrapped in (False, True):
        torch.manual_seed(0)
        x = torch.ones(4, 3, 16).cumsum(0).requires_grad_()
        call = (
            (lambda x: attention(x, x, x)[0])
            if not wrapped
            else (lambda x: checkpoint(lambda x: attention(x, x, x)[0], x, use_reentrant=reentrant))
        )
        call(x).square().sum().backward()
        ends.append(x.grad)
    # Masks that differ would show in the first digit; sums of threads differ in the last.
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-4)


class _Augmented(torch.utils.data.Dataset):
    def __init__(self):
        self.layer = ours.Dropout(0.5, seed=1)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return self.layer(torch.ones(64))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_workers_of_a_loader_draw_apart():
    loader = torch.utils.data.DataLoader(_Augmented(), batch_size=None, num_workers=2)
    torch.manual_seed(0)
    first = [tuple(row.tolist()) for _ in range(2) for row in loader]
    assert len(set(first)) == 8
    torch.manual_seed(0)
    assert first == [tuple(row.tolist()) for _ in range(2) for row in loader]


def test_ranks_draw_apart(monkeypatch):
    layer, x = ours.Dropout(0.5, seed=1, stream=3), torch.ones(300)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    mask = df.dropout_mask((300,), 0.5, df.Key(1, 3 + (2 << 32), 0))
    assert np.array_equal(layer(x) != 0, mask)
