"""Low-discrepancy sequences."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flambeau as fb

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SobolEngine"]


class SobolEngine:
    """Points of a Sobol' sequence, which fill the unit cube more evenly than random ones.

    The direction numbers are those of Joe and Kuo (2008), for up to 21201 dimensions.

    Parameters
    ----------
    dimension : int
    scramble : bool
        Scramble the points by random lower triangular matrices and shifts (Owen, 1998).
    seed : int, optional
        Of the scrambling.

    Examples
    --------
    >>> SobolEngine(2).draw(3)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.7500, 0.2500]])
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if dimension > self.MAXDIM or dimension < 1:
            raise ValueError(f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]")
        self.seed = seed
        self.scramble = scramble
        self.dimension = dimension
        self.sobolstate = fb.from_numpy(_direction_integers(dimension, self.MAXBIT))
        self.shift = fb.zeros(dimension, dtype=fb.long)
        if scramble:
            self._scramble()
        self.quasi = self.shift.clone()
        self._first_point = (self.quasi / 2**self.MAXBIT).reshape(1, -1)
        self.num_generated = 0

    def draw(self, n: int = 1, out: Any = None, dtype: Any = None) -> fb.Tensor:
        """Return the next points.

        Parameters
        ----------
        n : int
            The first call should ask for a power of two, to keep the points balanced.

        Returns
        -------
        Tensor
            ``(n, dimension)``.
        """
        dtype = fb.get_default_dtype() if dtype is None else dtype
        if self.num_generated == 0:
            if n & (n - 1) != 0:
                warnings.warn(
                    "The balance properties of Sobol' points require n to be a power of 2.", stacklevel=2
                )
            points = self._first_point.to(dtype)
            if n > 1:
                points = fb.cat((points, self._points(n - 1, 0, dtype)), dim=-2)
        else:
            points = self._points(n, self.num_generated - 1, dtype)
        self.num_generated += n
        if out is None:
            return points
        out.resize_as_(points).copy_(points)
        return out

    def draw_base2(self, m: int, out: Any = None, dtype: Any = None) -> fb.Tensor:
        """Return the next ``2**m`` points; all points drawn must stay a power of two."""
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1) != 0:
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: "
                f"n={self.num_generated}+2**{m}={total}. If you still want to do this, please use "
                "'SobolEngine.draw()' instead."
            )
        return self.draw(n=n, out=out, dtype=dtype)

    def reset(self) -> SobolEngine:
        """Go back to the first point."""
        self.quasi.copy_(self.shift)
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Leave out the next ``n`` points."""
        steps, start = (n - 1, 0) if self.num_generated == 0 else (n, self.num_generated - 1)
        self._walk(steps, start)
        self.num_generated += n
        return self

    def _walk(self, n: int, start: int) -> np.ndarray:
        """Step ``n`` times from point ``start``; each step flips one direction (Antonov and Saleev, 1979).

        Returns
        -------
        ndarray
            ``(n, dimension)``, as integers.
        """
        import numpy as np

        index = np.arange(start, start + n)
        lowest_zero = np.log2((index + 1) & ~index).astype(np.int64)
        state, quasi = self.sobolstate.numpy(), self.quasi.numpy()
        points = np.bitwise_xor.accumulate(np.vstack((quasi[None], state.T[lowest_zero])), axis=0)[1:]
        if n > 0:
            quasi[:] = points[-1]
        return points

    def _points(self, n: int, start: int, dtype: Any) -> fb.Tensor:
        return fb.from_numpy(self._walk(n, start)).to(dtype) * 2.0**-self.MAXBIT

    def _scramble(self) -> None:
        import numpy as np

        generator = None
        if self.seed is not None:
            generator = fb.Generator()
            generator.manual_seed(self.seed)
        size, bits = self.dimension, self.MAXBIT
        shift_bits = fb.randint(2, (size, bits), generator=generator)
        self.shift = fb.mv(shift_bits, fb.pow(2, fb.arange(0, bits)))
        matrices = fb.randint(2, (size, bits, bits), generator=generator).tril().numpy()
        matrices[:, range(bits), range(bits)] = 1
        # Row i of a matrix, as an integer whose highest bit is column 0, gives bit i of a scrambled integer,
        # also counted from the highest: the parity of the bits both have.
        weights = 2 ** np.arange(bits - 1, -1, -1)
        rows = matrices @ weights
        state = self.sobolstate.numpy()
        common = rows[:, None, :] & state[:, :, None]
        for half in (16, 8, 4, 2, 1):
            common ^= common >> half
        state[:] = (common & 1) @ weights

    def __repr__(self) -> str:
        text = f"dimension={self.dimension}"
        if self.scramble:
            text += ", scramble=True"
        if self.seed is not None:
            text += f", seed={self.seed}"
        return f"{type(self).__name__}({text})"


@lru_cache(maxsize=1)
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Primitive polynomials of dimensions 2 and up, and the bits of their first direction numbers."""
    import numpy as np

    with np.load(Path(__file__).with_name("_sobol_directions.npz")) as data:
        return 1 + np.cumsum(data["polynomial_steps"], dtype=np.int64), data["bits"]


def _direction_integers(dimension: int, bits: int) -> np.ndarray:
    """Return ``(dimension, bits)`` integers: the recurrence of each polynomial, moved to the highest bits."""
    import numpy as np

    numbers = np.ones((dimension, bits), np.int64)
    polynomials, packed = _tables()
    polynomials = polynomials[: dimension - 1]
    degrees = np.log2(polynomials).astype(np.int64)
    # The j-th of a polynomial's first numbers is odd and below 2^(j + 1): j bits are kept of it.
    sizes = degrees * (degrees - 1) // 2
    starts = np.cumsum(sizes) - sizes
    flags = np.unpackbits(packed[: (int(sizes.sum()) + 7) // 8], bitorder="little").astype(np.int64)
    for degree in range(1, int(degrees.max(initial=0)) + 1):
        (which,) = np.nonzero(degrees == degree)
        m = numbers[which + 1]
        for j in range(1, degree):
            places = starts[which, None] + j * (j - 1) // 2 + np.arange(j)
            m[:, j] += flags[places] @ (2 ** np.arange(1, j + 1))
        for j in range(degree, bits):
            m[:, j] = m[:, j - degree] ^ (m[:, j - degree] << degree)
            for k in range(1, degree):
                m[:, j] ^= np.where(polynomials[which] >> (degree - k) & 1, m[:, j - k] << k, 0)
        numbers[which + 1] = m
    return numbers << np.arange(bits - 1, -1, -1)
