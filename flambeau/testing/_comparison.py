"""`assert_close`: comparison of tensors, numbers and containers of them, with messages that say where and how
much."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as fb

__all__ = ["assert_close", "assert_allclose"]

# (rtol, atol) by dtype name; other dtypes are compared for equality
_TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5), "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


class _Unequal(AssertionError):
    """What differs; `path` says where in the containers."""

    def __init__(self, message: str, path: tuple = ()) -> None:
        super().__init__(message)
        self.message, self.path = message, path


class _Options:
    """Arguments of one `assert_close` call."""

    def __init__(self, **kwargs: Any) -> None:
        self.__dict__.update(kwargs)

    def tolerances(self, *dtypes: Any) -> tuple[float, float]:
        """Those asked for, or the loosest default of the dtypes."""
        if self.rtol is not None:
            return self.rtol, self.atol
        pairs = [_TOLERANCES.get(str(d).rpartition(".")[2], (0.0, 0.0)) for d in dtypes]
        return max(p[0] for p in pairs), max(p[1] for p in pairs)


def _allowed(tolerance: float, exact: bool) -> str:
    return "" if exact else f" (up to {tolerance} allowed)"


def _number_type(x: Any) -> type | None:
    if isinstance(x, bool):
        return bool
    for kind in (int, float, complex):
        if isinstance(x, kind):
            return kind
    try:
        import numpy as np

        if isinstance(x, np.number) and not isinstance(x, np.bool_):
            return {"i": int, "u": int, "f": float, "c": complex}[x.dtype.kind]
        if isinstance(x, np.bool_):
            return bool
    except ImportError:
        pass
    return None


def _compare_numbers(
    actual: Any, expected: Any, kind: type, opts: _Options, path: tuple, name: str = "Scalars"
) -> None:
    dtype = {int: fb.int64, float: fb.float64, complex: fb.complex128}[kind]
    rtol, atol = opts.tolerances(dtype)
    _number_message(actual, expected, rtol, atol, opts.equal_nan, path, name)


def _number_message(
    actual: Any, expected: Any, rtol: float, atol: float, equal_nan: bool, path: tuple, name: str = "Scalars"
) -> None:
    if actual == expected or (equal_nan and cmath.isnan(actual) and cmath.isnan(expected)):
        return
    difference = abs(actual - expected)
    if cmath.isfinite(expected) and cmath.isfinite(actual) and difference <= atol + rtol * abs(expected):
        return
    exact = rtol == 0 and atol == 0
    relative = math.inf if expected == 0 else difference / abs(expected)
    raise _Unequal(
        f"{name} are not {'equal' if exact else 'close'}!\n\n"
        f"Expected {expected} but got {actual}.\n"
        f"Absolute difference: {difference}{_allowed(atol, exact)}\n"
        f"Relative difference: {relative}{_allowed(rtol, exact)}",
        path,
    )


def _check_attribute(name: str, actual: Any, expected: Any, path: tuple) -> None:
    if actual != expected:
        raise _Unequal(f"The values for attribute '{name}' do not match: {actual} != {expected}.", path)


def _compare_tensors(actual: Any, expected: Any, opts: _Options, path: tuple) -> None:
    _check_attribute("shape", actual.shape, expected.shape, path)
    if opts.check_layout:
        _check_attribute("layout", actual.layout, expected.layout, path)
    elif actual.layout != expected.layout:
        actual, expected = (t.to_dense() if t.layout != fb.strided else t for t in (actual, expected))
    if opts.check_device:
        _check_attribute("device", actual.device, expected.device, path)
    if opts.check_dtype:
        _check_attribute("dtype", actual.dtype, expected.dtype, path)
    if opts.check_stride and actual.layout == fb.strided:
        _check_attribute("stride()", actual.stride(), expected.stride(), path)
    rtol, atol = opts.tolerances(actual.dtype, expected.dtype)
    if actual.device.type == expected.device.type == "meta":
        return
    if actual.device.type == "meta" or expected.device.type == "meta":
        raise NotImplementedError("Comparing meta tensors is currently not supported")
    if actual.device != expected.device:
        actual, expected = actual.cpu(), expected.cpu()
    if actual.dtype != expected.dtype:
        dtype = fb.promote_types(actual.dtype, expected.dtype)
        actual, expected = actual.to(dtype), expected.to(dtype)
    layout = str(actual.layout)
    if layout == "torch.sparse_coo":
        _compare_coo(actual, expected, rtol, atol, opts, path)
    elif layout != "torch.strided":
        _compare_compressed(actual, expected, rtol, atol, opts, path)
    else:
        _compare_values(actual, expected, rtol, atol, opts.equal_nan, path)


def _compare_coo(actual: Any, expected: Any, rtol: float, atol: float, opts: _Options, path: tuple) -> None:
    if actual._nnz() != expected._nnz():
        raise _Unequal(
            f"The number of specified values in sparse COO tensors does not match: {actual._nnz()} !="
            f" {expected._nnz()}",
            path,
        )
    if actual.is_coalesced() != expected.is_coalesced():
        actual, expected = actual.coalesce(), expected.coalesce()
    _compare_values(actual._indices(), expected._indices(), 0, 0, False, path, "Sparse COO indices")
    _compare_values(
        actual._values(), expected._values(), rtol, atol, opts.equal_nan, path, "Sparse COO values"
    )


def _compare_compressed(
    actual: Any, expected: Any, rtol: float, atol: float, opts: _Options, path: tuple
) -> None:
    kind = str(actual.layout).rpartition("_")[2]
    compressed, plain = (
        ("crow_indices", "col_indices") if kind in ("csr", "bsr") else ("ccol_indices", "row_indices")
    )
    if actual._nnz() != expected._nnz():
        raise _Unequal(
            f"The number of specified values in sparse {kind.upper()} tensors does not match: {actual._nnz()}"
            f" != {expected._nnz()}",
            path,
        )
    for member in (compressed, plain):
        _compare_values(
            getattr(actual, member)(),
            getattr(expected, member)(),
            0,
            0,
            False,
            path,
            f"Sparse {kind.upper()} {member}",
        )
    _compare_values(
        actual.values(), expected.values(), rtol, atol, opts.equal_nan, path, f"Sparse {kind.upper()} values"
    )


def _compare_values(
    actual: Any,
    expected: Any,
    rtol: float,
    atol: float,
    equal_nan: bool,
    path: tuple,
    name: str = "Tensor-likes",
) -> None:
    if str(actual.dtype).startswith("torch.float8"):
        actual, expected = actual.to(fb.float32), expected.to(fb.float32)
    matches = fb.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if bool(matches.all()):
        return
    if actual.dim() == 0:
        scalar = name if name != "Tensor-likes" else "Scalars"
        return _number_message(actual.item(), expected.item(), rtol, atol, equal_nan, path, scalar)
    count = matches.numel()
    wrong = count - int(matches.sum())
    a, e = actual.reshape(-1), expected.reshape(-1)
    if actual.dtype in (fb.bool, fb.uint8) or not (actual.dtype.is_floating_point or actual.dtype.is_complex):
        a, e = a.to(fb.int64), e.to(fb.int64)
    difference = (a - e).abs()
    ok = matches.reshape(-1)
    difference = fb.where(ok, fb.zeros_like(difference), difference)
    relative = difference / e.abs()
    relative = fb.where(ok, fb.zeros_like(relative), relative)
    exact = rtol == 0 and atol == 0
    lines = []
    for label, values, tolerance in (("absolute", difference, atol), ("relative", relative, rtol)):
        where = int(values.argmax())
        index = tuple(_unravel(where, actual.shape))
        lines.append(
            f"Greatest {label} difference: {values[where].item()} at index "
            f"{index}{_allowed(tolerance, exact)}"
        )
    raise _Unequal(
        f"{name} are not {'equal' if exact else 'close'}!\n\n"
        f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})\n" + "\n".join(lines),
        path,
    )


def _unravel(flat: int, shape: Sequence[int]) -> list[int]:
    index = []
    for size in reversed(shape):
        flat, r = divmod(flat, size)
        index.append(r)
    return index[::-1]


def _as_tensor(x: Any, opts: _Options) -> Any:
    """A tensor for what can be one (NumPy arrays), else None."""
    if isinstance(x, fb.Tensor):
        return x
    if hasattr(x, "__array__") and hasattr(x, "dtype"):
        return fb.as_tensor(x)
    return None


def _compare(actual: Any, expected: Any, opts: _Options, path: tuple) -> None:
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        missing, extra = expected.keys() - actual.keys(), actual.keys() - expected.keys()
        if missing or extra:
            raise _Unequal(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(missing)}\n"
                f"Additional keys in the actual mapping: {sorted(extra)}",
                path,
            )
        keys = list(actual)
        try:
            keys.sort()
        except TypeError:
            pass
        for k in keys:
            _compare(actual[k], expected[k], opts, (*path, k))
        return
    sequences = all(isinstance(x, Sequence) and not isinstance(x, str) for x in (actual, expected))
    if sequences:
        if len(actual) != len(expected):
            raise _Unequal(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", path)
        for i, (a, e) in enumerate(zip(actual, expected)):
            _compare(a, e, opts, (*path, i))
        return
    if actual is None or expected is None:
        if actual is not expected:
            raise _Unequal(f"None mismatch: {actual} is not {expected}", path)
        return
    kinds = _number_type(actual), _number_type(expected)
    if kinds == (bool, bool):
        if bool(actual) is not bool(expected):
            raise _Unequal(f"Booleans mismatch: {actual} is not {expected}", path)
        return
    if None not in kinds:
        if opts.check_dtype and type(actual) is not type(expected):
            raise _Unequal(f"The (d)types do not match: {type(actual)} != {type(expected)}.", path)
        kind = max(kinds, key=(bool, int, float, complex).index)
        _compare_numbers(kind(actual), kind(expected), int if kind is bool else kind, opts, path)
        return
    if _comparable(actual, expected, opts):
        a, e = _as_tensor(actual, opts), _as_tensor(expected, opts)
        if a is not None and e is not None:
            _compare_tensors(a, e, opts, path)
            return
    raise TypeError(
        f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
        + (_place(path) if path else "")
    )


def _place(path: tuple) -> str:
    return "\n\nThe failure occurred for item " + "".join(f"[{p!r}]" for p in path)


def _comparable(actual: Any, expected: Any, opts: _Options) -> bool:
    """Tensors of related classes, or equal ones where subclasses are not allowed; arrays with arrays."""
    ta, te = type(actual), type(expected)
    if opts.allow_subclasses:
        return issubclass(ta, te) or issubclass(te, ta)
    return ta is te


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Assert that ``|actual - expected| <= atol + rtol * |expected|`` everywhere.

    Parameters
    ----------
    actual, expected : tensors, NumPy arrays, numbers, None, or nested sequences and mappings of them.
    rtol, atol : tolerances, both or none; by default those of the dtype (float32: 1.3e-6 and 1e-5, float64:
        1e-7 and 1e-7).
    equal_nan : whether NaN equals NaN.
    check_device, check_dtype, check_layout, check_stride : what else must agree.
    msg : replaces the message, or a function of it.
    """
    __tracebackhide__ = True
    if (rtol is None) != (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
            f"{'rtol' if rtol is None else 'atol'}."
        )
    opts = _Options(
        allow_subclasses=allow_subclasses, rtol=rtol, atol=atol, equal_nan=equal_nan,
        check_device=check_device,
        check_dtype=check_dtype, check_layout=check_layout, check_stride=check_stride,
    )  # fmt: skip
    try:
        with fb.no_grad():
            _compare(actual, expected, opts, ())
    except _Unequal as e:
        message = e.message
        if e.path:
            message += _place(e.path)
        if msg is not None:
            message = msg(message) if callable(msg) else msg
        failure = AssertionError(message)
    else:
        return
    raise failure


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """Old form of `assert_close`: converts to tensors, checks neither dtype nor device, looser defaults."""
    import warnings

    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future release. "
        "Please use `torch.testing.assert_close()` instead.",
        FutureWarning,
        stacklevel=2,
    )
    actual = actual if isinstance(actual, fb.Tensor) else fb.tensor(actual)
    expected = expected if isinstance(expected, fb.Tensor) else fb.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        loose = {
            "float16": (1e-3, 1e-3),
            "bfloat16": (1e-1, 1e-1),
            "float32": (1e-4, 1e-5),
            "float64": (1e-5, 1e-8),
        }
        pairs = [loose.get(str(t.dtype).rpartition(".")[2], (0.0, 0.0)) for t in (actual, expected)]
        rtol, atol = max(p[0] for p in pairs), max(p[1] for p in pairs)
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False,
        check_stride=False,
        msg=msg or None,
    )  # fmt: skip
