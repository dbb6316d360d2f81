"""Learning rate schedules and weight averages."""

import copy

import pytest

import flambeau as fb
from flambeau import optim
from flambeau.optim import lr_scheduler, swa_utils

from .golden_rates import RATES


def sgd(lr=0.1, **options):
    return optim.SGD([fb.nn.Parameter(fb.ones(1))], lr=lr, momentum=0.9, **options)


def make(name, optimizer, options):
    return getattr(swa_utils if name == "SWALR" else lr_scheduler, name)(optimizer, **options)


@pytest.mark.parametrize("name, options, rates, momenta", RATES, ids=[f"{n}-{o}" for n, o, *_ in RATES])
@pytest.mark.parametrize("tensor", [False, True], ids=["number", "tensor"])
def test_rates(name, options, rates, momenta, tensor):
    optimizer = sgd(fb.tensor(0.1, dtype=fb.float64) if tensor else 0.1)
    scheduler = make(name, optimizer, options)
    for i, rate in enumerate(rates):
        group = optimizer.param_groups[0]
        assert float(group["lr"]) == pytest.approx(rate, rel=1e-9)
        assert float(scheduler.get_last_lr()[0]) == pytest.approx(rate, rel=1e-9)
        assert momenta is None or group["momentum"] == pytest.approx(momenta[i], rel=1e-9)
        assert isinstance(group["lr"], fb.Tensor) == tensor
        if i == 3 and not tensor:  # go on from saved states
            saved, saved_optimizer = copy.deepcopy(scheduler.state_dict()), optimizer.state_dict()
            optimizer = sgd()
            scheduler = make(name, optimizer, options)
            optimizer.load_state_dict(saved_optimizer)
            scheduler.load_state_dict(saved)
        if i < len(rates) - 1:
            optimizer.step()
            scheduler.step()


def rates_of(scheduler, steps):
    rates = []
    for _ in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def test_functions_of_the_epoch():
    assert rates_of(lr_scheduler.LambdaLR(sgd(), lambda e: 1 / (1 + e)), 3) == [0.1, 0.05, 0.1 / 3]
    rates = rates_of(lr_scheduler.MultiplicativeLR(sgd(), lambda e: 0.5), 3)
    assert rates == [0.1, 0.05, 0.025]
    with pytest.raises(ValueError, match="Expected 1 lr_lambdas, but got 2"):
        lr_scheduler.LambdaLR(sgd(), [abs, abs])


def test_callable_objects_are_saved():
    class Power:
        base = 0.5

        def __call__(self, epoch):
            return self.base**epoch

    a, b = Power(), Power()
    a.base = 0.25
    first, second = lr_scheduler.LambdaLR(sgd(), a), lr_scheduler.LambdaLR(sgd(), b)
    second.load_state_dict(first.state_dict())
    assert b.base == 0.25
    assert lr_scheduler.LambdaLR(sgd(), lambda e: 1.0).state_dict()["lr_lambdas"] == [None]


def test_sequence_and_chain():
    o = sgd()
    parts = [lr_scheduler.ConstantLR(o, 0.5, total_iters=2), lr_scheduler.ExponentialLR(o, 0.5)]
    rates = rates_of(lr_scheduler.SequentialLR(o, parts, milestones=[2]), 5)
    assert rates == pytest.approx([0.05, 0.05, 0.1, 0.05, 0.025])
    o = sgd()
    parts = [lr_scheduler.ConstantLR(o, 0.5, total_iters=2), lr_scheduler.ExponentialLR(o, 0.5)]
    chain = lr_scheduler.ChainedScheduler(parts)
    assert rates_of(chain, 4) == pytest.approx([0.05, 0.025, 0.025, 0.0125])
    assert [s["last_epoch"] for s in chain.state_dict()["_schedulers"]] == [4, 4]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda o: lr_scheduler.SequentialLR(o, [], []), "SequentialLR expects at least one scheduler"),
        (
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)] * 2, []),
            "Sequential Schedulers expects number of schedulers provided to be one more than",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(o)]),
            "ChainedScheduler does not support `ReduceLROnPlateau`",
        ),
        (
            lambda o: lr_scheduler.ChainedScheduler(
                [lr_scheduler.StepLR(sgd(), 1), lr_scheduler.StepLR(o, 1)]
            ),
            "ChainedScheduler expects all schedulers to belong to the same optimizer",
        ),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0), "You must define either total_steps OR"),
        (
            lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=-1),
            "Expected positive integer total_steps, but",
        ),
        (
            lambda o: lr_scheduler.CyclicLR(o, [0.1, 0.2], 1.0),
            "base_lr must have the same length as optimizer.",
        ),
        (
            lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0),
            "Expected positive integer T_0, but got 0",
        ),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), "Factor should be < 1.0."),
        (lambda o: lr_scheduler.LinearLR(o, start_factor=0), "Starting multiplicative factor expected to be"),
        (
            lambda o: swa_utils.SWALR(o, 0.5, anneal_epochs=-1),
            "anneal_epochs must be equal or greater than 0",
        ),
    ],
)
def test_bad_options(call, message):
    with pytest.raises(ValueError, match=message):
        call(sgd())


