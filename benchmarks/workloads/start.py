"""Starting: whole processes of the interpreter that runs the workload."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.workload import workload


def process(torch, text):
    """Runs a program in a fresh process; what it prints is the result."""
    command = [sys.executable, "-c", text.format(name=torch.__name__)]

    def work():
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [float(word) for word in done.stdout.split()]

    return work


@workload("start", "import", 8)
def start(torch):
    return process(torch, "import {name}")


@workload("start", "a ten-step training script", 5)
def script(torch):
    return process(
        torch,
        """
import {name} as torch
torch.manual_seed(0)
model = torch.nn.Linear(10, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.rand(32, 10), torch.rand(32, 1)
for _ in range(10):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
print(loss.item())
""",
    )
