"""Networks that nobody wrote, drawn by hypothesis: what people stack, in orders that they would not.

Each takes one batch and answers a vector an example; weights are random, and nothing is trained.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

ACTIVATIONS = (nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Softplus)


@dataclass(frozen=True)
class Drawn:
    """A model in eval mode and four inputs (4, *input_shape)."""

    model: nn.Module
    x: torch.Tensor = field(repr=False)


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


class Branches(nn.Module):
    """Both sides of a fork, side by side along the channels."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.first(x), self.second(x)], 1)


class Gated(nn.Module):
    """Squeeze and excitation (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(channels, 4), nn.Linear(4, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(self.up(F.relu(self.down(x.flatten(2).mean(2)))))
        return x * gate.view(*gate.shape, *[1] * (x.dim() - 2))


class Twice(nn.Module):
    """One layer in two places."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.tanh(self.layer(x)))


class Turned(nn.Module):
    """A module over (N, L, C) for a series (N, C, L)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.inner(x.transpose(1, 2))
        return (answer[0] if isinstance(answer, tuple) else answer).transpose(1, 2)


class AttendsToItself(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x)[0]


class ByName(nn.Module):
    """Calls its layer by the name of its input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(input=x)


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(2)


class Embeds(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.table(x.long()).transpose(1, 2)


def _hooked(layer: nn.Module) -> nn.Module:
    layer.register_forward_hook(lambda _, __, output: 0.5 * output)
    return layer


def _habits(layer: nn.Module) -> st.SearchStrategy[nn.Module]:
    """What people do to a layer."""
    done: list[Callable[[nn.Module], nn.Module]] = [lambda each: each] * 5
    done += [parametrizations.weight_norm, _hooked, ByName, lambda each: each.requires_grad_(False)]
    return st.sampled_from(done).map(lambda change: change(layer))


@st.composite
def _image_block(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int]:
    """A block over images (N, C, H, W) that keeps H and W, and how many channels come out."""
    kind = draw(st.sampled_from(["conv", "grouped", "act", "norm", "residual", "branches", "gated", "twice", "up"]))
    if kind == "conv":
        size, dilation, out = (
            draw(st.sampled_from([1, 3, 5])),
            draw(st.integers(1, 2)),
            draw(st.sampled_from([4, 8, 24])),
        )
        mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "circular"]))
        conv = nn.Conv2d(channels, out, size, 1, dilation * (size // 2), dilation, padding_mode=mode)
        return draw(_habits(conv)), out
    if kind == "grouped":
        return nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=draw(st.booleans())), channels
    if kind == "act":
        return draw(st.sampled_from(ACTIVATIONS))(), channels
    if kind == "norm":
        norms = nn.BatchNorm2d(channels), nn.GroupNorm(1, channels), nn.InstanceNorm2d(channels, affine=True)
        return draw(st.sampled_from(norms)), channels
    if kind == "gated":
        return Gated(channels), channels
    if kind == "twice":
        return Twice(nn.Conv2d(channels, channels, 3, padding=1)), channels
    if kind == "up":
        return nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), nn.Upsample(size=(8, 8), mode="nearest")), channels
    first, width = draw(_image_block(channels))
    if kind == "residual":
        back = nn.Conv2d(width, channels, 1)
        return Residual(nn.Sequential(first, nn.ReLU(), back)), channels
    second, other = draw(_image_block(channels))
    return Branches(first, second), width + other


@st.composite
def _series_block(draw: st.DrawFn, channels: int) -> tuple[nn.Module, int]:
    """A block over series (N, C, L) that keeps L."""
    kind = draw(st.sampled_from(["conv", "act", "attention", "encoder", "recurrent", "linear", "residual", "norm"]))
    if kind == "conv":
        out = draw(st.sampled_from([4, 8, 24]))
        return draw(_habits(nn.Conv1d(channels, out, 3, padding=1))), out
    if kind == "act":
        return draw(st.sampled_from(ACTIVATIONS))(), channels
    if kind == "attention":
        return Turned(Residual(AttendsToItself(channels, draw(st.sampled_from([1, 2]))))), channels
    if kind == "encoder":
        layer = nn.TransformerEncoderLayer(channels, 2, 16, batch_first=True, norm_first=draw(st.booleans()))
        return Turned(layer), channels
    if kind == "recurrent":
        out = draw(st.sampled_from([4, 8]))
        recurrent = draw(st.sampled_from([nn.LSTM, nn.GRU]))
        return Turned(recurrent(channels, out, batch_first=True)), out
    if kind == "linear":
        out = draw(st.sampled_from([4, 8, 24]))
        return Turned(draw(_habits(nn.Linear(channels, out)))), out
    if kind == "norm":
        return Turned(nn.LayerNorm(channels)), channels
    inner, width = draw(_series_block(channels))
    return Residual(nn.Sequential(inner, nn.Conv1d(width, channels, 1))), channels


@st.composite
def _vector_block(draw: st.DrawFn, width: int) -> tuple[nn.Module, int]:
    """A block over vectors (N, D)."""
    out = draw(st.sampled_from([4, 16, 40]))
    layer = draw(_habits(nn.Linear(width, out, bias=draw(st.booleans()))))
    return nn.Sequential(layer, draw(st.sampled_from(ACTIVATIONS))()), out


@st.composite
def random_modules(draw: st.DrawFn) -> Drawn:
    """A network for images, series, token ids or vectors, three to nine blocks deep."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["images", "series", "tokens", "vectors"]))
    layers: list[nn.Module] = []
    width = draw(st.sampled_from([2, 4, 6]))
    if kind == "images":
        x, block = torch.randn(4, width, 8, 8), _image_block
    elif kind == "series":
        x, block = torch.randn(4, width, 12), _series_block
    elif kind == "tokens":
        x, block = torch.randint(0, 20, (4, 12)).float(), _series_block
        layers.append(Embeds(20, width))
    else:
        x, block = torch.randn(4, width), _vector_block
    for _ in range(draw(st.integers(1, 5))):
        layer, width = draw(block(width))
        layers.append(layer)
    if kind != "vectors":
        layers.append(Mean())
    for _ in range(draw(st.integers(0, 2))):
        layer, width = draw(_vector_block(width))
        layers.append(layer)
    layers.append(nn.Linear(width, 3))
    if draw(st.booleans()):
        layers.append(draw(st.sampled_from([nn.Softmax(1), nn.Tanh(), nn.Identity()])))
    model = nn.Sequential(*layers)
    for name, buffer in model.named_buffers():  # as of a trained network
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return Drawn(model.eval(), x)