def test_not_an_optimizer():
    with pytest.raises(TypeError, match="int is not an Optimizer"):
        lr_scheduler.StepLR(1, 2)
    with pytest.raises(KeyError, match="param 'initial_lr' is not specified in param_groups"):
        lr_scheduler.StepLR(sgd(), 2, last_epoch=3)


def test_one_cycle_ends():
    scheduler = lr_scheduler.OneCycleLR(sgd(), 1.0, total_steps=2)
    with pytest.raises(ValueError, match="Tried to step 3 times"):
        rates_of(scheduler, 4)


def test_closed_form_and_its_warning():
    o = sgd()
    scheduler = lr_scheduler.StepLR(o, 2)
    o.step()
    with pytest.warns(UserWarning, match="The epoch parameter in `scheduler.step\\(\\)` was not necessary"):
        scheduler.step(5)
    assert o.param_groups[0]["lr"] == pytest.approx(0.001)
    with pytest.warns(UserWarning, match="To get the last learning rate computed by the scheduler"):
        scheduler.get_lr()


def test_order_of_the_steps():
    scheduler = lr_scheduler.StepLR(sgd(), 2)
    with pytest.warns(UserWarning, match="Detected call of `lr_scheduler.step\\(\\)` before `optimizer.step"):
        scheduler.step()
    scheduler = lr_scheduler.StepLR(sgd(), 2)
    scheduler.optimizer.step = lambda: None
    with pytest.warns(UserWarning, match="Seems like `optimizer.step\\(\\)` has been overridden"):
        scheduler.step()


def test_plateau():
    o = sgd()
    scheduler = lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=1, min_lr=0.02)
    rates = []
    for metric in [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6]:
        scheduler.step(metric)
        rates.append(o.param_groups[0]["lr"])
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.02, 0.02, 0.02]
    assert scheduler.best == 0.5 and scheduler.get_last_lr() == [0.02]
    up = lr_scheduler.ReduceLROnPlateau(sgd(), mode="max", threshold=0.1, threshold_mode="abs", patience=0)
    up.step(1.0)
    up.step(1.05)
    assert up.get_last_lr() == pytest.approx([0.01])


def test_averaged_model():
    model = fb.nn.Linear(1, 1, bias=False)
    averages = {
        "swa": swa_utils.AveragedModel(model),
        "swa_fn": swa_utils.AveragedModel(model, avg_fn=swa_utils.get_swa_avg_fn()),
        "ema": swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5)),
        "ema_fn": swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(0.5)),
    }
    for value in (1.0, 2.0, 6.0):
        with fb.no_grad():
            model.weight.fill_(value)
        for average in averages.values():
            average.update_parameters(model)
    got = {name: average.module.weight.item() for name, average in averages.items()}
    assert got == pytest.approx({"swa": 3.0, "swa_fn": 3.0, "ema": 3.75, "ema_fn": 3.75})
    assert list(averages["swa"].state_dict()) == ["n_averaged", "module.weight"]
    assert averages["swa"].n_averaged == 3
    with pytest.raises(ValueError, match="Invalid decay value"):
        swa_utils.get_ema_avg_fn(2.0)


def test_update_bn():
    model = fb.nn.Sequential(fb.nn.BatchNorm1d(2, momentum=0.1))
    model.eval()
    batches = [fb.tensor([[0.0, 1.0], [2.0, 3.0]]), [fb.tensor([[4.0, 5.0], [6.0, 7.0]]), "label"]]
    swa_utils.update_bn(batches, model)
    assert model[0].running_mean.tolist() == [3.0, 4.0] and model[0].running_var.tolist() == [2.0, 2.0]
    assert model[0].momentum == 0.1 and not model.training
