"""Convolutional classifiers of images (3, 32, 32) that people write themselves, and an MLP-Mixer."""

import torch
from torch import nn

from benchmarks.models.coverage.case import Case

_HERE, _TASKS = "benchmarks.models.coverage.convolutional", "benchmarks.models.coverage.tasks"
_CLASSES = 3


def efficientnet() -> nn.Module:
    """Inverted residuals with squeeze and excitation, SiLU (Tan & Le 2019)."""
    torch.manual_seed(0)
    blocks = _Inverted(16, 16, 1), _Inverted(16, 24, 2), _Inverted(24, 24, 1), _Inverted(24, 40, 2)
    return nn.Sequential(*_conv(3, 16, 3, 2), *blocks, *_conv(40, 96, 1), *_ending(96))


def shufflenet_v2() -> nn.Module:
    """Halves of channels that are convolved, joined and shuffled (Ma et al. 2018)."""
    torch.manual_seed(0)
    return nn.Sequential(*_conv(3, 48, 3, 2), *[_Shuffled(48) for _ in range(3)], *_conv(48, 96, 1, 2), *_ending(96))


def densenet() -> nn.Module:
    """Every layer reads all before it (Huang et al. 2017)."""
    torch.manual_seed(0)
    layers = [_Dense(24 + 12 * index, 12) for index in range(4)]
    return nn.Sequential(*_conv(3, 24, 3, 2), *layers, *_ending(72))


def vgg() -> nn.Module:
    """Convolutions and pooling, then two wide linear layers (Simonyan & Zisserman 2014)."""
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()]
    wide = [nn.Linear(64 * 16, 256), nn.ReLU(), nn.Dropout(), nn.Linear(256, 128), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*body, nn.AvgPool2d(4), nn.Flatten(), *wide, nn.Linear(128, _CLASSES))


def mlp_mixer() -> nn.Module:
    """Linear layers across patches and across channels (Tolstikhin et al. 2021)."""
    torch.manual_seed(0)
    patches = nn.Sequential(nn.Conv2d(3, 64, 8, 8), nn.Flatten(2))
    return nn.Sequential(
        patches, _Mixer(64, 16), _Mixer(64, 16), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, _CLASSES)
    )


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outside), nn.SiLU()]


def _ending(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, _CLASSES)]


class _Inverted(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        wide = 4 * inside
        self.expand = nn.Sequential(*_conv(inside, wide, 1), *_conv(wide, wide, 3, stride, wide))
        squeeze = nn.Conv2d(wide, wide // 8, 1), nn.SiLU(), nn.Conv2d(wide // 8, wide, 1), nn.Sigmoid()
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), *squeeze)
        self.project = nn.Sequential(nn.Conv2d(wide, outside, 1, bias=False), nn.BatchNorm2d(outside))
        self.adds = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.expand(x)
        out = self.project(wide * self.excite(wide))
        return x + out if self.adds else out


class _Shuffled(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        depthwise = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.BatchNorm2d(half)
        self.branch = nn.Sequential(*_conv(half, half, 1), *depthwise, *_conv(half, half, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, other = x.chunk(2, 1)
        x = torch.cat([kept, self.branch(other)], 1)
        n, channels, height, width = x.shape
        return x.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)


class _Dense(nn.Module):
    def __init__(self, inside: int, growth: int) -> None:
        super().__init__()
        self.norm, self.convolution = nn.BatchNorm2d(inside), nn.Conv2d(inside, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.convolution(torch.relu(self.norm(x)))], 1)


class _Mixer(nn.Module):
    """(N, width, patches) -> the same."""

    def __init__(self, width: int, patches: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.Sequential(nn.Linear(patches, 32), nn.GELU(), nn.Linear(32, patches))
        self.within = nn.Sequential(nn.Linear(width, 128), nn.GELU(), nn.Linear(128, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.across(self.norm1(x.transpose(1, 2)).transpose(1, 2))
        return x + self.within(self.norm2(x.transpose(1, 2))).transpose(1, 2)


CASES = tuple(
    Case(name, f"{_HERE}:{name}", f"{_TASKS}:images")
    for name in ("efficientnet", "shufflenet_v2", "densenet", "vgg", "mlp_mixer")
)
