"""What transforms of the first generation share."""

from __future__ import annotations

from flambeau import nn

from .functional import InterpolationMode


class Shown(nn.Module):
    """A transform whose repr shows some of its attributes, as ``name=value``."""

    shown: tuple[str, ...] = ()
    modes_in_full = False  # InterpolationMode.BILINEAR instead of bilinear
    between = ", "

    def __repr__(self) -> str:
        parts = []
        for name in self.shown:
            value = getattr(self, name)
            short = isinstance(value, InterpolationMode) and not self.modes_in_full
            parts.append(f"{name}={value.value if short else value}")
        return f"{type(self).__name__}({self.between.join(parts)})"
