"""Tensors and numbers made by chance, for trying an operator on many inputs."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import flambeau as fb

__all__ = ["FuzzedParameter", "FuzzedTensor", "Fuzzer", "ParameterAlias"]

_DISTRIBUTIONS = ("loguniform", "uniform")


class ParameterAlias:
    """Says that a parameter has the value of another, as a choice of a distribution."""

    def __init__(self, alias_to: str) -> None:
        self.alias_to = alias_to

    def __repr__(self) -> str:
        return f"ParameterAlias[alias_to: {self.alias_to}]"


class FuzzedParameter:
    """A number that is drawn by chance.

    Parameters
    ----------
    name : what tensors and constraints call it.
    minval, maxval : its limits, both possible.
    distribution : "uniform" (whole if both limits are), "loguniform" (whole), or a dictionary of choices and
        their probabilities.
    strict : is not drawn again when other parameters did not fit.
    """

    def __init__(
        self,
        name: str,
        minval: int | float | None = None,
        maxval: int | float | None = None,
        distribution: str | dict[Any, float] | None = None,
        strict: bool = False,
    ) -> None:
        self._name, self._minval, self._maxval, self.strict = name, minval, maxval, strict
        if isinstance(distribution, dict):
            if minval is not None or maxval is not None:
                raise AssertionError("minval and maxval must be None when a distribution is given as a dict")
            if abs(sum(distribution.values()) - 1) > 1e-6:
                raise AssertionError("Distribution is not normalized")
        elif distribution not in _DISTRIBUTIONS:
            raise AssertionError(f"Unknown distribution: {distribution}")
        elif minval is None or maxval is None:
            raise AssertionError("minval and maxval are needed for this distribution")
        self._distribution = distribution

    @property
    def name(self) -> str:
        """What tensors and constraints call it."""
        return self._name

    def sample(self, state: Any) -> Any:
        """A value, drawn from a `numpy.random.RandomState`."""
        import numpy as np

        if isinstance(self._distribution, dict):
            choices = list(self._distribution)
            return choices[state.choice(len(choices), p=list(self._distribution.values()))]
        if self._distribution == "loguniform":
            return int(np.exp(state.uniform(np.log(self._minval), np.log(self._maxval))))
        if isinstance(self._minval, int) and isinstance(self._maxval, int):
            return int(state.randint(self._minval, self._maxval + 1))
        return state.uniform(self._minval, self._maxval)


class FuzzedTensor:
    """A tensor whose sizes and layout are drawn by chance.

    Parameters
    ----------
    name : what it is called.
    size, steps : numbers or names of parameters; `steps` takes every n-th element of a larger tensor.
    probability_contiguous : how often its dimensions are in the usual order in memory.
    min_elements, max_elements, max_allocation_bytes : parameters that break these are drawn again.
    dim_parameter : the parameter that says how many of `size` and `steps` count.
    roll_parameter : the parameter that says by how many places the dimensions turn.
    dtype, cuda : what it is made as.
    tensor_constructor : makes it, called with `size`, `dtype` and the parameters.
    """

    def __init__(
        self, name: str, size: tuple[str | int, ...], steps: tuple[str | int, ...] | None = None,
        probability_contiguous: float = 0.5, min_elements: int | None = None, max_elements: int | None = None,
        max_allocation_bytes: int | None = None, dim_parameter: str | None = None,
        roll_parameter: str | None = None, dtype: fb.dtype = fb.float32, cuda: bool = False,
        tensor_constructor: Callable[..., fb.Tensor] | None = None,
    ) -> None:  # fmt: skip
        self._name, self._size, self._steps = name, size, steps
        self._probability_contiguous = probability_contiguous
        self._min_elements, self._max_elements = min_elements, max_elements
        self._max_allocation_bytes = max_allocation_bytes
        self._dim_parameter, self._roll_parameter = dim_parameter, roll_parameter
        self._dtype, self._cuda = dtype, cuda
        self._tensor_constructor = tensor_constructor

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    @staticmethod
    def default_tensor_constructor(size: tuple[int, ...], dtype: fb.dtype, **kwargs: Any) -> fb.Tensor:
        """Numbers of [0, 1), whole ones of [1, 127), or truth values."""
        if dtype.is_floating_point or dtype.is_complex:
            return fb.rand(size=size, dtype=dtype, device="cpu")
        least, most = (0, 2) if dtype == fb.bool else (1, 127)
        return fb.randint(least, most, size=size, dtype=dtype, device="cpu")

    def _get_size_and_steps(self, params: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
        dim = params[self._dim_parameter] if self._dim_parameter is not None else len(self._size)
        size = tuple(params.get(n, n) for n in self._size)[:dim]
        steps = tuple(params.get(n, n) for n in self._steps or ())[:dim] + (1,) * dim
        return size, steps[:dim], tuple(n * step for n, step in zip(size, steps))

    def satisfies_constraints(self, params: dict[str, Any]) -> bool:
        """Whether these parameters give a tensor within the limits."""
        size, _, allocated = self._get_size_and_steps(params)
        elements = functools.reduce(operator.mul, size, 1)
        allocated_bytes = functools.reduce(operator.mul, allocated, 1) * self._dtype.itemsize

        def within(value: int, least: int | None, most: int | None) -> bool:
            return (not least or value >= least) and (not most or value <= most)

        return within(elements, self._min_elements, self._max_elements) and within(
            allocated_bytes, None, self._max_allocation_bytes
        )

    def _make_tensor(self, params: dict[str, Any], state: Any) -> tuple[fb.Tensor, dict[str, Any]]:
        import numpy as np

        size, steps, allocated = self._get_size_and_steps(params)
        constructor = self._tensor_constructor or self.default_tensor_constructor
        raw = constructor(size=allocated, dtype=self._dtype, **params)
        if self._cuda:
            raw = raw.cuda()
        dim = len(size)
        order = np.arange(dim)
        if dim > 1 and state.rand() > self._probability_contiguous:
            while dim > 1 and np.all(order == np.arange(dim)):
                order = state.permutation(raw.dim())
            raw = raw.permute(tuple(order)).contiguous()
            raw = raw.permute(tuple(np.argsort(order)))
        tensor = raw[tuple(slice(0, n * step, step) for n, step in zip(size, steps))]
        properties = {
            "numel": int(tensor.numel()),
            "order": order,
            "steps": steps,
            "is_contiguous": tensor.is_contiguous(),
            "dtype": str(self._dtype),
        }
        return tensor, properties


class Fuzzer:
    """Draws parameters and makes tensors of them.

    Parameters
    ----------
    parameters, tensors : what is drawn and made; lists among them are taken apart.
    constraints : functions of the dictionary of parameters; what one of them refuses is drawn again.
    seed : of the sequence of draws.
    """

    def __init__(
        self,
        parameters: list[FuzzedParameter | list[FuzzedParameter]],
        tensors: list[FuzzedTensor | list[FuzzedTensor]],
        constraints: list[Callable[[dict[str, Any]], bool]] | None = None,
        seed: int | None = None,
    ) -> None:
        import numpy as np

        self._seed = (
            int(np.random.RandomState().randint(0, 2**32 - 1, dtype=np.int64)) if seed is None else seed
        )
        self._parameters = self._unpack(parameters, FuzzedParameter)
        self._tensors = self._unpack(tensors, FuzzedTensor)
        self._constraints = constraints or ()
        names = [p.name for p in (*self._parameters, *self._tensors)]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"Duplicate names in parameters and tensors: {repeated}")
        self._rejections = self._total_generated = 0

    @staticmethod
    def _unpack(values: Any, cls: type) -> tuple:
        return tuple(
            itertools.chain.from_iterable([value] if isinstance(value, cls) else value for value in values)
        )

    def take(self, n: int) -> Iterator[tuple[dict[str, fb.Tensor], dict[str, dict], dict[str, Any]]]:
        """`n` times: the tensors, their properties, the parameters."""
        import numpy as np

        state = np.random.RandomState(self._seed)
        fb.manual_seed(state.randint(low=0, high=2**63, dtype=np.int64))
        for _ in range(n):
            params = self._generate(state)
            made = {tensor.name: tensor._make_tensor(params, state) for tensor in self._tensors}
            yield (
                {name: tensor for name, (tensor, _) in made.items()},
                {name: properties for name, (_, properties) in made.items()},
                params,
            )

    @property
    def rejection_rate(self) -> float:
        """The share of draws that were refused."""
        return self._rejections / self._total_generated if self._total_generated else 0.0

    def _generate(self, state: Any) -> dict[str, Any]:
        strict: dict[str, Any] = {}
        for _ in range(1000):
            params = dict(strict)
            for parameter in self._parameters:
                if parameter.strict and parameter.name in params:
                    continue
                params[parameter.name] = parameter.sample(state)
                if parameter.strict:
                    strict[parameter.name] = params[parameter.name]
            params = self._resolve_aliases(params)
            self._total_generated += 1
            if all(check(params) for check in self._constraints) and all(
                tensor.satisfies_constraints(params) for tensor in self._tensors
            ):
                return params
            self._rejections += 1
        raise ValueError("Failed to generate a set of valid parameters.")

    @staticmethod
    def _resolve_aliases(params: dict[str, Any]) -> dict[str, Any]:
        resolved = dict(params)
        for name in params:
            seen = [name]
            while isinstance(resolved[name], ParameterAlias):
                target = resolved[name].alias_to
                if target in seen:
                    raise ValueError(f"ParameterAlias cycle: {' -> '.join([*seen, target])}")
                seen.append(target)
                resolved[name] = params[target]
        return resolved
