"""One module on several devices, and one model in several processes."""

from flambeau.nn.parallel import comm, distributed, scatter_gather
from flambeau.nn.parallel.data_parallel import DataParallel, data_parallel, parallel_apply, replicate
from flambeau.nn.parallel.distributed import DistributedDataParallel
from flambeau.nn.parallel.scatter_gather import gather, scatter

__all__ = [
    "DataParallel", "DistributedDataParallel", "DistributedDataParallelCPU", "comm", "data_parallel",
    "distributed", "gather", "parallel_apply", "replicate", "scatter", "scatter_gather",
]  # fmt: skip


class DistributedDataParallelCPU(DistributedDataParallel):
    """The older name of :class:`DistributedDataParallel` for models in main memory."""

    def __init__(self, *args, **kwargs) -> None:
        import warnings

        warnings.warn(
            "`torch.nn.parallel.DistributedDataParallelCPU` is deprecated, please use "
            "`torch.nn.parallel.DistributedDataParallel` instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(*args, **kwargs)
