"""Watching calls of a module, to know with what it has to be exported."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import flambeau as fb
from flambeau._annotations import signature_of
from flambeau.utils import _pytree as pytree

from ._program import ONNXProgram

__all__ = ["InputObserver"]


@dataclass
class _Call:
    """One call: its arguments by the names of the parameters, and what came out."""

    values: dict[str, Any]
    positional: int  # how many of them were given by place
    result: Any
    seconds: float


def _copied(value: Any) -> Any:
    return pytree.tree_map(lambda v: v.detach().clone() if isinstance(v, fb.Tensor) else v, value)


def _has_tensors(value: Any) -> bool:
    return any(isinstance(leaf, fb.Tensor) for leaf in pytree.tree_leaves(value))


class InputObserver:
    """Notes the arguments of calls of a module, and tells from them which sizes are dynamic.

    Parameters
    ----------
    value_if_missing : values of arguments that only some calls have, by name, to export with.

    Examples
    --------
    >>> observer = InputObserver()
    >>> with observer(model):
    ...     model(fb.ones(2, 3))
    ...     model(fb.ones(4, 3))
    >>> fb.onnx.export(model, observer.infer_arguments(), dynamic_shapes=observer.infer_dynamic_shapes())
    """

    def __init__(self, value_if_missing: dict[str | int, Any] | None = None) -> None:
        self.value_if_missing = value_if_missing or {}
        self._calls: list[_Call] = []
        self._names: list[str] = []  # of the parameters
        self._only_by_name: set[str] = set()

    @contextmanager
    def __call__(
        self, model: fb.nn.Module, store_n_calls: int = 3, method_name: str = "forward"
    ) -> Iterator[InputObserver]:
        """Context manager: note the calls of a method.

        Parameters
        ----------
        model : the module.
        store_n_calls : how many calls are noted; later ones are not.
        method_name : which method.
        """
        method = getattr(model, method_name)
        signature = signature_of(method)
        self._names = list(signature.parameters)
        self._only_by_name = {n for n, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY}

        @functools.wraps(method)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if len(self._calls) >= store_n_calls:
                return method(*args, **kwargs)
            values = {}
            for name, value in signature.bind(*args, **kwargs).arguments.items():
                if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                    values |= value
                else:
                    values[name] = value
            values = _copied(values)  # the call may write into them
            start = time.perf_counter()
            result = method(*args, **kwargs)
            self._calls.append(_Call(values, len(args), _copied(result), time.perf_counter() - start))
            return result

        had = model.__dict__.get(method_name)
        model.__dict__[method_name] = watched
        try:
            yield self
        finally:
            del model.__dict__[method_name]
            if had is not None:
                model.__dict__[method_name] = had

    def num_obs(self) -> int:
        """How many calls were noted."""
        return len(self._calls)

    # ------------------------------------------------------------------ what the calls have in common

    def _noted(self) -> list[_Call]:
        if not self._calls:
            raise RuntimeError("No inputs were captured.")
        return self._calls

    def _by_place(self) -> bool:
        """Whether every tensor was given by place in all calls."""
        return not self._only_by_name.intersection(self.value_if_missing) and all(
            not _has_tensors(value)
            for call in self._noted()
            for place, value in enumerate(call.values.values())
            if place >= call.positional
        )

    def _arguments(self) -> list[str]:
        """The names of arguments that tensors were given to, in the order of the parameters."""
        found = dict.fromkeys(n for c in self._noted() for n, v in c.values.items() if _has_tensors(v))
        found |= dict.fromkeys(n for n in self.value_if_missing if isinstance(n, str))
        return sorted(found, key=lambda n: self._names.index(n) if n in self._names else len(self._names))

    def _values(self, name: str) -> list[Any]:
        """What calls gave for an argument."""
        return [c.values[name] for c in self._noted() if _has_tensors(c.values.get(name))]

    def _fullest(self, name: str) -> Any:
        """The value of an argument with the most tensors."""
        values = self._values(name) or [self.value_if_missing[name]]
        return max(values, key=lambda v: len(pytree.tree_leaves(v)))

    def _dynamic(self, name: str) -> list[list[int]]:
        """For each leaf of an argument the dimensions whose sizes change."""
        leaves, spec = pytree.tree_flatten(self._fullest(name))
        seen: list[list[tuple]] = [[] for _ in leaves]
        values = self._values(name)
        if name in self.value_if_missing:
            values.append(self.value_if_missing[name])
        for value in values:
            given, own = pytree.tree_flatten(value)
            if own == spec:
                for shapes, leaf in zip(seen, given):
                    if isinstance(leaf, fb.Tensor):
                        shapes.append(tuple(leaf.shape))
        for shapes in seen:
            if len(set(map(len, shapes))) > 1:
                raise RuntimeError(
                    f"Tensors of {name!r} have other numbers of dimensions in other calls: {shapes}"
                )
        return [[d for d, sizes in enumerate(zip(*shapes)) if len(set(sizes)) > 1] for shapes in seen]

    def infer_dynamic_shapes(self, set_batch_dimension_for: set[int | str] | bool | None = None) -> Any:
        """Which sizes changed from call to call, as `flambeau.export.export` takes it.

        Parameters
        ----------
        set_batch_dimension_for : arguments, by name or place, whose first dimension is dynamic in any case;
            True: all of them.

        Returns
        -------
        tuple or dict : for each argument; a dict where tensors were given by name.
        """
        made = {}
        for place, name in enumerate(self._arguments()):
            leaves, spec = pytree.tree_flatten(self._fullest(name))
            wanted = set_batch_dimension_for
            first = wanted is True or (bool(wanted) and (name in wanted or place in wanted))
            made[name] = pytree.tree_unflatten(
                [
                    dict.fromkeys(
                        sorted({*dims, *([0] if first and leaf.dim() else [])}), fb.export.Dim.DYNAMIC
                    )
                    if isinstance(leaf, fb.Tensor)
                    else None
                    for leaf, dims in zip(leaves, self._dynamic(name))
                ],
                spec,
            )
        return tuple(made.values()) if self._by_place() else made

    def infer_arguments(
        self,
        index_or_args_or_kwargs: tuple[Any, ...] | dict[str, Any] | int | None = None,
        flat: bool = False,
        as_args_kwargs: bool = False,
    ) -> Any:
        """Arguments to export with: those of a call, and tensors without values where it lacks some.

        Parameters
        ----------
        index_or_args_or_kwargs : the number of a call, or arguments; by default the call with most tensors.
        flat : give a list of the tensors.
        as_args_kwargs : give ``(args, kwargs)`` in any case.

        Returns
        -------
        tuple or dict : a dict where tensors were given by name.
        """
        calls, names = self._noted(), self._arguments()
        given = index_or_args_or_kwargs
        if given is None:
            values: Mapping[str, Any] = max(calls, key=lambda c: len(pytree.tree_leaves(c.values))).values
        elif isinstance(given, int):
            values = calls[given].values
        else:
            values = given if isinstance(given, Mapping) else dict(zip(names, given))
        made = {n: self._completed(n, values.get(n)) for n in names}
        if flat:
            return pytree.tree_leaves(list(made.values()))
        if as_args_kwargs:
            count = min(call.positional for call in calls)
            places = [n for n in names if n in self._names[:count]]
            return tuple(made[n] for n in places), {n: v for n, v in made.items() if n not in places}
        return tuple(made.values()) if self._by_place() else made

    def _completed(self, name: str, value: Any) -> Any:
        full = self.value_if_missing.get(name, None)
        full = self._fullest(name) if full is None else full
        leaves, spec = pytree.tree_flatten(full)
        if value is not None and pytree.tree_structure(value) == spec:
            return value
        made = []
        for leaf, dims in zip(leaves, self._dynamic(name)):
            if isinstance(leaf, fb.Tensor) and dims and name not in self.value_if_missing:
                sizes = [0 if d == dims[0] else n for d, n in enumerate(leaf.shape)]
                leaf = fb.empty(sizes, dtype=leaf.dtype)
            made.append(leaf)
        return pytree.tree_unflatten(made, spec)

    # ------------------------------------------------------------------ comparing

    def check_discrepancies(
        self,
        onnx_program: ONNXProgram,
        atol: float = 1e-4,
        rtol: float = 0.1,
        progress_bar: bool = False,
        initializer: Callable[[bytes], Any] | None = None,
        skip_none: bool = True,
    ) -> list[dict[str, Any]]:
        """Run an exported model on the arguments of all calls and compare with what came out of these.

        Parameters
        ----------
        onnx_program : the exported model.
        atol, rtol : how far results may be apart.
        progress_bar : accepted.
        initializer : makes a session of onnxruntime of the bytes of a model.
        skip_none : leave out results that are None.

        Returns
        -------
        list of dict : for each call whether it agrees (``SUCCESS``), the largest differences, and times; an
        error is told in ``error``.
        """
        session = (initializer or _session)(onnx_program.model_proto.SerializeToString())
        names = [i.name for i in session.get_inputs()]
        return [self._compared(k, session, names, atol, rtol, skip_none) for k in range(len(self._noted()))]

    def _compared(
        self, k: int, session: Any, names: list[str], atol: float, rtol: float, skip_none: bool
    ) -> dict[str, Any]:
        call = self._calls[k]
        tensors = [t for t in self.infer_arguments(k, flat=True) if isinstance(t, fb.Tensor)]
        facts: dict[str, Any] = {"index": k, "duration_torch": call.seconds, "n_inputs": len(tensors)}
        try:
            start = time.perf_counter()
            found = session.run(None, {n: t.numpy() for n, t in zip(names, tensors)})
            facts["ort_duration"] = time.perf_counter() - start
        except Exception as error:
            return {**facts, "SUCCESS": False, "error": str(error)}
        wanted = [v for v in pytree.tree_leaves(call.result) if v is not None or not skip_none]
        good, absolute, relative = len(found) == len(wanted), 0.0, 0.0
        for one, two in zip(found, wanted):
            one = fb.from_numpy(one)
            if not isinstance(two, fb.Tensor) or one.shape != two.shape or one.dtype != two.dtype:
                good = False
                continue
            apart = (one.double() - two.double()).abs()
            if apart.numel():
                absolute = max(absolute, apart.max().item())
                relative = max(relative, (apart / (two.double().abs() + 1e-7)).max().item())
            good &= bool((apart <= atol + rtol * two.double().abs()).all())
        return {**facts, "SUCCESS": good, "abs": absolute, "rel": relative}


def _session(model: bytes) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
