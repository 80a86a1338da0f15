"""An observer of torchao that leaves the rarest values out of a range, however far out they lie."""

import torch
from torchao.quantization.pt2e.observer import UniformQuantizationObserverBase

_OUTSIDE = 1e-4  # of the values of a call, at either end
_WILD = 20  # of so many calls, one may be wild


class PercentileObserver(UniformQuantizationObserverBase):
    """Leaves out 1e-4 of the values of each call at either end, and then a twentieth of the calls."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.lowest: list[float] = []
        self.highest: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Look at `x` and hand it on."""
        values = x.detach().flatten()
        outside = int(_OUTSIDE * len(values))
        self.lowest.append(float(values.kthvalue(1 + outside).values))
        self.highest.append(float(values.kthvalue(len(values) - outside).values))
        return x

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and zero point."""
        wild = len(self.lowest) // _WILD
        low, high = sorted(self.lowest)[wild], sorted(self.highest)[-1 - wild]
        scale, zero_point = self._calculate_qparams(torch.tensor(low), torch.tensor(high))
        return scale, zero_point
