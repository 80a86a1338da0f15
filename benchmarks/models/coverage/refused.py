"""Models that nothing can be made of, each to be refused by its name."""

import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic

from benchmarks.models.coverage.case import Case

_HERE, _TASKS = "benchmarks.models.coverage.refused", "benchmarks.models.coverage.tasks"


def scripted() -> nn.Module:
    """What `torch.jit.script` makes of a network."""
    return torch.jit.script(_plain())


def quantised() -> nn.Module:
    """What torch's dynamic quantisation makes of a network."""
    return quantize_dynamic(_plain(), {nn.Linear}, dtype=torch.qint8)


def lazy() -> nn.Module:
    """A network that was never called."""
    return nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.Linear(32, 3))


def _plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 3)).eval()


CASES = (
    Case("scripted", f"{_HERE}:scripted", f"{_TASKS}:rows", refused="TorchScript"),
    Case("quantised", f"{_HERE}:quantised", f"{_TASKS}:rows", refused="quantised already"),
    Case("lazy", f"{_HERE}:lazy", f"{_TASKS}:rows", refused="does not know its size"),
)
