"""Nested tensors of layout strided: components that may differ in every size, packed one after the other.

Their memory is one line of numbers. Operators work on that line where sizes stay, else one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from .._rules import given, name_of, noting
from ..ops.pointwise import ELEMENTWISE, ELEMENTWISE_IN_PLACE
from ..ops.registry import wrap_dim
from .base import RULES as COMMON
from .base import Nested

__all__ = ["StridedNestedTensor", "from_components"]


class StridedNestedTensor(Nested):
    """A batch of tensors of the same number of dimensions."""

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        parts = [
            "\n".join("  " + line for line in repr(t.requires_grad_(self.requires_grad)).split("\n"))
            for t in (self.detach() if self.requires_grad else self).unbind()
        ]
        end = ""
        if self.grad_fn is not None:
            end = f", grad_fn=<{self.grad_fn.name()}>"
        elif self.requires_grad:
            end = ", requires_grad=True"
        return "nested_tensor([\n" + ",\n".join(parts) + "\n]" + end + ")"

    __str__ = __repr__

    def _like(self, values: Any) -> StridedNestedTensor:
        return _make(values, self._sizes)

    @property
    def _sizes(self) -> list[tuple[int, ...]]:
        return self.__dict__["_component_sizes"]

    def _nested_tensor_size(self) -> Any:
        return _C.tensor(self._sizes, dtype=_C.int64)

    def _nested_layout(self) -> tuple:
        """Sizes, strides and offsets of the components in the packed memory, as tensors."""
        strides = [[math.prod(s[d + 1 :]) for d in range(len(s))] for s in self._sizes]
        lengths = [0, *(math.prod(s) for s in self._sizes)]
        return self._nested_tensor_size(), _C.tensor(strides), _C.tensor(lengths).cumsum(0)[:-1]

    def _nested_tensor_strides(self) -> Any:
        return self._nested_layout()[1]

    def _nested_tensor_storage_offsets(self) -> Any:
        return self._nested_layout()[2]

    @property
    def layout(self) -> Any:
        """``torch.strided``."""
        return _C.strided

    @property
    def shape(self) -> Any:
        """Raises: there are no sizes of the whole."""
        raise RuntimeError("Internal error: NestedTensorImpl doesn't support sizes. Please file an issue.")

    def dim(self) -> int:
        """The number of dimensions."""
        return 1 + (len(self._sizes[0]) if self._sizes else 0)

    ndim = property(dim)
    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        """The size along a dimension in which the components agree."""
        if dim is None:
            return self.shape
        dim = wrap_dim(dim, self.dim())
        if dim == 0:
            return len(self._sizes)
        sizes = {s[dim - 1] for s in self._sizes}
        if len(sizes) != 1:
            raise RuntimeError(f"Given dimension {dim} is irregular and does not have a size.")
        return sizes.pop()

    def __len__(self) -> int:
        return self.shape[0]

    def stride(self, dim: int | None = None) -> Any:
        """Raises: there are no strides of the whole."""
        raise RuntimeError("Internal error: NestedTensorImpl doesn't support strides. Please file an issue.")

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """The components are always packed."""
        return True

    def unbind(self, dim: int = 0) -> tuple:
        """The components, views of the packed memory."""
        if wrap_dim(dim, self.dim()) != 0:
            raise RuntimeError(
                f"NestedTensor can only be unbound along dimension 0 got dimension {dim} instead."
            )
        if not self._sizes:
            return ()
        parts = self._values.split([math.prod(s) for s in self._sizes])
        return tuple(part.view(s) for part, s in zip(parts, self._sizes))

    def __iter__(self) -> Any:
        return iter(self.unbind())

    def to_padded_tensor(self, padding: float, output_size: Sequence[int] | None = None) -> Any:
        """The strided tensor in which smaller components are filled up with `padding`, to `output_size`."""
        if not self._sizes:
            return _C.empty(0, dtype=self.dtype, device=self.device)
        n = self.dim()
        if output_size is not None and len(output_size) != n:
            raise RuntimeError(
                "Length of output_size does not match NestedTensor dims. Broadcasting is not supported."
            )
        largest = [max(s[d] for s in self._sizes) for d in range(n - 1)]
        if output_size is not None:
            if any(want < have for want, have in zip(output_size[1:], largest)):
                raise RuntimeError(
                    "Value in output_size is less than NestedTensor padded size. Truncation is not supported."
                )
            largest = list(output_size[1:])
        rows = []
        for t in self.unbind():
            room = [(0, want - have) for want, have in zip(largest, t.shape)]
            rows.append(_C.constant_pad_nd(t, [p for pair in reversed(room) for p in pair], padding))
        if output_size is not None and output_size[0] > len(rows):
            rows += [_C.full_like(rows[0], padding)] * (output_size[0] - len(rows))
        return _C.stack(rows)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _make, (self._values.detach(), self._sizes)


def _make(values: Any, sizes: list[tuple[int, ...]]) -> StridedNestedTensor:
    with _C.DisableTorchFunctionSubclass():
        t = values.as_subclass(StridedNestedTensor)
    t.__dict__["_component_sizes"] = sizes
    return t


def from_components(tensors: list) -> StridedNestedTensor:
    """The nested tensor of components, connected to their graph."""
    for i, t in enumerate(tensors):
        if t.dim() != tensors[0].dim():
            raise RuntimeError(
                "All Tensors given to nested_tensor must have the same dimension. "
                f"Found dimension {t.dim()} for Tensor at index {i} and dimension {tensors[0].dim()} for "
                "Tensor at index 0."
            )
    packed = _C.cat([t.reshape(-1) for t in tensors]) if tensors else _C.empty(0)
    return _make(packed, [tuple(t.shape) for t in tensors])


# ---------------------------------------------------------------- operators
_RULES: dict[str, Callable] = dict(COMMON)
# what works element by element without a second nested tensor
_PACKED = """
native_dropout dropout rand_like randn_like bernoulli isposinf hardtanh type pin_memory data __rpow__
contiguous
""".split()
_rule = noting(_RULES)


@StridedNestedTensor.rules
def _call(func: Callable, args: tuple, kwargs: dict) -> Any:
    rule = _RULES.get(name_of(func))
    if rule is None:
        raise NotImplementedError(
            f"Could not run 'aten::{name_of(func).strip('_')}' with arguments from the 'NestedTensorCPU' "
            "backend.\nflambeau has it neither: use .unbind(), .to_padded_tensor() or layout=torch.jagged"
        )
    return rule(func, args, kwargs)


def _is_nested(x: Any) -> bool:
    return isinstance(x, StridedNestedTensor)


def _on_values(func: Callable, args: tuple, kwargs: dict) -> tuple[Any, StridedNestedTensor]:
    name = name_of(func).strip("_")
    like = next(x for x in (*args, *kwargs.values()) if _is_nested(x))

    def inner(x: Any) -> Any:
        if _is_nested(x):
            if x._sizes != like._sizes:
                if name == "copy":
                    raise RuntimeError(
                        "copy_ only supports tensors that are the same size for Nested implementations"
                    )
                raise RuntimeError(f"{name} does not support broadcasting when given a NestedTensor")
            return x._values
        if isinstance(x, Tensor) and x.dim() > 0:
            words = ["nested" if _is_nested(t) else "non-nested" for t in args[:2]]
            raise RuntimeError(
                f"Expected both self and other to be nested, but got a {words[0]} self and "
                f"{'' if words[0] == 'non-nested' else 'non-'}nested other"
            )
        return x

    kwargs = {k: inner(v) for k, v in kwargs.items() if k != "layout"}
    return func(*map(inner, args), **kwargs), like


@_rule(*ELEMENTWISE, *_PACKED, "masked_fill")
def _elementwise(func: Callable, args: tuple, kwargs: dict) -> Any:
    result, like = _on_values(func, args, kwargs)
    return like._like(result) if isinstance(result, Tensor) else result


@_rule(*ELEMENTWISE_IN_PLACE, "normal_", "uniform_", "gelu_", "silu_", "dropout_", "bernoulli_", "abs_")
def _in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    _on_values(func, args, kwargs)
    return args[0]


def _mapped(f: Callable, *nested: Any) -> StridedNestedTensor:
    """A function of components applied to all of them."""
    return from_components([f(*parts) for parts in zip(*(t.unbind() for t in nested))])


@_rule("softmax")
def _softmax(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, dtype = given(args, kwargs, "input dim dtype")
    dim = wrap_dim(dim, t.dim())
    if dim == 0:
        raise RuntimeError("Cannot apply softmax across nested dimension 0")
    return _mapped(lambda x: x.softmax(dim - 1, dtype), t)


@_rule("sum")
def _sum(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, keepdim, dtype = given(args, kwargs, "input dim keepdim dtype", keepdim=False)
    if dim is None:
        raise NotImplementedError(
            "flambeau sums nested tensors of layout strided only over the last dimension"
        )
    dims = [dim] if isinstance(dim, int) else list(dim)
    if dtype is not None:
        raise RuntimeError("NestedTensor does not support dtype argument for now.")
    if len(dims) != 1:
        raise RuntimeError("NestedTensor only allows reduction of a single dimension for now.")
    if wrap_dim(dims[0], t.dim()) != t.dim() - 1:
        raise RuntimeError(
            "NestedTensor can only be reduced across the last dimension for now got dimension "
            f"{wrap_dim(dims[0], t.dim())} instead."
        )
    if not keepdim:
        raise RuntimeError("NestedTensor always requires keepdim=True for now.")
    return _mapped(lambda x: x.sum(-1, True), t)


@_rule("linear")
def _linear(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, weight, bias = given(args, kwargs, "input weight bias")
    if t.dim() != 3 or weight.dim() != 2:
        raise RuntimeError(
            "Linear requires nested_tensor.dim == 3 and dense_matrix.dim == 2. Nested tensor dim: "
            f"{t.dim()}. Dense tensor dim: {weight.dim()}"
        )
    rows = _C._nn.linear(t._values.view(-1, t.size(-1)), weight, bias)
    return _make(rows.reshape(-1), [(*s[:-1], weight.shape[0]) for s in t._sizes])


@_rule("layer_norm")
def _layer_norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, shape, weight, bias, eps = given(args, kwargs, "input normalized_shape weight bias eps", eps=1e-5)
    if weight is None or bias is None:
        raise ValueError("NestedTensor layer_norm requires weight and bias")
    return _mapped(lambda x: _C.layer_norm(x, shape, weight, bias, eps), t)


@_rule("embedding")
def _embedding(func: Callable, args: tuple, kwargs: dict) -> Any:
    weight, index, *rest = args
    return _mapped(lambda i: func(weight, i, *rest, **kwargs), index)


@_rule("matmul", "bmm", "__matmul__", "__rmatmul__")
def _matmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args if name_of(func) != "__rmatmul__" else args[::-1]
    if name_of(func) != "bmm" and not (_is_nested(a) and _is_nested(b)):
        words = ["nested" if _is_nested(t) else "non-nested" for t in (a, b)]
        raise RuntimeError(f"Expected both to be nested, but got a {words[0]} self and {words[1]} other")
    parts = list(zip(a.unbind(), b.unbind()))
    if len(parts) != a.size(0) or len(parts) != b.size(0):
        raise RuntimeError(
            f"matmul: Expected size for the 1st dimension of 2nd input tensor to be: {a.size(0)} but got: "
            f"{b.size(0)}."
        )
    return from_components([x @ y for x, y in parts])


@_rule("scaled_dot_product_attention")
def _attention(func: Callable, args: tuple, kwargs: dict) -> Any:
    names = "query key value attn_mask dropout_p is_causal"
    q, k, v, mask, dropout, causal = given(args, kwargs, names, dropout_p=0.0, is_causal=False)
    if mask is not None:
        raise RuntimeError("scaled_dot_product_attention: Nested tensors with attn_mask are not supported")
    options = {n: kwargs[n] for n in ("scale", "enable_gqa") if n in kwargs}
    return _mapped(lambda *t: func(*t, None, dropout, causal, **options), q, k, v)


# ---------------------------------------------------------------- shapes
@_rule("transpose", "swapaxes", "swapdims")
def _transpose(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, a, b = (*args, *kwargs.values())
    a, b = wrap_dim(a, t.dim()), wrap_dim(b, t.dim())
    if 0 in (a, b):
        raise RuntimeError("Nested tensor dimension 0 cannot be transposed")
    return _mapped(lambda x: x.transpose(a - 1, b - 1), t)


@_rule("view", "reshape")
def _view(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, size = args[0], args[1:]
    size = list(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else list(size)
    name = func.__name__
    if not size or size[0] != t.size(0):
        raise RuntimeError(
            f"{name}: For now nested {name} cannot change or infer the implicit batch dimension"
        )

    def reshaped(x: Any) -> Any:
        # a -1 where the component had a dimension keeps it; a new one is inferred
        kept = [x.shape[d] if n == -1 and d < x.dim() else n for d, n in enumerate(size[1:])]
        return x.reshape(kept)

    return _mapped(reshaped, t)


@_rule("unsqueeze", "squeeze")
def _unsqueeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim = given(args, kwargs, "input dim")
    name = func.__name__
    if dim is None:
        raise RuntimeError(
            "squeeze(): For nested tensors, squeeze without the dim argument is not supported at the moment"
        )
    dim = wrap_dim(dim, t.dim() + (name == "unsqueeze"))
    if dim == 0:
        raise RuntimeError(
            f"{name}(): For nested tensors, {name.removesuffix('e')}ing dimension 0 is not supported"
            " at the moment"
            " if you need this feature, please open an issue on github describing your use case."
        )
    return _mapped(lambda x: getattr(x, name)(dim - 1), t)


@_rule("chunk", "split", "split_with_sizes")
def _chunk(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, sizes, dim = (*args, *kwargs.values(), 0)[:3]
    name = "Chunk" if func.__name__ == "chunk" else "split_with_sizes"
    if wrap_dim(dim, t.dim()) != t.dim() - 1:
        raise RuntimeError(f"{name} for nested tensors is currently only supported for the last dimension.")
    pieces = [getattr(x, func.__name__)(sizes, -1) for x in t.unbind()]
    return tuple(from_components(list(column)) for column in zip(*pieces))


@_rule("cat", "concat", "concatenate")
def _cat(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors, dim = given(args, kwargs, "tensors dim", dim=0)
    if not all(map(_is_nested, tensors)):
        raise RuntimeError("Expected each tensor in given list to be nested.")
    dim = wrap_dim(dim, tensors[0].dim())
    if dim == 0:
        return from_components([part for t in tensors for part in t.unbind()])
    return _mapped(lambda *parts: _C.cat(parts, dim - 1), *tensors)


@_rule("select")
def _select(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, index = given(args, kwargs, "input dim index")
    dim = wrap_dim(dim, t.dim())
    if dim:
        return _mapped(lambda x: x.select(dim - 1, index), t)
    count = t.size(0)
    if not -count <= index < count:
        raise IndexError(f"index {index} is out of bounds for dimension 0 with size {count}")
    return t.unbind()[index]


@_rule("__getitem__")
def _getitem(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, index = args
    items = index if isinstance(index, tuple) else (index,)
    if items and isinstance(items[0], int):
        part = t.select(0, items[0])
        return part[items[1:]] if len(items) > 1 else part
    if len(items) == 2 and items[0] is Ellipsis and isinstance(items[1], int):
        return t.select(-1, items[1])
    raise NotImplementedError("flambeau indexes nested tensors of layout strided only with integers")


@_rule("narrow")
def _narrow(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim, start, length = given(args, kwargs, "input dim start length")
    if dim != 0:
        raise RuntimeError(f"narrow(): only dim=0 supported for nested tensors, but got: {dim}")
    return from_components(list(t.unbind()[start : start + length]))


@_rule("unbind")
def _unbind(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].unbind(*args[1:], **kwargs)


@_rule("equal", "is_same_size")
def _equal(func: Callable, args: tuple, kwargs: dict) -> bool:
    a, b = args
    same = _is_nested(a) and _is_nested(b) and a._sizes == b._sizes
    return same and (func.__name__ == "is_same_size" or _C.equal(a._values, b._values))


@_rule("__deepcopy__")
def _deepcopy(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, memo = args[0], args[1]
    if id(t) not in memo:
        memo[id(t)] = t._like(t._values.detach().clone()).requires_grad_(t.requires_grad)
    return memo[id(t)]


@_rule("item", "__bool__")
def _item(func: Callable, args: tuple, kwargs: dict) -> Any:
    return func(args[0]._values)
