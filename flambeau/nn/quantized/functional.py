"""``torch.nn.quantized.functional``: the former place of ``torch.ao.nn.quantized.functional``."""

from flambeau.ao.nn.quantized.functional import *  # noqa: F403
