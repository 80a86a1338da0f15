"""A depthwise-separable CNN (Zhang et al. 2017, "Hello Edge", section 4.5) on log-mel spectrograms of spoken digits.

Trained here on five speakers of the Free Spoken Digit Dataset (a minute or two on one core, then cached); the sixth
speaker is the few-shot task. Which one that is can be chosen.
"""

import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.models.data import load_arrays
from toolkit.cache import cached, digest
from toolkit.tasks import Examples, Task, split_support

CLASSES = tuple(map(str, range(10)))
SPEAKERS = ("theo", "jackson", "nicolas", "george", "lucas", "yweweler")
HELD_OUT_SPEAKER = SPEAKERS[0]
_RATE, _LENGTH, _WINDOW, _HOP, _MELS = 8000, 6000, 256, 160, 40
_EPOCHS, _BATCH, _TAKES_HELD_OUT = 12, 64, 5


class Separable(nn.Module):
    """A depthwise 3 x 3 and a pointwise convolution, each with batch norm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, channels, mels, frames) -> the same."""
        return F.relu(self.bn2(self.pointwise(F.relu(self.bn1(self.depthwise(x))))))


class SpeechCNN(nn.Module):
    """(N, 1, 40, 36) log-mel -> (N, 10)."""

    def __init__(self, channels: int = 96, depth: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, (10, 4), stride=2, padding=(4, 1), bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(*[Separable(channels) for _ in range(depth)])
        self.head = nn.Linear(channels, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.head(self.blocks(F.relu(self.bn(self.first(x)))).mean((2, 3)))


def model(on_progress: Callable[[int, int], None] | None = None, speaker: str = HELD_OUT_SPEAKER) -> SpeechCNN:
    """The dense network, trained on all speakers but that one on first use."""
    source = inspect.getsource(sys.modules[__name__])
    key = f"speech-{digest(source, speaker)[:16]}"
    folder, _ = cached("examples", key, lambda path: _train(path, speaker, on_progress))
    dense = SpeechCNN()
    dense.load_state_dict(load_file(folder / "model.safetensors"))
    return dense.eval()


def task(shots: int = 5, seed: int = 0, speaker: str = HELD_OUT_SPEAKER) -> Task:
    """Digits of the held-out speaker, `shots` recordings each; the other five speakers are the general data."""
    x, y, speakers, _ = _spectrograms()
    new = speakers == speaker
    support, query = split_support(x[new], y[new], shots=shots, seed=seed, where="FSDD")
    return Task(f"digits of {speaker}", CLASSES, support, query, *_general(speaker))


def _general(new: str) -> tuple[Examples, Examples]:
    """The other speakers' recordings: the first takes of each digit are held out."""
    x, y, speakers, take = _spectrograms()
    known, held_out = speakers != new, take < _TAKES_HELD_OUT
    train, query = (
        Examples(torch.from_numpy(x[rows]), torch.from_numpy(y[rows])) for rows in (known & ~held_out, known & held_out)
    )
    return train, query


@cache
def _spectrograms() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standardised log-mel (N, 1, mels, frames) of the first 0.75 s, digit, speaker, take."""
    data = load_arrays("fsdd_8khz.npz")
    sound = np.zeros((len(data["digit"]), _LENGTH), np.float32)
    for row, start, end in zip(sound, data["offset"], data["offset"][1:], strict=False):
        part = data["samples"][start : min(end, start + _LENGTH)] / np.float32(32768)
        row[: len(part)] = part
    frames = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW, axis=1)[:, ::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), axis=-1)) ** 2
    logs = np.log(power @ _mel_filters().T + 1e-6).transpose(0, 2, 1).astype(np.float32)
    logs = (logs - logs.mean((1, 2), keepdims=True)) / logs.std((1, 2), keepdims=True)
    return np.ascontiguousarray(logs[:, None]), data["digit"].astype(np.int64), data["speaker"], data["take"]


def _mel_filters() -> np.ndarray:
    """Triangles equally spaced on the mel scale (O'Shaughnessy 1987): (mels, window // 2 + 1)."""

    def mel(hertz: float) -> float:
        return 2595 * float(np.log10(1 + hertz / 700))

    points = 700 * (10 ** (np.linspace(mel(20), mel(_RATE / 2), _MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_WINDOW, 1 / _RATE)
    rising = (bins - points[:-2, None]) / (points[1:-1] - points[:-2])[:, None]
    falling = (points[2:, None] - bins) / (points[2:] - points[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _train(folder: Path, speaker: str, on_progress: Callable[[int, int], None] | None) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        general, _ = _general(speaker)
        dense = SpeechCNN().train().to(memory_format=torch.channels_last)  # a third faster to train
        batches = len(general) // _BATCH
        optimizer = torch.optim.AdamW(dense.parameters(), lr=3e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=_EPOCHS * batches)
        for epoch in range(_EPOCHS):
            for index in torch.randperm(len(general))[: batches * _BATCH].split(_BATCH):
                x = torch.roll(general.x.tensors["x"][index], int(torch.randint(-4, 5, ())), 3)
                loss = F.cross_entropy(dense(x + 0.1 * torch.randn_like(x)), general.y[index], label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            if on_progress:
                on_progress(epoch + 1, _EPOCHS)
    state = {name: value.contiguous() for name, value in dense.eval().state_dict().items()}
    save_file(state, folder / "model.safetensors")
