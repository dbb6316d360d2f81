"""`FlopCounterMode`: the counts and tables of PyTorch."""

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.utils.flop_counter import FlopCounterMode, register_flop_formula

F = torch.nn.functional


def count(function):
    with FlopCounterMode(display=False) as counter:
        function()
    return counter


def by_name(counter, module="Global"):
    return {str(k): v for k, v in counter.get_flop_counts()[module].items()}


def test_modules_forward_and_backward():
    linear = nn.Linear(8, 16)
    found = count(lambda: linear(torch.ones(2, 3, 8, requires_grad=True)).sum().backward())
    assert found.get_total_flops() == 4608
    assert by_name(found, "Linear") == {"aten.addmm": 1536, "aten.mm": 3072}
    with torch.no_grad():
        assert count(lambda: linear(torch.ones(4, 8))).get_total_flops() == 1024


@pytest.mark.parametrize(
    ("module", "shape", "forward", "backward"),
    [
        (nn.Conv2d(3, 6, 3, padding=1, stride=2), (2, 3, 9, 9), 16200, 32400),
        (nn.ConvTranspose2d(3, 6, 3, stride=2), (2, 3, 9, 9), 52488, 104976),
        (nn.Conv1d(4, 8, 3, groups=2), (2, 4, 9), 1344, 4032),
    ],
)
def test_convolutions(module, shape, forward, backward):
    found = by_name(count(lambda: module(torch.ones(shape, requires_grad=True)).sum().backward()))
    assert found == {"aten.convolution": forward, "aten.convolution_backward": backward}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: torch.matmul(torch.ones(2, 3, 4), torch.ones(4, 5)), {"aten.mm": 240}),
        (lambda: torch.matmul(torch.ones(2, 6, 3, 4), torch.ones(6, 4, 5)), {"aten.bmm": 1440}),
        (
            lambda: torch.ones(2, 3, 5).baddbmm(torch.ones(2, 3, 4), torch.ones(2, 4, 5)),
            {"aten.baddbmm": 240},
        ),
        (lambda: torch.einsum("bij,bjk->bik", torch.ones(2, 3, 4), torch.ones(2, 4, 5)), {"aten.bmm": 240}),
        (lambda: torch.ones(3, 4) @ torch.ones(4), None),
    ],
)  # fmt: skip
def test_products(function, expected):
    counter = count(function)
    assert (by_name(counter) if counter.get_flop_counts() else None) == expected


def test_attention_layers():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    found = count(lambda: layer(torch.ones(7, 2, 8)).sum().backward())
    assert found.get_total_flops() == 47040
    assert by_name(found, "TransformerEncoderLayer.self_attn") == {
        "aten.addmm": 7168,
        "aten.bmm": 9408,
        "aten.mm": 8960,
    }
    assert by_name(found, "TransformerEncoderLayer.linear1") == {"aten.addmm": 3584, "aten.mm": 7168}


TABLE = """\
Module                          FLOP    % Total
---------------------------  -------  ---------
Sequential                   96.768K    100.00%
- aten.convolution           31.104K     32.14%
- aten.addmm                 11.520K     11.90%
- aten.mm                    23.040K     23.81%
- aten.convolution_backward  31.104K     32.14%
Sequential.0                 62.208K     64.29%
- aten.convolution           31.104K     32.14%
- aten.convolution_backward  31.104K     32.14%
Sequential.3                 34.560K     35.71%
- aten.addmm                 11.520K     11.90%
- aten.mm                    23.040K     23.81%"""


def test_table(capsys):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    with FlopCounterMode() as counter:
        net(torch.ones(2, 3, 8, 8)).sum().backward()
    assert counter.get_table() == TABLE
    assert capsys.readouterr().out == TABLE + "\n"
    assert counter.get_table(1) == "\n".join(TABLE.split("\n")[:7])


def test_own_formulas():
    def doubled(x_shape, *args, out_shape=None, **kwargs):
        return 2 * x_shape[0]

    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.exp: doubled}) as counter:
        torch.ones(5).exp()
    assert counter.get_total_flops() == 10
    with pytest.raises(ValueError, match="expected each target to be OpOverloadPacket"):
        register_flop_formula(torch.mm)(doubled)
    with pytest.raises(RuntimeError, match="duplicate registrations for"):
        register_flop_formula(torch.ops.aten.mm)(doubled)
