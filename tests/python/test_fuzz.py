"""Whatever is passed to an operator: a result or a Python exception, never a crash."""

import re

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
SPACES = ("_VariableFunctions", "_nn", "_linalg", "_special")
FUNCTIONS = [
    (space, name)
    for space in SPACES
    for name, f in sorted(vars(getattr(torch._C, space)).items())
    if callable(f) and not name.startswith("_") and name not in LEFT_OUT
]


@pytest.fixture(autouse=True)
def quiet(recwarn):
    yield


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    function=st.sampled_from(FUNCTIONS),
    args=st.lists(VALUES, max_size=4),
    kwargs=st.dictionaries(st.sampled_from(KEYWORDS), VALUES, max_size=2),
)
def test_functions(function, args, kwargs):
    if any(isinstance(a, int) and abs(a) > 1000 for a in [*args, *kwargs.values()]):
        args = [
            a if not isinstance(a, int) or abs(a) <= 1000 else 2**80 for a in args
        ]  # too large for any size
        kwargs = {k: v for k, v in kwargs.items() if not isinstance(v, int)}
    with torch.random.fork_rng():
        try:
            getattr(getattr(torch._C, function[0]), function[1])(*args, **kwargs)
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


# ---------------------------------------------------------------- arguments of the right kind reach kernels
SIZES = st.lists(st.integers(0, 4), max_size=4)
DTYPES = st.sampled_from(
    [
        torch.float32,
        torch.float32,
        torch.float64,
        torch.int64,
        torch.bool,
        torch.complex64,
        torch.bfloat16,
        torch.uint8,
    ]
)
LAYOUTS = (
    "plain",
    "plain",
    "turned",
    "every other",
    "expanded",
    "overlapping",
    "conjugated",
    "meta",
    "hidden",
    "needs gradient",
)


def tensor_of(shape, dtype, layout):
    """Ones of a shape that lie in memory in one of the ways that kernels meet."""
    if layout == "hidden":
        shape, dtype = [*shape, 2, 8, 3, 3][-4:], torch.float32
        return torch.conv2d(torch.ones(shape), torch.ones(8, shape[1], 1, 1))
    x = torch.ones(shape, dtype=dtype)
    if layout == "meta":
        return x.to("meta")
    if layout == "conjugated":
        return x.conj()
    if layout == "needs gradient" and (dtype.is_floating_point or dtype.is_complex):
        return x.requires_grad_()
    if shape and layout == "turned":
        return x.transpose(0, -1)
    if shape and layout == "every other":
        return torch.stack([x, x], -1)[..., 1]
    if shape and layout == "expanded":
        return x[..., :1].expand(shape)
    if x.numel() > 2 and layout == "overlapping":
        return x.flatten().unfold(0, 2, 1)
    return x


TENSORS = st.builds(tensor_of, SIZES, DTYPES, st.sampled_from(LAYOUTS))
INTS = st.integers(-3, 5)
FLOATS = st.one_of(st.floats(-2, 2), st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.0]))
KINDS = {
    "Tensor": TENSORS,
    "Operand": st.one_of(TENSORS, INTS, FLOATS),
    "Scalar": st.one_of(INTS, FLOATS),
    "int": INTS,
    "SymInt": INTS,
    "float": FLOATS,
    "bool": st.booleans(),
    "str": st.sampled_from(
        [
            "mean",
            "sum",
            "none",
            "linear",
            "nearest",
            "constant",
            "reflect",
            "prod",
            "amax",
            "ij,jk->ik",
            "L",
            "fro",
            "x",
        ]
    ),
    "ScalarType": DTYPES,
    "Layout": st.just(torch.strided),
    "Device": st.sampled_from(["cpu", "meta"]),
    "MemoryFormat": st.sampled_from([torch.contiguous_format, torch.preserve_format, torch.channels_last]),
    "Generator": st.none(),
}


def arguments_of(schema):
    """A strategy of positional and keyword arguments that fit a schema by type."""
    inside = schema[schema.index("(") + 1 : schema.rindex(") ->")]
    positional, keywords, rest = [], {}, False
    for text in re.split(r",\s*(?![^\[]*\])", inside):
        if text in ("", "*"):
            rest = rest or text == "*"
            continue
        kind, name = text.partition("=")[0].split()
        base = KINDS[re.match(r"\w+", kind)[0]]
        value = st.lists(base, max_size=4) if "[" in kind else base
        if kind.endswith("?"):
            value = st.one_of(st.none(), value)
        if rest:
            keywords[name] = value
        else:
            positional.append(value)
    return st.tuples(st.tuples(*positional), st.fixed_dictionaries({}, optional=keywords))


CALLS = [
    (getattr(getattr(torch._C, space), name), schema)
    for space, name in FUNCTIONS
    for schema in getattr(getattr(getattr(torch._C, space), name), "_schemas", ())
]


def tensors_in(x):
    if isinstance(x, torch.Tensor):
        return [x]
    return [t for v in x for t in tensors_in(v)] if isinstance(x, (list, tuple)) else []


@settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_kernels(data):
    function, schema = data.draw(st.sampled_from(CALLS))
    args, kwargs = data.draw(arguments_of(schema))
    with torch.random.fork_rng():
        try:
            results = tensors_in(function(*args, **kwargs))
            wanted = [r for r in results if r.requires_grad]
            if wanted:
                torch.autograd.backward(wanted, [torch.ones_like(r) for r in wanted])
            for r in results[:2]:
                repr(r)
        except Exception as e:
            assert not isinstance(e, SystemError), e


PLACES = st.one_of(
    INTS,
    st.none(),
    st.booleans(),
    st.just(...),
    st.slices(5),
    st.lists(INTS, max_size=3),
    st.builds(lambda values, dtype: torch.tensor(values, dtype=dtype), st.lists(INTS, max_size=3), DTYPES),
    TENSORS,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(x=TENSORS, places=st.lists(PLACES, max_size=4).map(tuple), value=st.one_of(TENSORS, INTS, FLOATS))
def test_indexing(x, places, value):
    try:
        repr(x[places])
    except Exception as e:
        assert not isinstance(e, SystemError), e
    try:
        x[places] = value
        repr(x)
    except Exception as e:
        assert not isinstance(e, SystemError), e
