"""Compact layers: `y = U C V^T x + b` as three ordinary modules, so that runtimes and quantisers see plain layers.

`down` (V^T) and `up` (U, bias) are frozen bases, `core` (C, r x r) is what trains, on the host and on the board.
Columns are ordered by importance: rank r is the prefix of any larger rank. Whoever reads an attribute of a layer that
became compact (its stride, the dtype of its weight), or calls it by the name of its input, finds what the dense layer
had.
"""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from toolkit.surroundings import look_like

Dense = nn.Linear | nn.Conv2d


@dataclass(frozen=True)
class Factors:
    """One layer's orthonormal bases `v` (n, r) and `u` (m, r) and its `core` (r, r); n counts unfolded inputs."""

    u: torch.Tensor
    core: torch.Tensor
    v: torch.Tensor


class CompactLinear(nn.Module):
    """A linear layer through r dimensions: (..., in_features) -> (..., out_features)."""

    def __init__(self, in_features: int, out_features: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(in_features, rank, bias=False)
        self.core = nn.Linear(rank, rank, bias=False)
        self.up = nn.Linear(rank, out_features)

    @property
    def rank(self) -> int:
        """r, the number of components kept."""
        return self.core.in_features

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """`up(core(down(input)))`."""
        return self.up(self.core(self.down(input)))

    @property
    def weight(self) -> torch.Tensor:
        """(m, n), the product of the factors."""
        return self.up.weight @ self.core.weight @ self.down.weight

    @property
    def bias(self) -> torch.Tensor:
        """(m,); zeros where the dense layer had none."""
        return self.up.bias

    @torch.no_grad()
    def fold(self) -> "Folded":
        """Two factors for inference, `(C V^T, U)`: the core merges into `down`. Same outputs, r (m + n) weights."""
        down = nn.Linear(self.down.in_features, self.rank, bias=False)
        down.weight.copy_(self.core.weight @ self.down.weight)
        return _folded(down, self)

    @torch.no_grad()
    def truncate(self, rank: int) -> "CompactLinear":
        """The first `rank` components of this layer: a prefix of each base and of the core."""
        smaller = CompactLinear(self.down.in_features, self.up.out_features, rank)
        return _copy_prefix(self, smaller, rank)


class CompactConv2d(nn.Module):
    """A convolution through r channels: k x k to r, 1 x 1, 1 x 1. Shapes as `nn.Conv2d`."""

    def __init__(self, conv: nn.Conv2d, rank: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(
            conv.in_channels,
            rank,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            conv.dilation,  # type: ignore[arg-type]
            bias=False,
            padding_mode=conv.padding_mode,
        )
        self.core = nn.Conv2d(rank, rank, 1, bias=False)
        self.up = nn.Conv2d(rank, conv.out_channels, 1)

    @property
    def rank(self) -> int:
        """r, the number of components kept."""
        return self.core.in_channels

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """`up(core(down(input)))`."""
        return self.up(self.core(self.down(input)))

    @property
    def weight(self) -> torch.Tensor:
        """(m, C, k, k), the product of the factors."""
        factors = self.up.weight.flatten(1) @ self.core.weight.flatten(1) @ self.down.weight.flatten(1)
        return factors.view(-1, *self.down.weight.shape[1:])

    @property
    def bias(self) -> torch.Tensor | None:
        """(m,); zeros where the dense layer had none."""
        return self.up.bias

    @torch.no_grad()
    def fold(self) -> "Folded":
        """Two factors for inference: the core merges into the k x k convolution."""
        down = _like(self.down, self.rank)
        down.weight.copy_((self.core.weight.flatten(1) @ self.down.weight.flatten(1)).view_as(down.weight))
        return _folded(down, self)

    @torch.no_grad()
    def truncate(self, rank: int) -> "CompactConv2d":
        """The first `rank` components of this layer: a prefix of each base and of the core."""
        return _copy_prefix(self, CompactConv2d(_like(self.down, self.up.out_channels), rank), rank)


class Folded(nn.Module):
    """A compact layer for inference: `up(down(x))`, the core within `down`."""

    def __init__(self, down: Dense, up: Dense) -> None:
        super().__init__()
        self.down, self.up = down, up

    @property
    def weight(self) -> torch.Tensor:
        """Shaped as the dense layer's."""
        return (self.up.weight.flatten(1) @ self.down.weight.flatten(1)).view(-1, *self.down.weight.shape[1:])

    @property
    def bias(self) -> torch.Tensor | None:
        """(m,)."""
        return self.up.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """`up(down(input))`."""
        return self.up(self.down(input))


Compact = CompactLinear | CompactConv2d
Layer = TypeVar("Layer", CompactLinear, CompactConv2d)


@torch.no_grad()
def build_compact(layer: Dense, factors: Factors) -> Compact:
    """The compact layer that stands in for `layer`, with frozen bases and bias and a trainable core."""
    rank = factors.core.shape[0]
    compact: Compact
    if isinstance(layer, nn.Linear):
        compact = CompactLinear(layer.in_features, layer.out_features, rank)
    else:
        compact = CompactConv2d(layer, rank)
    compact.down.weight.copy_(factors.v.T.reshape(compact.down.weight.shape))
    compact.core.weight.copy_(factors.core.reshape(compact.core.weight.shape))
    compact.up.weight.copy_(factors.u.reshape(compact.up.weight.shape))
    if layer.bias is None:
        compact.up.bias.zero_()  # type: ignore[union-attr]
    else:
        compact.up.bias.copy_(layer.bias)  # type: ignore[union-attr]
    look_like(layer, compact)
    compact.requires_grad_(False)
    compact.core.requires_grad_(True)
    return compact.train(layer.training)


def matrix(layer: Dense) -> torch.Tensor:
    """The layer's weight as (m, n): outputs by unfolded inputs."""
    return layer.weight.detach().flatten(1)


def break_even_rank(layer: Dense) -> int:
    """The largest rank at which two factors hold fewer weights than the dense layer: r < mn / (m + n)."""
    m, n = matrix(layer).shape
    return max(0, (m * n - 1) // (m + n))


def _like(conv: nn.Conv2d, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(
        conv.in_channels,
        out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        bias=False,
        padding_mode=conv.padding_mode,
    )


def _folded(down: Dense, compact: Compact) -> Folded:
    pair = Folded(down, compact.up)
    look_like(compact, pair)
    return pair.requires_grad_(False).eval()


def _copy_prefix(source: Layer, target: Layer, rank: int) -> Layer:
    if not 1 <= rank <= source.rank:
        raise ValueError(f"rank {rank} is not a prefix of rank {source.rank}")
    target.down.weight.copy_(source.down.weight[:rank])
    target.core.weight.copy_(source.core.weight[:rank, :rank])
    target.up.weight.copy_(source.up.weight[:, :rank])
    target.up.bias.copy_(source.up.bias)  # type: ignore[union-attr,arg-type]
    look_like(source, target)
    target.requires_grad_(False)
    target.core.requires_grad_(True)
    return target.train(source.training)
