"""How many calls of a module several threads manage."""

from __future__ import annotations

import random
import threading
import time
from typing import Any, NamedTuple

__all__ = ["ExecutionStats", "ThroughputBenchmark", "format_time"]


def format_time(
    time_us: float | None = None, time_ms: float | None = None, time_s: float | None = None
) -> str:
    """A duration, given in one of three units, in the unit that suits it."""
    if sum(t is not None for t in (time_us, time_ms, time_s)) != 1:
        raise AssertionError("format_time needs exactly one of time_us, time_ms and time_s")
    if time_us is None:
        time_us = time_ms * 1e3 if time_ms is not None else time_s * 1e6
    if time_us >= 1e6:
        return f"{time_us / 1e6:.3f}s"
    return f"{time_us / 1e3:.3f}ms" if time_us >= 1e3 else f"{time_us:.3f}us"


class _Numbers(NamedTuple):
    latency_avg_ms: float
    num_iters: int


class ExecutionStats:
    """What a benchmark measured."""

    def __init__(self, c_stats: _Numbers, benchmark_config: Any) -> None:
        self._c_stats, self.benchmark_config = c_stats, benchmark_config

    @property
    def latency_avg_ms(self) -> float:
        """Milliseconds a call takes."""
        return self._c_stats.latency_avg_ms

    @property
    def num_iters(self) -> int:
        """Calls made."""
        return self._c_stats.num_iters

    @property
    def iters_per_second(self) -> float:
        """Calls a second, of all threads together."""
        return self.num_iters / self.total_time_seconds

    @property
    def total_time_seconds(self) -> float:
        """Seconds it took."""
        return self.num_iters * (self.latency_avg_ms / 1000.0) / self.benchmark_config.num_calling_threads

    def __str__(self) -> str:
        return "\n".join(
            [
                "Average latency per example: " + format_time(time_ms=self.latency_avg_ms),
                f"Total number of iterations: {self.num_iters}",
                f"Total number of iterations per second (across all threads): {self.iters_per_second:.2f}",
                "Total time: " + format_time(time_s=self.total_time_seconds),
            ]
        )


class _Config(NamedTuple):
    num_calling_threads: int
    num_warmup_iters: int
    num_iters: int
    profiler_output_path: str


class ThroughputBenchmark:
    """Runs a module from several threads on inputs drawn from those that were added.

    Parameters
    ----------
    module : an `nn.Module`, a script module or any callable.

    Examples
    --------
    >>> bench = ThroughputBenchmark(net)
    >>> bench.add_input(torch.randn(8, 10))
    >>> print(bench.benchmark(num_calling_threads=2))
    """

    def __init__(self, module: Any) -> None:
        if not callable(module):
            raise RuntimeError("ThroughputBenchmark expects a module or a callable")
        self._module = module
        self._inputs: list[tuple] = []

    def run_once(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module; to see that an input fits it."""
        return self._module(*args, **kwargs)

    def add_input(self, *args: Any, **kwargs: Any) -> None:
        """Add the arguments of a call."""
        self._inputs.append((args, kwargs))

    def benchmark(
        self,
        num_calling_threads: int = 1,
        num_warmup_iters: int = 10,
        num_iters: int = 100,
        profiler_output_path: str = "",
    ) -> ExecutionStats:
        """Measure.

        Parameters
        ----------
        num_calling_threads : threads that call.
        num_warmup_iters : calls of each thread before the clock runs.
        num_iters : calls of all threads together.
        profiler_output_path : not supported: use `torch.profiler` around the call.
        """
        if profiler_output_path:
            raise NotImplementedError("flambeau's benchmark writes no profile: use torch.profiler around it")
        if not self._inputs:
            raise RuntimeError("Please provide benchmark inputs.Did you forget to call add_input()? ")
        config = _Config(num_calling_threads, num_warmup_iters, num_iters, profiler_output_path)
        left = num_iters
        lock = threading.Lock()
        warm = threading.Barrier(num_calling_threads + 1)
        durations: list[float] = []
        errors: list[BaseException] = []

        def work(seed: int) -> None:
            nonlocal left
            draw = random.Random(seed)
            own = 0.0
            try:
                for _ in range(num_warmup_iters):
                    args, kwargs = draw.choice(self._inputs)
                    self._module(*args, **kwargs)
                warm.wait()
                while True:
                    with lock:
                        if left <= 0:
                            break
                        left -= 1
                    args, kwargs = draw.choice(self._inputs)
                    began = time.perf_counter()
                    self._module(*args, **kwargs)
                    own += time.perf_counter() - began
            except threading.BrokenBarrierError:
                pass  # another thread tells why
            except BaseException as error:
                errors.append(error)
                warm.abort()
            durations.append(own)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(num_calling_threads)]
        for t in threads:
            t.start()
        try:
            warm.wait()
        except threading.BrokenBarrierError:
            pass
        for t in threads:
            t.join()
        if errors:
            raise errors[0]
        return ExecutionStats(_Numbers(1000 * sum(durations) / num_iters, num_iters), config)
