"""Networks of a sensor's curves (6, 64), recurrent, convolutional and attending, and of rows of numbers."""

import torch
from torch import nn

from benchmarks.models.coverage.case import Case

_HERE, _TASKS = "benchmarks.models.coverage.sequences", "benchmarks.models.coverage.tasks"
_CHANNELS, _CLASSES = 6, 3


class _LastStep(nn.Module):
    """A recurrent network over time, and a linear layer on its last step."""

    def __init__(self, reads: nn.Module) -> None:
        super().__init__()
        self.reads, self.mixed, self.head = reads, nn.Linear(64, 48), nn.Linear(48, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps, _ = self.reads(x.transpose(1, 2))
        return self.head(torch.relu(self.mixed(steps[:, -1])))


def lstm() -> nn.Module:
    """One layer of 64."""
    torch.manual_seed(0)
    return _LastStep(nn.LSTM(_CHANNELS, 64, batch_first=True))


def gru() -> nn.Module:
    """Two layers of 32, both ways."""
    torch.manual_seed(0)
    return _LastStep(nn.GRU(_CHANNELS, 32, num_layers=2, batch_first=True, bidirectional=True))


class _Causal(nn.Module):
    """Two dilated convolutions that see nothing of the future, around a shortcut."""

    def __init__(self, inside: int, outside: int, dilation: int) -> None:
        super().__init__()
        self.pad = nn.ConstantPad1d((2 * dilation, 0), 0.0)
        self.first = nn.Conv1d(inside, outside, 3, dilation=dilation)
        self.second = nn.Conv1d(outside, outside, 3, dilation=dilation)
        self.shortcut = nn.Conv1d(inside, outside, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.second(self.pad(torch.relu(self.first(self.pad(x))))))
        return torch.relu(inner + self.shortcut(x))


def tcn() -> nn.Module:
    """A temporal convolutional network (Bai et al. 2018)."""
    torch.manual_seed(0)
    blocks = [_Causal(_CHANNELS, 48, 1), _Causal(48, 48, 2), _Causal(48, 48, 4)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(48, _CLASSES))


class _Patches(nn.Module):
    """Each channel in patches of eight steps, all by one transformer (Nie et al. 2023)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.places = nn.Linear(8, 48), nn.Parameter(0.02 * torch.randn(8, 48))
        layer = nn.TransformerEncoderLayer(48, 4, 96, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(_CHANNELS * 48, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, channels, steps = x.shape
        x = (x - x.mean(2, keepdim=True)) / (x.var(2, keepdim=True) + 1e-5).sqrt()
        patches = self.embed(x.reshape(n * channels, steps // 8, 8)) + self.places
        return self.head(self.encoder(patches).mean(1).reshape(n, -1))


def patch_tst() -> nn.Module:
    """A network like PatchTST."""
    torch.manual_seed(0)
    return _Patches()


def mlp() -> nn.Module:
    """Rows of 24 numbers."""
    torch.manual_seed(0)
    layers = nn.Linear(24, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()
    return nn.Sequential(*layers, nn.Linear(128, _CLASSES))


CASES = (
    *(Case(name, f"{_HERE}:{name}", f"{_TASKS}:series") for name in ("lstm", "gru", "tcn", "patch_tst")),
    Case("mlp", f"{_HERE}:mlp", f"{_TASKS}:rows"),
)
