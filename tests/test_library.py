"""`torch.library`: operators defined in Python. Expected numbers and texts were made by PyTorch."""

import io

import numpy as np
import pytest

import flambeau as torch
from flambeau import Tensor
from flambeau.library import Library, custom_op, infer_schema, opcheck


@pytest.fixture
def sin():
    @custom_op("lib_test::sin", mutates_args=())
    def sin(x: Tensor) -> Tensor:
        return torch.from_numpy(np.sin(x.detach().numpy()))

    @sin.register_fake
    def _(x):
        return torch.empty_like(x)

    def setup(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    sin.register_autograd(lambda ctx, g: g * ctx.saved_tensors[0].cos(), setup_context=setup)
    return sin


@pytest.fixture
def library():
    made = Library("lib_block", "DEF")
    yield made
    made._destroy()


def test_call_and_names(sin):
    assert repr(sin) == "<CustomOpDef(lib_test::sin)>"
    assert str(torch.ops.lib_test.sin.default._schema) == "lib_test::sin(Tensor x) -> Tensor"
    assert torch.ops.lib_test.sin(torch.zeros(2)).tolist() == [0.0, 0.0]
    assert sin(torch.zeros(2, device="meta")).device.type == "meta"


def test_gradients(sin):
    x = torch.ones(3, requires_grad=True)
    y = sin(x)
    assert type(y.grad_fn).__name__ == "GeneratedBackwardFor_lib_test_sin_defaultBackward"
    y.sum().backward()
    assert x.grad[0].item() == pytest.approx(0.5403023)
    hessian = torch.func.hessian(lambda x: sin(x).sum())(torch.ones(2))
    assert hessian.diagonal().tolist() == pytest.approx([-0.841471, -0.841471])


def test_vmap(sin):
    assert torch.vmap(sin)(torch.zeros(2, 3)).shape == (2, 3)
    seen = []

    @sin.register_vmap
    def rule(info, in_dims, x):
        seen.append((info.batch_size, info.randomness, tuple(x.shape)))
        return sin(x), in_dims[0]

    assert torch.vmap(sin)(torch.zeros(2, 3)).shape == (2, 3)
    assert seen == [(2, "error", (2, 3))]
    assert torch.vmap(torch.vmap(sin))(torch.zeros(4, 2, 3)).shape == (4, 2, 3)
    assert torch.vmap(torch.func.grad(lambda x: sin(x)))(torch.zeros(3)).tolist() == [1.0, 1.0, 1.0]


def test_traces_and_programs_have_one_step(sin):
    traced = torch.jit.trace(lambda x: sin(x) + 1, torch.ones(2), check_trace=False)
    assert "lib_test::sin(%x)" in str(traced.graph) and "ops.lib_test.sin(x)" in traced.code
    assert traced(torch.zeros(2)).tolist() == [1.0, 1.0]
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    assert torch.jit.load(file)(torch.zeros(2)).tolist() == [1.0, 1.0]
    compiled = torch.compile(lambda x: sin(x * 2).sum())
    for i in range(3):
        x = torch.full((3,), float(i), requires_grad=True)
        y = compiled(x)
        y.backward()
        assert y.item() == pytest.approx(3 * np.sin(2.0 * i), abs=1e-6)
        assert x.grad[0].item() == pytest.approx(2 * np.cos(2.0 * i), abs=1e-6)


def test_without_a_formula():
    @custom_op("lib_test::plain", mutates_args=())
    def plain(x: Tensor) -> Tensor:
        return x * 2

    y = plain(torch.ones(2, requires_grad=True))
    with pytest.raises(RuntimeError, match="through lib_test\\.plain\\.default but no autograd formula"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="There was no fake impl registered for <CustomOpDef"):
        plain(torch.ones(2, device="meta"))


def test_writing():
    @custom_op("lib_test::increase_", mutates_args={"x"})
    def increase_(x: Tensor, n: int) -> None:
        x.numpy()[...] += n

    assert str(increase_._opoverload._schema) == "lib_test::increase_(Tensor(a0!) x, SymInt n) -> ()"
    z = torch.zeros(2)
    assert increase_(z, 3) is None
    assert (z.tolist(), z._version) == ([3.0, 3.0], 1)
    increase_(torch.zeros(2, requires_grad=True), 1)
    with pytest.raises(RuntimeError, match="non-functional operator"):
        increase_.register_autograd(lambda ctx, g: g)

    def twice(x):
        y = x * 2
        increase_(y, 1)
        return y

    compiled = torch.compile(twice)
    assert [compiled(torch.full((1,), float(i))).item() for i in range(3)] == [1.0, 3.0, 5.0]


def test_lists_and_keywords():
    @custom_op("lib_test::many", mutates_args=())
    def many(xs: list[Tensor], n: int = 2, *, s: float | None = None) -> tuple[Tensor, Tensor]:
        return xs[0] * n, xs[1] + (s or 0)

    assert str(many._opoverload._schema) == (
        "lib_test::many(Tensor[] xs, SymInt n=2, *, float? s=None) -> (Tensor, Tensor)"
    )
    seen = []

    def setup(ctx, inputs, keyword_only_inputs, output):
        ctx.n = inputs[1]
        seen.append(keyword_only_inputs)

    many.register_autograd(lambda ctx, a, b: ([a * ctx.n, b], None), setup_context=setup)
    xs = [torch.ones(2, requires_grad=True), torch.ones(2)]
    first, second = many(xs, s=1.0)
    (first.sum() + second.sum()).backward()
    assert xs[0].grad.tolist() == [2.0, 2.0] and seen == [{"s": 1.0}]


def test_more_arguments_than_the_core_holds():
    names = [f"a{i}" for i in range(20)]
    declared = ", ".join(f"Tensor {n}" for n in names)
    op = custom_op("lib_test::wide", lambda *xs: sum(xs), mutates_args=(), schema=f"({declared}) -> Tensor")
    assert op(*[torch.ones(1)] * 20).item() == 20
    assert (
        torch.jit.trace(op, tuple([torch.ones(1)] * 20), check_trace=False)(*[torch.ones(1)] * 20).item()
        == 20
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda op: op(3), "Expected a value of type 'Tensor' for argument 'x' but instead found type 'int'"),
        (lambda op: op(), "is missing value for argument 'x'. Declaration: lib_test::sin"),
        (lambda op: op(1, 2), "expected at most 1 argument\\(s\\) but received 2 argument\\(s\\)"),
        (lambda op: op(torch.ones(1), y=1), "Unknown keyword argument 'y' for operator 'lib_test::sin'"),
    ],
)
def test_wrong_arguments(sin, call, text):
    with pytest.raises(RuntimeError, match=text):
        call(sin)


