"""Settings of ``torch.distributed``."""

compile_on_one_rank = False
"""Whether programs compiled by one process may run in others."""

use_torchcomms = False
"""Whether another library carries the data: there is none."""
