"""Networks whose answer is no class: values, a reconstruction, any number of labels."""

import torch
from torch import nn

from benchmarks.models.coverage.case import Case
from benchmarks.models.coverage.taught import taught
from toolkit.objectives import MultiLabel, Regression
from toolkit.tasks import Task

_HERE = "benchmarks.models.coverage.answers"


def regressor() -> nn.Module:
    """Rows of 24 numbers -> two values."""
    torch.manual_seed(0)
    layers = nn.Linear(24, 128), nn.ReLU(), nn.Linear(128, 96), nn.ReLU()
    return nn.Sequential(*layers, nn.Linear(96, 2))


def autoencoder() -> nn.Module:
    """Rows of 64 numbers through eight, and back."""
    torch.manual_seed(0)
    down = nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 8)
    return nn.Sequential(*down, nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64))


def labeller() -> nn.Module:
    """Images (3, 32, 32) -> six labels, each there or not."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU()
    second = nn.Conv2d(24, 48, 3, 2, 1), nn.BatchNorm2d(48), nn.ReLU()
    return nn.Sequential(*first, *second, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(192, 6))


def values(shots: int, seed: int) -> Task:
    """For `regressor`."""
    return taught("values", regressor(), _rows(24), lambda model, x: model(x), Regression.of, shots, seed)


def reconstruction(shots: int, seed: int) -> Task:
    """For `autoencoder`."""
    return taught("rows", autoencoder(), _rows(64), lambda model, x: model(x), Regression.of, shots, seed)


def labels(shots: int, seed: int) -> Task:
    """For `labeller`: those whose logit is above its median."""

    def above(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
        logits = model(x)
        return (logits > logits.median(0).values).float()

    return taught("labels", labeller(), _images, above, lambda _: MultiLabel(), shots, seed)


def _rows(columns: int):
    return lambda count, generator: torch.randn(count, columns, generator=generator)


def _images(count: int, generator: torch.Generator) -> torch.Tensor:
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")


CASES = (
    Case("regressor", f"{_HERE}:regressor", f"{_HERE}:values"),
    Case("autoencoder", f"{_HERE}:autoencoder", f"{_HERE}:reconstruction"),
    Case("labeller", f"{_HERE}:labeller", f"{_HERE}:labels"),
)
