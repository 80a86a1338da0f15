"""The reference workload: a fixed program that takes turns with the release, so that a slow machine slows both."""

from functools import cache

import torch
from torch import nn

from toolkit.inputs import inputs_of
from toolkit.runtimes import RUNTIMES, Program, export_with_holes

# Part of every baseline: times of another workload cannot be compared.
REFERENCE = "four ReLU layers 256 x 256, batch 16"
INPUT_SHAPE = (16, 256)


@cache
def reference_program(runtime: str) -> Program:
    """Exported for that runtime."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [part for _ in range(4) for part in (nn.Linear(256, 256), nn.ReLU())]
        workload = nn.Sequential(*layers).eval()
        return RUNTIMES[runtime].export(export_with_holes(workload, inputs_of(torch.randn(INPUT_SHAPE)), ()), ())
