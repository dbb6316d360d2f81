"""`torch.ops`: operators by namespace, name and overload."""

import copy
import pickle

import pytest

import flambeau as torch

aten = torch.ops.aten


def test_names_and_texts():
    add = aten.add.Tensor
    assert (str(aten.add), repr(aten.add)) == ("aten.add", "<OpOverloadPacket(op='aten.add')>")
    assert (str(add), repr(add)) == ("aten.add.Tensor", "<OpOverload(op='aten.add', overload='Tensor')>")
    assert (add.name(), add.__name__, add.namespace) == ("aten::add.Tensor", "add.Tensor", "aten")
    assert add.overloadpacket is aten.add
    assert aten.add is aten.add and aten.relu.default is aten.relu.default
    assert aten.add.overloads()[:3] == ["Tensor", "Scalar", "out"]
    assert aten.relu.default.name() == "aten::relu"
    assert isinstance(add, torch._ops.OpOverload)


def test_schemas():
    schema = aten.add.Tensor._schema
    assert str(schema) == "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor"
    assert (schema.name, schema.overload_name, schema.is_mutable) == ("aten::add", "Tensor", False)
    alpha = schema.arguments[2]
    assert (alpha.name, str(alpha.type), alpha.default_value, alpha.kwarg_only) == (
        "alpha",
        "number",
        1,
        True,
    )
    inplace = aten.add_.Tensor._schema
    expected = "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)"
    assert str(inplace) == expected
    assert inplace.is_mutable and inplace.arguments[0].alias_info.is_write
    assert [str(a.type) for a in aten.convolution.default._schema.arguments] == [
        "Tensor", "Tensor", "Optional[Tensor]", "List[int]", "List[int]", "List[int]", "bool", "List[int]",
        "int",
    ]  # fmt: skip
    assert [str(a.type) for a in aten.index.Tensor._schema.arguments] == ["Tensor", "List[Optional[Tensor]]"]
    assert str(aten.view.default._schema) == "aten::view(Tensor(a) self, int[] size) -> Tensor(a)"
    assert aten.view.default.is_view and not aten.add.Tensor.is_view
    assert str(aten.gt.Scalar._schema) == "aten::gt.Scalar(Tensor self, Scalar other) -> Tensor"
    assert str(aten.sum.IntList_out._schema).endswith("dtype=None, Tensor(a!) out) -> Tensor(a!)")


def test_every_schema_can_be_read():
    from flambeau import _ops

    aten.add  # noqa: B018  (fills the index)
    for name in set(_ops._index) - _ops._HIDDEN:
        packet = getattr(aten, name)
        for overload in packet.overloads():
            assert getattr(packet, overload)._schema.arguments is not None


def test_calls():
    one = torch.ones(2)
    assert aten.add(one, 1).tolist() == [2.0, 2.0]
    assert aten.add.Tensor(self=one, other=one, alpha=2).tolist() == [3.0, 3.0]
    values, indices = aten.max.dim(torch.tensor([[1.0, 3.0], [4.0, 2.0]]), 1)
    assert (values.tolist(), indices.tolist()) == ([3.0, 4.0], [1, 0])
    assert aten.add_.Tensor(one, 1) is one and one.tolist() == [2.0, 2.0]
    assert aten.mul.out(one, one, out=torch.empty(2)).tolist() == [4.0, 4.0]
    assert aten.view(torch.ones(4), [2, 2]).shape == (2, 2)
    assert aten.sym_size.int(torch.ones(4, 5), 1) == 5
    assert aten.einsum("i,i->", [torch.ones(3), torch.ones(3)]).item() == 3
    assert torch.vmap(aten.mul.Tensor)(torch.ones(3, 2), torch.ones(3)).shape == (3, 2)


def test_gradients_pass():
    x = torch.ones(2, requires_grad=True)
    aten.mul.Tensor(x, 3.0).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_what_is_not_there():
    with pytest.raises(AttributeError, match="'_OpNamespace' 'aten' object has no attribute 'nosuch'"):
        aten.nosuch  # noqa: B018
    with pytest.raises(
        AttributeError, match="The underlying op of 'aten\\.add' has no overload name 'nosuch'"
    ):
        aten.add.nosuch  # noqa: B018
    with pytest.raises(AttributeError, match="'_OpNamespace' 'mine' object has no attribute 'f'"):
        torch.ops.mine.f  # noqa: B018
    with pytest.raises(OSError, match="Could not load this library: x\\.so"):
        torch.ops.load_library("x.so")
    with pytest.raises(RuntimeError, match="failed to match any schema"):
        aten.add(1)


