"""Each ailment is planted in a small model, and must be found; a healthy model must get no warning."""

import pytest

import flambeau as fb
from flambeau import nn

F = nn.functional


def classifier(*middle):
    fb.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), *middle, nn.Linear(12, 4))


def batch(classes=4):
    fb.manual_seed(1)
    return fb.randn(16, 6), fb.randint(0, classes, (16,))


def examine(model, data, loss=None, *args, **kwargs):
    return fb.doctor(model, data, loss or nn.CrossEntropyLoss(), *args, show=False, **kwargs)


def find(checkup, kind):
    found = [finding for finding in checkup.findings if finding.kind == kind]
    assert found, f"{kind!r} is not among {checkup.kinds()}"
    return found[0]


def test_healthy():
    model = classifier(nn.ReLU())
    optimizer = fb.optim.SGD(model.parameters(), lr=0.1)
    x, y = batch()

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = fb.get_rng_state()
    checkup = examine(model, (x, y), None, optimizer, step=step)
    assert checkup.findings == [] and checkup.healthy and "nothing is wrong" in str(checkup)
    assert checkup.loss == pytest.approx(F.cross_entropy(model(x), y).item())
    assert set(checkup.gradients) == set(before)
    assert all(p.grad is None for p in model.parameters())
    assert all(fb.equal(before[name], value) for name, value in model.state_dict().items())
    assert fb.equal(random, fb.get_rng_state())


def test_eval_mode():
    finding = find(examine(classifier(nn.Dropout(0.5)).eval(), batch()), "model in eval mode")
    assert finding.severity == "error" and finding.where == "1" and "model.train()" in finding.remedy
    assert examine(classifier(nn.ReLU()).eval(), batch()).healthy  # nothing in it depends on the mode


def test_buffers_are_put_back():
    model = classifier(nn.BatchNorm1d(12))
    examine(model, batch())
    assert model[1].num_batches_tracked.item() == 0 and model[1].running_mean.abs().sum().item() == 0


def test_frozen():
    model = classifier(nn.ReLU())
    model[0].requires_grad_(False)
    assert find(examine(model, batch()), "frozen parameters").where == "0.weight, 0.bias"
    model.requires_grad_(False)
    checkup = examine(model, batch())
    assert find(checkup, "frozen parameters").severity == "error"
    find(checkup, "loss without gradient")


class Hiding(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(6, 6)]
        self.scale = fb.ones(1, requires_grad=True)
        self.last = nn.Linear(6, 4)
        self.spare = nn.Linear(3, 3)

    def forward(self, x):
        return self.last(self.layers[0](x)) * self.scale


def test_unregistered_and_unused():
    checkup = examine(Hiding(), batch())
    assert [f.where for f in checkup.findings if f.kind == "unregistered"] == ["layers", "scale"]
    assert find(checkup, "unused parameters").where == "spare.weight, spare.bias"


def test_foreign_leaf():
    offset = fb.zeros(4, requires_grad=True)
    checkup = examine(classifier(nn.ReLU()), batch(), lambda out, y: F.cross_entropy(out + offset, y))
    assert "(4,)" in find(checkup, "unregistered").message


@pytest.mark.parametrize(
    "last, loss, kind, severity",
    [
        (nn.Softmax(1), F.cross_entropy, "double softmax", "error"),
        (nn.LogSoftmax(1), F.cross_entropy, "double softmax", "warning"),
        (nn.Identity(), F.nll_loss, "nll_loss without log_softmax", "error"),
    ],
)
def test_softmax(last, loss, kind, severity):
    model = nn.Sequential(classifier(nn.ReLU()), last)
    assert find(examine(model, batch(), loss), kind).severity == severity


def test_softmax_used_rightly():
    model = nn.Sequential(classifier(nn.ReLU()), nn.LogSoftmax(1))
    assert examine(model, batch(), nn.NLLLoss()).healthy


def test_double_sigmoid_and_targets_of_bce():
    model = nn.Sequential(nn.Linear(6, 1), nn.Sigmoid())
    x = fb.randn(16, 6)
    checkup = examine(model, (x, fb.full((16, 1), 3.0)), nn.BCEWithLogitsLoss())
    find(checkup, "double sigmoid")
    assert "from 3 to 3" in find(checkup, "labels out of range").message
    assert examine(model, (x, fb.ones(16, 1)), nn.BCELoss()).healthy


def test_labels_out_of_range():
    x, y = batch()
    y[3], y[5] = 4, -1
    checkup = examine(classifier(nn.ReLU()), (x, y))
    text = find(checkup, "loss fails").message + " ".join(f.message for f in checkup.findings)
    assert "2 labels are outside: -1, 4" in text
    y[3], y[5] = -100, 0
    assert examine(classifier(nn.ReLU()), (x, y)).healthy  # ignore_index


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, lambda out, y: ((out - y) ** 2).mean()])
def test_broadcast(loss):
    x, y = fb.randn(16, 6), fb.randn(16)
    with pytest.warns(UserWarning) if hasattr(loss, "__code__") and loss.__name__ != "<lambda>" else none():
        checkup = examine(nn.Linear(6, 1), (x, y), loss)
    assert "(16, 1) and targets (16,)" in find(checkup, "shapes broadcast").message
    assert examine(nn.Linear(6, 1), (x, y[:, None]), loss).healthy


