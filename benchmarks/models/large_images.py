"""ResNet-18 and MobileNetV2 for 224 x 224 images, random weights, and a task of drawn images: for times, not accuracy.

Written from the papers' tables (He et al. 2016, table 1; Sandler et al. 2018, table 2): no package with them is
installed here. Batch normalisation has the statistics of the drawn images, as if it had been trained on them.
"""

import itertools
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.tasks import Examples, Task

_SIZE, _CLASSES, _TASK_CLASSES, _QUERIES = 224, 1000, 10, 5
# Sandler et al. 2018, table 2: expansion, channels, blocks, stride of the first.
_INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def resnet18() -> nn.Module:
    """11.7 M parameters, 1.8 G multiplications."""
    return _seeded(_ResNet18)


def mobilenet_v2() -> nn.Module:
    """3.5 M parameters, 0.3 G multiplications."""
    return _seeded(_MobileNetV2)


def task(shots: int = 5, seed: int = 0) -> Task:
    """Ten classes, each a pattern of its own under noise; there are no general data."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randn(_TASK_CLASSES, 3, 7, 7, generator=torch.Generator().manual_seed(0))

    def drawn(of_each: int) -> Examples:
        y = torch.arange(_TASK_CLASSES).repeat_interleave(of_each)
        x = patterns[y] + 0.5 * torch.randn(len(y), 3, 7, 7, generator=generator)
        return Examples(F.interpolate(x, size=(_SIZE, _SIZE), mode="bilinear"), y)

    return Task("patterns", tuple(map(str, range(_TASK_CLASSES))), drawn(shots), drawn(_QUERIES))


def _seeded(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = build()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = cast("float", None)  # plain averages
        model.train()(*task().support.x)
    return model.eval()


def _normalised(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return [convolution, nn.BatchNorm2d(outputs)]


class _Basic(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_normalised(inputs, outputs, 3, stride))
        self.second = nn.Sequential(*_normalised(outputs, outputs, 3))
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_normalised(inputs, outputs, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class _ResNet18(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_normalised(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
        self.blocks = nn.Sequential(*[_Basic(a, b, 1 if a == b else 2) for a, b in itertools.pairwise(widths)])
        self.head = nn.Linear(512, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class _Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        wider = [*_normalised(inputs, width, 1), nn.ReLU6()] if expansion > 1 else []
        deep = [*_normalised(width, width, 3, stride, groups=width), nn.ReLU6()]
        self.layers = nn.Sequential(*wider, *deep, *_normalised(width, outputs, 1))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class _MobileNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_normalised(3, 32, 3, 2), nn.ReLU6()]
        inputs = 32
        for expansion, outputs, blocks, stride in _INVERTED:
            for index in range(blocks):
                layers.append(_Inverted(inputs, outputs, expansion, stride if index == 0 else 1))
                inputs = outputs
        self.features = nn.Sequential(*layers, *_normalised(inputs, 1280, 1), nn.ReLU6())
        self.head = nn.Linear(1280, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))
