"""``torch.ao.nn.intrinsic.qat``: layers computed together, with fake quantization of weights."""

from flambeau.ao.nn.intrinsic.qat.modules import *  # noqa: F403
from flambeau.ao.nn.intrinsic.qat.modules import __all__  # noqa: F401
