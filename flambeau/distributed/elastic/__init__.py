"""``torch.distributed.elastic``: what a failed process says; the launcher is `distributed.launcher`."""
