"""Sounds and spectra, transformed by functions. Shapes are [..., time] and [..., frequency, time]."""

from ._filters import *  # noqa: F403
from ._masks import *  # noqa: F403
from ._mel import *  # noqa: F403
from ._resample import *  # noqa: F403
from ._spectra import *  # noqa: F403
