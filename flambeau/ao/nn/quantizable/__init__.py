"""``torch.ao.nn.quantizable``: layers made of parts that can be observed."""

from flambeau.ao.nn.quantizable.modules import *  # noqa: F403
from flambeau.ao.nn.quantizable.modules import __all__  # noqa: F401
