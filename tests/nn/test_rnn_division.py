"""Recurrent layers whose work is divided among threads, by rows or by units, against their cells."""

import pytest

import flambeau as fb
from flambeau import nn

KINDS = [("LSTM", {}), ("GRU", {}), ("RNN", {}), ("RNN", {"nonlinearity": "relu"})]


def by_cells(layer, cell, x, lengths):
    """The last hidden state of every sequence, and the sum of all outputs, by the cell."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    last, total = [], 0.0
    for i, length in enumerate(lengths):
        h = fb.zeros(1, layer.hidden_size)
        state = (h, h) if layer.mode == "LSTM" else h
        for step in range(length):
            weights = {n: getattr(layer, n + "_l0") for n in names}
            state = fb.func.functional_call(cell, weights, (x[step, i : i + 1], state))
            h = state[0] if layer.mode == "LSTM" else state
            total = total + h.sum()
        last.append(h)
    return fb.cat(last), total


@pytest.mark.parametrize("batch", [1, 3, 21])  # 21 rows are divided, one row's 200 units are
@pytest.mark.parametrize("kind, options", KINDS)
def test_against_cells(kind, options, batch):
    fb.manual_seed(0)
    layer = getattr(nn, kind)(24, 200, **options)
    cell = getattr(nn, kind + "Cell")(24, 200, **options)
    lengths = [5 - i % 4 for i in range(batch)]
    x = fb.randn(5, batch, 24, requires_grad=True)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    out, state = layer(packed)
    last = (state[0] if kind == "LSTM" else state)[0]
    parameters = [x, *layer.parameters()]
    got = fb.autograd.grad(out.data.sum() + (last * last).sum(), parameters)
    last_wanted, total = by_cells(layer, cell, x, lengths)
    wanted = fb.autograd.grad(total + (last_wanted * last_wanted).sum(), parameters)
    fb.testing.assert_close(last, last_wanted)
    fb.testing.assert_close(out.data.sum(), total, rtol=1e-4, atol=1e-4)
    for g, w in zip(got, wanted, strict=True):
        fb.testing.assert_close(g, w, rtol=1e-4, atol=1e-5 * float(w.abs().max()) + 1e-6)
    with fb.no_grad():
        quiet = layer(packed)[0].data
    fb.testing.assert_close(quiet, out.data)


@pytest.mark.parametrize(
    "inputs, hidden, bias", [(7, 37, True), (512, 40, True), (600, 16, False), (1, 520, True)]
)
@pytest.mark.parametrize("kind, options", KINDS)
def test_answers_agree_with_training(kind, options, inputs, hidden, bias):
    # With enough rows an answer adds up the shares of input and state at once; a gradient to come forbids it.
    fb.manual_seed(0)
    layer = getattr(nn, kind)(inputs, hidden, num_layers=2, bidirectional=True, bias=bias, **options)
    x = fb.randn(4, 27, inputs)
    start = fb.randn(4, 27, hidden)
    start = (start, fb.randn(4, 27, hidden)) if kind == "LSTM" else start
    given = [s.clone() for s in (start if kind == "LSTM" else (start,))]
    lengths = [4 - i % 3 for i in range(27)]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    for data in (x, packed):
        wanted = layer(data, start)
        for _ in range(3):  # packs the weights, keeps them, reads the kept ones
            with fb.no_grad():
                got = layer(data, start)
        outs = (got[0], wanted[0]) if data is x else (got[0].data, wanted[0].data)
        fb.testing.assert_close(outs[0], outs[1].detach())
        states = zip(got[1], wanted[1], strict=True) if kind == "LSTM" else [(got[1], wanted[1])]
        for a, b in states:
            fb.testing.assert_close(a, b.detach())
    for kept, s in zip(given, start if kind == "LSTM" else (start,), strict=True):
        assert fb.equal(kept, s)  # the states given are only read


def test_answers_see_new_weights():
    layer = nn.LSTM(8, 24)
    x = fb.randn(3, 20, 8)
    with fb.no_grad():
        for _ in range(3):
            layer(x)
        for p in layer.parameters():
            p.mul_(0.5)
        got = layer(x)[0]
    fb.testing.assert_close(got, layer(x)[0].detach())
