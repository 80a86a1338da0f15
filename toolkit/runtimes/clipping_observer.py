"""An observer of torchao that reads ranges as every other part of the toolkit does; see `clipping`."""

import torch
from torchao.quantization.pt2e.observer import UniformQuantizationObserverBase

from toolkit.runtimes.arithmetic import Ranges
from toolkit.runtimes.clipping import extremes, histogram, least_information_lost, limits


class ClippingObserver(UniformQuantizationObserverBase):
    """Looks at each call as at one example. "entropy" has to see all of them again, after `look_again`."""

    def __init__(self, ranges: Ranges, **options: object) -> None:
        super().__init__(**options)
        self.ranges = ranges
        self.found: list[torch.Tensor] = []
        self.within: torch.Tensor | None = None
        self.counts = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Look at `x` and hand it on."""
        if self.within is None:
            self.found.append(extremes(x.detach().reshape(1, -1), self.ranges))
        else:
            self.counts = self.counts + histogram(x.detach(), self.within)
        return x

    def look_again(self) -> None:
        """From now on count how far from zero values are, within the limits that are known."""
        self.within = limits(torch.cat(self.found), self.ranges)

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and zero point."""
        if self.within is None:
            low, high = limits(torch.cat(self.found), self.ranges)
        else:
            low, high = least_information_lost(self.counts, self.within)
        scale, zero_point = self._calculate_qparams(low, high)
        return scale, zero_point
