"""Whatever is passed to an operator: a result or a Python exception, never a crash."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flambeau as torch

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.complex_numbers(),
    st.lists(st.integers(-2, 4), max_size=4),
    st.lists(st.floats(), max_size=2),
    st.tuples(st.integers(0, 3), st.text(max_size=1)),
    st.sampled_from(
        [
            torch.float32,
            torch.int64,
            torch.bool,
            torch.strided,
            torch.channels_last,
            torch.device("meta"),
            float,
            int,
            object(),
            torch.preserve_format,
            {},
            b"x",
            slice(None),
            ...,
        ]
    ),
    st.builds(
        lambda shape, dtype: torch.ones(shape, dtype=dtype),
        st.lists(st.integers(0, 3), max_size=3),
        st.sampled_from([torch.float32, torch.int64, torch.bool, torch.complex64, torch.bfloat16]),
    ),
    st.builds(lambda n: [torch.ones(2, 2)] * n, st.integers(0, 3)),
)
KEYWORDS = [
    "dim",
    "keepdim",
    "dtype",
    "out",
    "other",
    "input",
    "alpha",
    "size",
    "device",
    "requires_grad",
    "axis",
    "generator",
    "index",
    "bogus",
]
# Calls that change the process or wait, or whose cost grows with the numbers given.
LEFT_OUT = {"set_num_threads", "manual_seed", "seed", "set_rng_state", "fork_rng"}
FUNCTIONS = sorted(
    name
    for name, f in vars(torch._C._VariableFunctions).items()
    if callable(f) and not name.startswith("_") and name not in LEFT_OUT
)


@pytest.fixture(autouse=True)
def quiet(recwarn):
    yield


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(FUNCTIONS),
    args=st.lists(VALUES, max_size=4),
    kwargs=st.dictionaries(st.sampled_from(KEYWORDS), VALUES, max_size=2),
)
def test_functions(name, args, kwargs):
    if any(isinstance(a, int) and abs(a) > 1000 for a in [*args, *kwargs.values()]):
        args = [
            a if not isinstance(a, int) or abs(a) <= 1000 else 2**80 for a in args
        ]  # too large for any size
        kwargs = {k: v for k, v in kwargs.items() if not isinstance(v, int)}
    with torch.random.fork_rng():
        try:
            getattr(torch._C._VariableFunctions, name)(*args, **kwargs)
        except (
            TypeError,
            ValueError,
            RuntimeError,
            IndexError,
            NotImplementedError,
            OverflowError,
            ZeroDivisionError,
            AttributeError,
            MemoryError,
        ):
            pass


METHODS = sorted(
    n
    for n in dir(torch.Tensor)
    if not n.startswith("_") and callable(getattr(torch.Tensor, n)) and n not in ("backward", "cuda")
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(METHODS),
    args=st.lists(VALUES, max_size=3),
    shape=st.lists(st.integers(0, 3), max_size=3),
)
def test_methods(name, args, shape):
    args = [a if not isinstance(a, int) or abs(a) <= 1000 else 2**80 for a in args]
    try:
        getattr(torch.ones(shape), name)(*args)
    except Exception as e:
        assert not isinstance(e, SystemError), e
