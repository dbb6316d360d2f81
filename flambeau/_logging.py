"""``torch._logging``: how much the parts of the package say. Here they say little; the settings are kept."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["set_logs"]

_LOGS = "dynamo aot autograd dynamic inductor distributed c10d ddp fsdp dtensor onnx export".split()
_ARTIFACTS = """
aot_graphs aot_joint_graph autotuning benchmarking bytecode caching compiled_autograd
compiled_autograd_verbose compute_dependencies cudagraph_static_inputs cudagraphs ddp_graphs fusion graph
graph_breaks graph_code graph_code_verbose graph_region_expansion graph_sizes guards hierarchical_compile
incremental inductor_metrics ir_post_fusion ir_pre_fusion kernel_code onnx_diagnostics output_code overlap
perf_hints post_grad_graphs pre_grad_graphs recompiles recompiles_verbose schedule side_effects sym_node
trace_bytecode trace_call trace_source
""".split()
_MODULES = {"dynamo": "_dynamo", "aot": "_functorch.aot_autograd", "inductor": "_inductor"}
_LEVELS = (50, 40, 30, 20, 10, 0)

settings: dict[str, Any] = {}


def set_logs(*, all: int | None = None, modules: dict[str, int | bool] | None = None, **names: Any) -> None:
    """Set the levels of loggers by short names (``dynamo=logging.DEBUG``), and switch reports on.

    The loggers are those of ``logging.getLogger("torch._dynamo")`` and so on. Reports of PyTorch's compiler
    (``graph_breaks=True`` …) have nothing to report here; they are kept in `settings`.
    """
    for name, value in names.items():
        if name not in _LOGS and name not in _ARTIFACTS:
            raise TypeError(f"set_logs() got an unexpected keyword argument '{name}'")
        if name in _LOGS and value is not None and value not in _LEVELS:
            raise ValueError(
                f"Unrecognized log level for log {name}: {value}, valid level values are: "
                f"{','.join(map(str, _LEVELS))}"
            )
    settings.clear()
    levels = dict.fromkeys(_LOGS, all) | {k: v for k, v in names.items() if k in _LOGS and v is not None}
    for name in _LOGS:
        level = levels[name]
        logging.getLogger(f"torch.{_MODULES.get(name, name)}").setLevel(
            logging.NOTSET if level is None else level
        )
    for name, level in (modules or {}).items():
        logging.getLogger(name).setLevel(logging.DEBUG if level is True else level)
    settings.update({k: v for k, v in levels.items() if v is not None})
    settings.update({k: v for k, v in names.items() if k in _ARTIFACTS and v})
