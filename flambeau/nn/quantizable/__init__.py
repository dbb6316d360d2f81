"""``torch.nn.quantizable``: the former place of ``torch.ao.nn.quantizable``."""

from flambeau.ao.nn.quantizable import *  # noqa: F403
