"""A module run on several devices at once, each with a part of the batch."""

import threading
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.nn.modules.module import Module
from flambeau.nn.parallel.comm import device_of
from flambeau.nn.parallel.scatter_gather import gather, scatter_kwargs

__all__ = ["DataParallel", "data_parallel", "parallel_apply", "replicate"]


def replicate(network: Module, devices: Sequence[int | fb.device], detach: bool = False) -> list[Module]:
    """Copies of `network`, one on each device, through which gradients reach the original.

    Parameters
    ----------
    detach : bool
        Cut the copies off from the original.
    """
    replicas = []
    for device in map(device_of, devices):
        copies: dict[Module, Module] = {m: m._replicate_for_data_parallel() for m in network.modules()}
        for module, copied in copies.items():
            for name, child in module._modules.items():
                copied._modules[name] = None if child is None else copies[child]
            for name, param in module._parameters.items():
                if param is None:
                    copied._parameters[name] = None
                    continue
                moved = (param.detach() if detach else param).to(device)
                # a plain attribute: it is no leaf, and so no parameter
                copied.__dict__[name] = moved
            for name, buffer in module._buffers.items():
                copied._buffers[name] = None if buffer is None else buffer.to(device)
        replicas.append(copies[network])
    return replicas


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[int | fb.device | None] | None = None,
) -> list[Any]:
    """The results of `modules`, each called with its own arguments in a thread of its own."""
    count = len(modules)
    if count != len(inputs):
        raise AssertionError(
            f"The number of modules {count} is not equal to the number of inputs {len(inputs)}"
        )
    named = kwargs_tup if kwargs_tup is not None else [{}] * count
    results: list[Any] = [None] * count
    failures: list[BaseException | None] = [None] * count
    with_grad = fb.is_grad_enabled()

    def run(i: int) -> None:
        args = inputs[i] if isinstance(inputs[i], (list, tuple)) else (inputs[i],)
        try:
            with fb.set_grad_enabled(with_grad):
                results[i] = modules[i](*args, **named[i])
        except BaseException as error:
            failures[i] = error

    if count == 1:
        run(0)
    else:
        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for failure in failures:
        if failure is not None:
            raise failure
    return results


class DataParallel(Module):
    """Divides the batch among CUDA devices; without any it just calls the module.

    Parameters
    ----------
    module : Module
    device_ids : sequence of int or device, optional
        All CUDA devices by default.
    output_device : int or device, optional
        Where the results are put together; the first device by default.
    dim : int
        The dimension of the batch.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[int | fb.device] | None = None,
        output_device: int | fb.device | None = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        if device_ids is None:
            device_ids = list(range(fb.cuda.device_count())) if fb.cuda.is_available() else []
        self.module = module
        self.device_ids = list(device_ids)
        if not self.device_ids:
            return
        self.dim = dim
        self.output_device = self.device_ids[0] if output_device is None else output_device
        if len(self.device_ids) == 1:
            self.module.to(device_of(self.device_ids[0]))

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Call the module on all devices."""
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        parts, named = scatter_kwargs(inputs, kwargs, self.device_ids, self.dim)
        if not parts:
            parts, named = ((),), ({},)
        if len(self.device_ids) == 1:
            return self.module(*parts[0], **named[0])
        devices = self.device_ids[: len(parts)]
        outputs = parallel_apply(replicate(self.module, devices), parts, named, devices)
        return gather(outputs, self.output_device, self.dim)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[int | fb.device] | None = None,
    output_device: int | fb.device | None = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> fb.Tensor:
    """:class:`DataParallel` as a function."""
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*args, **(module_kwargs or {}))