def none():
    import contextlib

    return contextlib.nullcontext()


class Logarithm(nn.Module):
    def forward(self, x):
        return (x - 1).log()


def test_nan_forward():
    finding = find(examine(classifier(Logarithm(), nn.ReLU()), batch()), "NaN in the forward pass")
    assert finding.where == "1" and "arose in log, given (16, 12) from" in finding.message


class Root(nn.Module):
    def forward(self, x):
        return (x * 0).sqrt() + x


def test_nan_backward():
    checkup = examine(classifier(Root()), batch())
    finding = [f for f in checkup.findings if "backward pass" in f.kind]
    assert finding and finding[0].where == "1" and "SqrtBackward0" in finding[0].message


def test_masks_may_be_infinite():
    model = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    x, target = fb.randn(3, 5, 8), fb.randn(3, 5, 8)
    mask = fb.tensor([[False, False, False, False, True]] * 3)
    assert examine(model, ({"src": x, "src_key_padding_mask": mask}, target), F.mse_loss).healthy
    scores = nn.Sequential(nn.Linear(6, 4))

    def all_masked(out, y):
        return F.cross_entropy(out.masked_fill(fb.ones(16, 4, dtype=fb.bool), -fb.inf), y)

    finding = find(examine(scores, batch(), all_masked), "NaN in the forward pass")
    assert "arose in cross_entropy_loss" in finding.message


def test_bad_parameters():
    model = classifier(nn.ReLU())
    with fb.no_grad():
        model[0].weight[0, 0] = fb.inf
    assert find(examine(model, batch()), "bad parameters").where == "0.weight (Inf)"


def test_bad_input_and_scale():
    x, y = batch()
    x[0, 0] = float("nan")
    assert "NaN" in find(examine(classifier(nn.ReLU()), (x, y)), "bad input").message
    find(examine(classifier(nn.ReLU()), (fb.rand(16, 6) * 255, y)), "input scale")


def test_dead_and_saturated_units():
    model = classifier(nn.ReLU())
    with fb.no_grad():
        model[0].bias.fill_(-100)
    checkup = examine(model, batch())
    assert find(checkup, "dead units").where == "1" and "12 of 12" in find(checkup, "dead units").message
    assert "0.weight" in find(checkup, "zero gradients").where
    model = classifier(nn.Tanh())
    with fb.no_grad():
        model[0].bias.fill_(100)
    assert find(examine(model, batch()), "saturated units").where == "1"


def test_optimizer():
    model = classifier(nn.ReLU())
    only_first = fb.optim.SGD(model[0].parameters(), lr=0.1)
    assert find(examine(model, batch(), None, only_first), "not in the optimizer").where == "2.weight, 2.bias"
    others = fb.optim.SGD(classifier(nn.ReLU()).parameters(), lr=0.0)
    checkup = examine(model, batch(), None, others)
    assert find(checkup, "strangers in the optimizer").severity == "error"
    find(checkup, "learning rate 0")


def test_gradients_left_over_and_missing_zero_grad():
    model = classifier(nn.ReLU())
    optimizer = fb.optim.Adam(model.parameters(), lr=0.01)
    x, y = batch()
    F.cross_entropy(model(x), y).backward()
    kept = [p.grad.clone() for p in model.parameters()]

    def step():
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    checkup = examine(model, (x, y), None, optimizer, step=step)
    find(checkup, "gradients left over")
    find(checkup, "missing zero_grad")
    assert all(fb.equal(p.grad, g) for p, g in zip(model.parameters(), kept))
    assert optimizer.state_dict()["state"] == {}
    find(examine(model, (x, y), step=lambda: F.cross_entropy(model(x), y).backward()), "step changes nothing")


def test_failures_are_findings():
    checkup = examine(nn.Sequential(nn.Linear(6, 5), nn.Linear(4, 2)), batch())
    assert find(checkup, "forward pass fails").where == "1"
    find(examine(nn.Linear(6, 4), batch(), lambda out, y: out.sum().item()), "loss is no tensor")
    find(examine(nn.Linear(6, 4), batch(), lambda out, y: out), "loss is not one number")
    find(examine(nn.Linear(6, 4), batch(), lambda out, y: out.detach().sum()), "loss without gradient")
    with pytest.raises(TypeError, match="batch is"):
        fb.doctor(nn.Linear(6, 4), fb.randn(2, 6), nn.CrossEntropyLoss())
