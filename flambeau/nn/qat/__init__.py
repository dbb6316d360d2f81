"""``torch.nn.qat``: the former place of ``torch.ao.nn.qat``."""

import sys

from flambeau.ao.nn.qat import *  # noqa: F403
from flambeau.ao.nn.qat import dynamic, modules

sys.modules[f"{__name__}.dynamic"] = dynamic
sys.modules[f"{__name__}.modules"] = modules
