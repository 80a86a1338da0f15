"""Scikit-learn's handwritten digits (8 x 8, 1,797 real images) and a small vision transformer.

The model is pretrained on the digits 0-6, upright and on their sides: fourteen classes, which need more directions of
its features than seven. The few-shot task is the digits it never saw, 7, 8 and 9.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn

from toolkit.cache import cached, digest
from toolkit.tasks import Examples, Task, split_support

GENERAL_DIGITS = tuple(range(7))
TASK_CLASSES = (7, 8, 9)
_TURNS = 2  # upright, and a quarter turn (RotNet, Gidaris et al. 2018); half turned, a 2 looks like a 2
_STEPS, _BATCH, _RATE = 200, 32, 7e-4
_PATCH, _TOKENS = 4, 4


class Block(nn.Module):
    """A pre-norm transformer block: (N, tokens, width) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attention, then the two-layer perceptron, each added to its input."""
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        x = x + self.proj((attention @ v).transpose(1, 2).reshape(n, tokens, width))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class DigitsViT(nn.Module):
    """(N, 1, 8, 8) -> (N, 14): four patches of 4 x 4, four blocks, mean over tokens. 13.2 M parameters.

    Few tokens and wide layers: one image takes milliseconds, most of them to read the weights, and training in batches
    is cheap.
    """

    def __init__(
        self, width: int = 640, depth: int = 4, heads: int = 10, classes: int = _TURNS * len(GENERAL_DIGITS)
    ) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, _PATCH, stride=_PATCH)
        self.position = nn.Parameter(torch.randn(1, _TOKENS, width) * 0.02)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits over the general classes."""
        tokens = self.patch(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def model(on_progress: Callable[[int, int], None] | None = None) -> DigitsViT:
    """The dense model, trained on first use (about half a minute on two idle cores), then cached."""
    source = inspect.getsource(sys.modules[__name__])
    folder, _ = cached("examples", f"digits-{digest(source)[:16]}", lambda path: _train(path, on_progress))
    dense = DigitsViT()
    dense.load_state_dict(load_file(folder / "model.safetensors"))
    return dense.eval()


def task(shots: int = 5, seed: int = 0) -> Task:
    """Digits 7, 8, 9: `shots` examples each to learn from, the rest to be judged on.

    General data are the digits 0-6, upright and on their sides.
    """
    x, y = _images()
    new = np.isin(y, TASK_CLASSES)
    support, query = split_support(x[new], y[new] - TASK_CLASSES[0], shots=shots, seed=seed, where="digits")
    general, general_query = _general(x, y)
    return Task("digits 7-9", tuple(map(str, TASK_CLASSES)), support, query, general, general_query)


def _images() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    return (data.images / 16).astype(np.float32)[:, None], data.target


def _general(x: np.ndarray, y: np.ndarray) -> tuple[Examples, Examples]:
    """Digits 0-6, three quarters to train on; the split never changes, whatever the task's seed."""
    members = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(y, GENERAL_DIGITS)))
    cut = len(members) * 3 // 4
    train, held_out = (_turned(x[part], y[part]) for part in (members[:cut], members[cut:]))
    return train, held_out


def _turned(x: np.ndarray, y: np.ndarray) -> Examples:
    """Each image in each turn; both the digit and the turn make its class."""
    images = np.concatenate([np.rot90(x, turn, axes=(2, 3)) for turn in range(_TURNS)])
    classes = np.concatenate([y + turn * len(GENERAL_DIGITS) for turn in range(_TURNS)])
    return Examples(torch.from_numpy(images), torch.from_numpy(classes))


def _train(folder: Path, on_progress: Callable[[int, int], None] | None) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = DigitsViT().train()
        general, _ = _general(*_images())
        [images] = general.x
        optimizer = torch.optim.AdamW(dense.parameters(), lr=_RATE, weight_decay=0.05, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_STEPS)
        for step in range(1, _STEPS + 1):
            drawn = torch.randint(len(general), (_BATCH,))
            x = images[drawn] + 0.1 * torch.randn_like(images[drawn])
            logits = dense(x)
            loss = F.cross_entropy(logits, general.y[drawn], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if on_progress:
                on_progress(step, _STEPS)
    save_file(dense.eval().state_dict(), folder / "model.safetensors")