def test_copies_are_the_same():
    assert copy.deepcopy(aten.relu.default) is aten.relu.default
    assert pickle.loads(pickle.dumps(aten.add.Tensor)) is aten.add.Tensor
    assert pickle.loads(pickle.dumps(aten.add)) is aten.add


def test_the_package_behind_it_keeps_its_files():
    from flambeau.ops import registry

    assert torch.ops.registry is registry
    assert torch.ops.linalg.__name__ == "flambeau.ops.linalg"


def _value(kind, draw):
    """Some value of a type of schemas."""
    if kind.startswith("Optional["):
        return None if draw.random() < 0.5 else _value(kind[9:-1], draw)
    if kind.startswith("List["):
        return [_value(kind[5:-1], draw) for _ in range(draw.randint(0, 4))]
    shapes = [(3,), (2, 3), (0,), (), (2, 3, 4, 4)]
    return {
        "Tensor": lambda: torch.ones(
            draw.choice(shapes),
            dtype=draw.choice([torch.float32, torch.float32, torch.int64]),
            device=draw.choice(["cpu", "cpu", "cpu", "meta"]),
        ),
        "int": lambda: draw.choice([0, 1, -1, 2, 5, -7]),
        "float": lambda: draw.choice([0.0, 1.5, -1.0]),
        "bool": lambda: draw.random() < 0.5,
        "number": lambda: draw.choice([0, 1, -1.5]),
        "str": lambda: draw.choice(["mean", ""]),
    }.get(kind, lambda: None)()


def test_parts_of_operators_refuse_what_does_not_fit():
    """Entries that have no function or method are reached by name here only: none may crash."""
    import random

    from flambeau import _ops

    aten.add  # noqa: B018
    variants = {name: v.replace("v", "") for name, _, v, _ in torch._C._operators()}
    inside = {n for n, entries in _ops._index.items() if not all(variants.get(e[2]) for e in entries)}
    draw = random.Random(0)
    for name in sorted(inside - _ops._HIDDEN):
        packet = getattr(aten, name)
        for overload in map(packet.__getattr__, packet.overloads()):
            for _ in range(12):
                values = [_value(str(a.type), draw) for a in overload._schema.arguments]
                try:
                    overload(*values)
                except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AttributeError):
                    continue


def test_overloads_beside_the_tables():
    x = torch.arange(3)
    assert aten.repeat_interleave.self_int(x, 2).tolist() == [0, 0, 1, 1, 2, 2]
    assert aten.repeat_interleave.self_Tensor(x, x).tolist() == [1, 2, 2]
    assert aten.repeat_interleave.Tensor(x).tolist() == [1, 2, 2]
    assert aten.to.dtype_layout(x, dtype=torch.float64, layout=torch.strided).dtype == torch.float64
    assert aten.to.dtype_layout(x) is x and aten.to.dtype_layout(x, copy=True) is not x
    with pytest.raises(RuntimeError, match="doesn't support converting to a different layout"):
        aten.to.dtype_layout(x, layout=torch.sparse_coo)
    assert aten.repeat_interleave.self_int._schema.arguments[3].kwarg_only


def test_overloads_of_copies():
    x = torch.arange(6.0).view(2, 1, 3)
    got = aten.slice_copy.Tensor(x, 2, 1, 3)
    assert got.tolist() == [[[1, 2]], [[4, 5]]] and got._base is None
    assert aten.squeeze_copy.default(x).shape == aten.squeeze_copy.dim(x, 1).shape == (2, 3)
    assert aten.squeeze_copy.dims(x, [0, 1]).shape == (2, 3)
    assert aten.select_copy.int(x, 0, 1).shape == (1, 3)
    assert aten.transpose_copy.int(x, 0, 2).shape == (3, 1, 2)
    assert [t.shape for t in aten.split_copy.Tensor(x, 2, 2)] == [(2, 1, 2), (2, 1, 1)]
    assert len(aten.unbind_copy.int(x)) == 2
    assert aten.view_copy.dtype(x, torch.int32).dtype == torch.int32
    assert aten.view_copy.default(x, [6]).shape == (6,)
