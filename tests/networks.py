"""Small networks of the kinds that people bring, and what the board would do with them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from edge_runtime.program import Program as Loaded
from edge_runtime.program import load
from tests.choices import ranks
from toolkit.compression import break_even_rank, calibrate, compress, compressible_layers, jactus_spectrum, matrix
from toolkit.inputs import inputs_of
from toolkit.runtimes import Program, Runtime


class Summed(nn.Module):
    """Adds a parameter that no delegate takes, because a cumulative sum is of it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.cumsum(self.weight, 0).sum(0)


class Residual(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm around a strided shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, 2, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inside, outside, 1, 2, bias=False)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm2(self.second(self.act(self.norm1(self.first(x))))) + self.shortcut(x))


class Attention(nn.Module):
    """A transformer that calls F.scaled_dot_product_attention itself."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj, self.norm = nn.Linear(16, 48), nn.Linear(16, 16), nn.LayerNorm(16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, tokens, 3, 2, 8).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width)
        return self.head((x + self.proj(mixed)).mean(1))


def mlp() -> tuple[nn.Module, torch.Tensor]:
    return nn.Sequential(nn.Linear(12, 24), nn.SiLU(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 3)), _x(12)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    """Max and average pooling, BatchNorm, a depthwise convolution, and dropout that must not matter."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Hardswish(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 2, padding="same"),
        nn.Dropout(0.9),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 3),
    ), _x(3, 12, 12)


def resnet() -> tuple[nn.Module, torch.Tensor]:
    stages = [Residual(8, 8), Residual(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), *stages, nn.Linear(16, 3)), _x(3, 12, 12)


def attention() -> tuple[nn.Module, torch.Tensor]:
    return Attention(), _x(5, 16)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x)).mean(1))


def encoder() -> tuple[nn.Module, torch.Tensor]:
    return Encoder(), _x(5, 6)


def audio() -> tuple[nn.Module, torch.Tensor]:
    """A projection before Conv1d layers, so that gradients pass through them."""
    return nn.Sequential(
        nn.Linear(64, 48),
        nn.Conv1d(1, 8, 9, 4),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Flatten(),
        nn.Linear(40, 16),
        nn.Dropout(0.9),
        nn.Linear(16, 3),
    ), _x(1, 64)


NETWORKS = {each.__name__: each for each in (mlp, cnn, resnet, attention, encoder, audio)}


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The network in eval mode, with BatchNorm statistics that do something, and six inputs."""
    torch.manual_seed(0)
    model, x = NETWORKS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval(), x


def compacted(backbone: nn.Module, head: nn.Module, x: torch.Tensor, rank: int = 3) -> nn.Module:
    """Every layer that gains from it at that rank."""
    layers = compressible_layers(backbone, inputs_of(x[:1]))
    statistics = calibrate(backbone, layers, [(inputs_of(x), head)])
    sizes = {name: min(rank, break_even_rank(layer)) or None for name, layer in layers.items()}
    spectra = {
        name: jactus_spectrum(matrix(layer), statistics[name], max(1, break_even_rank(layer)))
        for name, layer in layers.items()
    }
    return compress(backbone, spectra, ranks(sizes))


def loaded(runtime: Runtime, program: Program, folder: Path, values: dict[str, np.ndarray] | None = None) -> Loaded:
    """The program as the board's agent loads it."""
    path = folder / f"program{runtime.suffix}"
    path.write_bytes(program.data)
    values = values or {}
    return load(runtime.name, str(path), {name: values[name] for name in program.holes}, 1)


def zeros(values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Adam's state before the first step."""
    empty = [np.zeros_like(value) for value in values]
    return [*empty, *empty, np.zeros((), np.float32), np.zeros((), np.float32)]


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(6, *shape)
