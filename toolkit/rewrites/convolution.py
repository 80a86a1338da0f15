"""A convolution over time as one over images one pixel high."""

import torch
from torch import nn


class FlatConv(nn.Module):
    """`nn.Conv1d` as an `nn.Conv2d` with a kernel (1, k): (N, C, L) or (C, L) -> the same with other channels."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        padding = conv.padding if isinstance(conv.padding, str) else (0, *conv.padding)
        self.conv = nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            (1, *conv.kernel_size),  # type: ignore[arg-type]
            (1, *conv.stride),  # type: ignore[arg-type]
            padding,  # type: ignore[arg-type]
            (1, *conv.dilation),  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
            padding_mode=conv.padding_mode,
        )
        with torch.no_grad():
            self.conv.weight.copy_(conv.weight.unsqueeze(2))
            if conv.bias is not None:
                self.conv.bias.copy_(conv.bias)  # type: ignore[union-attr]

    @property
    def weight(self) -> torch.Tensor:
        """(m, C, k), as the `nn.Conv1d` had it."""
        return self.conv.weight.squeeze(2)

    @property
    def bias(self) -> torch.Tensor | None:
        """(m,)."""
        return self.conv.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As `nn.Conv1d` answers."""
        return self.conv(input.unsqueeze(-2)).squeeze(-2)
