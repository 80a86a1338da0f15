"""A conversion between fp32 and int8 alone, as it stands between two layers of a `.pte`."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.export import ExportedProgram

_STEP = 1 / 32


class _Conversion(nn.Module):
    def __init__(self, to_int8: bool) -> None:
        super().__init__()
        self.to_int8 = to_int8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        decomposed = torch.ops.quantized_decomposed
        convert = decomposed.quantize_per_tensor if self.to_int8 else decomposed.dequantize_per_tensor
        converted: torch.Tensor = convert(x, _STEP, 0, -128, 127, torch.int8)
        return converted


def conversion(shape: Sequence[int], to_int8: bool) -> ExportedProgram:
    """x -> x in steps of a 32nd, or the reverse."""
    import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401  (brings the operators)

    x = torch.zeros(tuple(shape), dtype=torch.float32 if to_int8 else torch.int8)
    with torch.no_grad():
        return torch.export.export(_Conversion(to_int8), (x,))