def test_results_may_not_alias():
    op = custom_op("lib_test::same", lambda x: x, mutates_args=(), schema="(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="may not alias any inputs"):
        op(torch.ones(2))


def test_kernels_by_device():
    op = custom_op(
        "lib_test::far", lambda x: x + 1, mutates_args=(), device_types="cuda", schema="(Tensor x) -> Tensor"
    )
    with pytest.raises(
        NotImplementedError, match="Could not run 'lib_test::far' with arguments from the 'CPU'"
    ):
        op(torch.ones(1))
    op.register_kernel("cpu")(lambda x: x + 2)
    assert op(torch.ones(1)).item() == 3
    with op.set_kernel_enabled("cpu", False), pytest.raises(NotImplementedError):
        op(torch.ones(1))
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        op.register_kernel("mars")


def test_autocast():
    op = custom_op(
        "lib_test::product", lambda a, b: a @ b, mutates_args=(), schema="(Tensor a, Tensor b) -> Tensor"
    )
    op.register_autocast("cpu", torch.bfloat16)
    with torch.autocast("cpu"):
        assert op(torch.ones(2, 2), torch.ones(2, 2)).dtype is torch.bfloat16
    assert op(torch.ones(2, 2), torch.ones(2, 2)).dtype is torch.float32


def annotated(
    x: Tensor,
    y: Tensor | None,
    z: list[Tensor],
    a: float = 1.5,
    b: bool = False,
    c: str = "hi",
    d: int | float | bool = 2,
    e: torch.dtype = torch.float32,
    f: list[int] | None = None,
    *,
    g: torch.device = torch.device("cpu"),
) -> tuple[Tensor, list[Tensor], int]: ...


def test_infer_schema():
    assert infer_schema(annotated, mutates_args=()) == (
        '(Tensor x, Tensor? y, Tensor[] z, float a=1.5, bool b=False, str c="hi", Scalar d=2, ScalarType'
        " e=float32,"
        ' SymInt[]? f=None, *, Device g="cpu") -> (Tensor, Tensor[], SymInt)'
    )
    assert infer_schema(annotated, mutates_args="unknown").startswith(
        "(Tensor(a0!) x, Tensor(a1!)? y, Tensor(a2!)[] z, float a"
    )
    assert infer_schema(annotated, mutates_args=["z"], op_name="ns::foo").startswith(
        "ns::foo(Tensor x, Tensor? y, Tensor(a0!)[] z"
    )


@pytest.mark.parametrize(
    ("source", "mutates", "text"),
    [
        ("def f(x): ...", (), "Parameter x must have a type annotation."),
        ("def f(x: Tensor): ...", (), "No return type annotation was provided. Please add one."),
        ("def f(x: dict) -> Tensor: ...", (), "Parameter x has unsupported type <class 'dict'>."),
        ("def f(x: Tensor) -> dict: ...", (), "Return has unsupported type <class 'dict'>."),
        (
            "def f(*x: Tensor) -> Tensor: ...",
            (),
            "We do not support positional-only args, varargs, or varkwargs.",
        ),
        ("def f(x: int) -> Tensor: ...", ["x"], "Parameter x is in mutable_args but only Tensors"),
        (
            "def f(x: int) -> Tensor: ...",
            ["q"],
            "{'q'} in mutates_args were not found in the custom op's signature.",
        ),
        ("def f(x: tuple[int, int]) -> Tensor: ...", (), "We do not support Tuple inputs in schema."),
    ],
)
def test_infer_schema_refuses(source, mutates, text):
    scope = {"Tensor": Tensor}
    exec(source, scope)
    with pytest.raises(ValueError) as error:
        infer_schema(scope["f"], mutates_args=mutates)
    assert text in str(error.value)


def test_blocks(library):
    assert library.define("foo(Tensor x, int n=2) -> Tensor") == "foo"
    foo = torch.ops.lib_block.foo
    with pytest.raises(NotImplementedError, match="Could not run 'lib_block::foo' with arguments"):
        foo(torch.ones(2))
    library.impl("foo", lambda x, n=2: x * n, "CPU")
    assert foo(torch.ones(2), n=5).tolist() == [5.0, 5.0]
    assert type(foo(torch.ones(2, requires_grad=True)).grad_fn).__name__ == "MulBackward0"
    with pytest.raises(NotImplementedError, match="no fake impl or Meta kernel registered"):
        foo(torch.ones(2, device="meta"))
    library.impl("foo", lambda x, n=2: torch.empty_like(x), "Meta")
    assert foo(torch.ones(2, device="meta")).shape == (2,)
    with pytest.raises(RuntimeError, match="Only a single TORCH_LIBRARY can be used"):
        Library("lib_block", "DEF")
    with pytest.raises(RuntimeError, match="with the same name and overload name multiple times"):
        Library("lib_block", "FRAGMENT").define("foo(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="could not parse dispatch key: Nokey"):
        library.impl("foo", lambda x: x, "Nokey")
    with pytest.raises(ValueError, match="Unsupported kind: XX"):
        Library("lib_block", "XX")
    with pytest.raises(RuntimeError, match="Cannot define an operator inside of a TORCH_LIBRARY_IMPL block"):
        Library("lib_block", "IMPL").define("q(Tensor x) -> Tensor")
    library.define("bar.ov(Tensor x) -> Tensor")
    library.impl("bar.ov", lambda x: x.sin().cos(), "CompositeImplicitAutograd")
    assert torch.ops.lib_block.bar.overloads() == ["ov"]
    assert type(torch.ops.lib_block.bar(torch.ones(1, requires_grad=True)).grad_fn).__name__ == "CosBackward0"


def test_taken_back():
    block = Library("lib_again", "DEF")
    block.define("f(Tensor x) -> Tensor")
    block.impl("f", lambda x: x + 1, "CPU")
    assert torch.ops.lib_again.f(torch.ones(1)).item() == 2
    block._destroy()
    with pytest.raises(AttributeError):
        torch.ops.lib_again.f  # noqa: B018
    block = Library("lib_again", "DEF")
    block.define("f(Tensor x) -> Tensor")
    block.impl("f", lambda x: x + 2, "CPU")
    assert torch.ops.lib_again.f(torch.ones(1)).item() == 3
    block._destroy()


def test_functions_by_name(library):
    torch.library.define("lib_block::baz", "(Tensor x) -> Tensor", lib=library)

    @torch.library.impl("lib_block::baz", "cpu")
    def baz(x):
        return x + 1

    torch.library.register_autograd("lib_block::baz", lambda ctx, g: g * 4)
    x = torch.ones(1, requires_grad=True)
    torch.ops.lib_block.baz(x).backward()
    assert x.grad.item() == 4
    torch.library.register_fake("lib_block::baz", lambda x: torch.library.get_ctx().new_dynamic_size())
    with pytest.raises(RuntimeError, match="data-dependent shape"):
        torch.ops.lib_block.baz(torch.ones(1, device="meta"))
    assert torch.library.get_ctx() is None
    with pytest.raises(RuntimeError, match="operator nope::x does not exist"):
        torch.library.register_fake("nope::x", lambda x: x)
    with pytest.raises(ValueError, match='to be of the form "namespace::name", but got nox'):
        torch.library.register_fake("nox", lambda x: x)
    with pytest.raises(ValueError, match="expected schema to look like"):
        torch.library.define("lib_block::bad", "(Tensor x -> Tensor")
    with pytest.raises(RuntimeError, match="unknown type specifier"):
        torch.library.define("lib_block::bad", "(Foo x) -> Tensor")
    with pytest.raises(NotImplementedError, match="own table"):
        torch.library.register_fake("aten::add.Tensor", lambda x: x)
    with pytest.raises(NotImplementedError, match="Triton"):
        torch.library.triton_op("lib_block::t", mutates_args=())(lambda x: x)


def test_opcheck(sin):
    names = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    expected = dict.fromkeys(names, "SUCCESS")
    assert opcheck(sin, (torch.randn(3, requires_grad=True),)) == expected
    assert opcheck(sin._opoverload, (torch.randn(3),)) == expected

    @custom_op("lib_test::liar", mutates_args=())
    def liar(x: Tensor) -> Tensor:
        return x.add_(1).clone()

    found = opcheck(liar, (torch.zeros(2),), raise_exception=False)
    assert str(found["test_schema"]) == "Argument x is not defined as mutable but was mutated"
    assert "There was no fake impl registered" in str(found["test_faketensor"])
    with pytest.raises(torch._library.opcheck.OpCheckError, match="test_schema failed with Argument x"):
        opcheck(liar, (torch.zeros(2),))
