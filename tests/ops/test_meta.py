"""On the meta device every operator gives the shape, dtype and strides that it has with data."""

from __future__ import annotations

import pytest

import flambeau as fb

from .samples import Operator, operators, samples

# the shape of the result depends on data, as in PyTorch
BY_DATA = {"masked_select": "the number of true elements"}
TABLE = [op for op in operators() if op.name not in BY_DATA]


def _on_meta(x):
    if isinstance(x, fb.Tensor):
        return x.detach().to("meta")
    if isinstance(x, (list, tuple)):
        return type(x)(_on_meta(v) for v in x)
    return {k: _on_meta(v) for k, v in x.items()} if isinstance(x, dict) else x


def _described(result):
    if isinstance(result, (tuple, list)):
        return [_described(r) for r in result]
    return (tuple(result.shape), result.dtype) if isinstance(result, fb.Tensor) else type(result)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_meta(op: Operator):
    name = op.name.rpartition("::")[2].partition(".")[0]
    writes = name.endswith("_") and not name.startswith("_")

    def run(call, args, kwargs):
        args = [args[0].clone(), *args[1:]] if writes else args
        with fb.no_grad():
            return _described(call(*args, **kwargs))

    for sample in samples(op):
        call = sample.call or op.function
        expected = run(call, sample.args, sample.kwargs)
        assert run(call, _on_meta(sample.args), _on_meta(sample.kwargs)) == expected


# ---------------------------------------------------------------- meta tensors beside real ones
def _places(x, path=()):
    """Where the tensors of nested arguments are."""
    if isinstance(x, fb.Tensor):
        yield path
    elif isinstance(x, (list, tuple)):
        for i, v in enumerate(x):
            yield from _places(v, (*path, i))


def _moved(x, path, other_way):
    """The arguments with one tensor on meta, or with all of them on meta but one."""
    if isinstance(x, fb.Tensor):
        return _on_meta(x) if (path == ()) != other_way else x
    if isinstance(x, (list, tuple)):
        return type(x)(
            _moved(v, path[1:] if path is not None and path[:1] == (i,) else None, other_way)
            for i, v in enumerate(x)
        )
    return x


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", TABLE, ids=lambda op: op.name)
def test_mixed_devices_are_refused_or_answered(op: Operator):
    name = op.name.rpartition("::")[2].partition(".")[0]
    writes = name.endswith("_") and not name.startswith("_")
    for sample in samples(op)[:3]:
        call = sample.call or op.function
        places = list(_places(sample.args))
        if len(places) < 2:
            continue
        for path in places[:4]:
            for other_way in (False, True):
                args = _moved(sample.args, path, other_way)
                if writes:
                    args = [args[0].clone(), *args[1:]]
                try:
                    call(*args, **sample.kwargs)
                except (RuntimeError, NotImplementedError, IndexError, ValueError):
                    pass


@pytest.mark.parametrize(
    "call, expected, found",
    [
        (lambda c, m, i: c + m, "cpu", "meta"),
        (lambda c, m, i: m + c, "meta", "cpu"),
        (lambda c, m, i: fb.tensor(2.0) + c + m, "cpu", "meta"),
        (lambda c, m, i: m[0, 0] + c, "meta", "cpu"),
        (lambda c, m, i: fb.cat([c, m]), "cpu", "meta"),
        (lambda c, m, i: fb.where(c > 0, m, c), "cpu", "meta"),
        (lambda c, m, i: c[i.to("meta")], "cpu", "meta"),
        (lambda c, m, i: c[None, i.to("meta")], "cpu", "meta"),
        (lambda c, m, i: c.__setitem__(i.to("meta"), 1.0), "cpu", "meta"),
        (lambda c, m, i: c.__setitem__(i, m), "cpu", "meta"),
        (lambda c, m, i: c.add_(m), "cpu", "meta"),
    ],
)
def test_mixed_devices(call, expected, found):
    c = fb.randn(3, 4)
    with pytest.raises(
        RuntimeError, match=f"^Tensor on device {found} is not on the expected device {expected}!\n"
    ):
        call(c, c.to("meta"), fb.tensor([0, 1, 2]))


def test_what_may_stand_beside_meta_tensors():
    m, i, one = fb.zeros(3, 4, device="meta"), fb.tensor([0, 2]), fb.tensor(1.0)
    for r in (
        m + one,
        one + m,
        m[i],
        m.index_select(0, i),
        fb.nn.functional.embedding(i, m),
        m.to(one.dtype),
    ):
        assert r.is_meta
    m[i] = fb.ones(2, 4)
    m[0] = fb.ones(4)
    m.fill_(one)
    m.copy_(fb.ones(3, 4))
    with pytest.raises(NotImplementedError, match=r"^Cannot copy out of meta tensor; no data!$"):
        m.to("cpu")
    with pytest.raises(NotImplementedError, match=r"^Cannot copy out of meta tensor; no data!$"):
        fb.zeros(3, 4).copy_(m)


def test_results_are_not_written_to_another_device():
    c, m = fb.ones(3), fb.ones(3, device="meta")
    with pytest.raises(RuntimeError, match=r"^Attempting to copy from device cpu to device meta, but cross-"):
        fb.add(c, c, out=m)
    with pytest.raises(RuntimeError, match=r"^Attempting to copy from device meta to device cpu, but cross-"):
        fb.add(m, m, out=c)
    for source in (m, m.untyped_storage()):
        with pytest.raises(
            RuntimeError, match=r'^Attempted to set the storage of a tensor on device "cpu" to'
        ):
            c.set_(source)
