"""Ways of averaging the gradients of `DistributedDataParallel`."""
