"""Cost tables: what each choice for each layer costs on the board."""

import math
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Cost:
    """One layer under one choice: median latency on the board, bytes of weights, and bytes that it holds as it runs.

    `activation_bytes` are its input, its output and, where it is compact, what lies between its factors. A latency that
    was not measured has a standard deviation, and its source says how it was come by.
    """

    latency_ms: float
    weight_bytes: int
    activation_bytes: int = 0
    latency_std_ms: float = 0.0
    source: Literal["measured", "interpolated", "predicted", "estimate"] = "measured"


@dataclass(frozen=True)
class CostTable:
    """Layer -> rank (None: dense) -> cost, and what the rest of the model costs whatever is chosen.

    A row may also stand for a group of channels: its choices are how many of them are kept (None: all), and a cost is
    the difference that it makes, less than zero as a rule. `excludes` names the layers that such a row narrows: they
    stay dense where any of its channels go. A process peaks at `base_peak_bytes`, `peak_per_byte` for a byte of the
    model, and its layers' largest activations.
    """

    layers: dict[str, dict[int | None, Cost]]
    rest_latency_ms: float
    rest_bytes: int
    base_peak_bytes: float = 0.0
    peak_per_byte: float = 1.0
    excludes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def allows(self, ranks: dict[str, int | None]) -> bool:
        """Whether no layer is both compact and narrowed by a group."""
        return all(
            ranks[group] is None or all(ranks[layer] is None for layer in layers)
            for group, layers in self.excludes.items()
        )

    def latency_ms(self, ranks: dict[str, int | None]) -> float:
        """Predicted median latency of the whole model under those choices."""
        layers_ms = sum(self.layers[layer][rank].latency_ms for layer, rank in ranks.items())
        return self.rest_latency_ms + layers_ms

    def size_bytes(self, ranks: dict[str, int | None]) -> int:
        """Predicted bytes of the whole model under those choices."""
        return self.rest_bytes + sum(self.layers[layer][rank].weight_bytes for layer, rank in ranks.items())

    def peak_bytes(self, ranks: dict[str, int | None]) -> int:
        """Predicted peak memory of a process that serves the model under those choices."""
        activations = max((self.layers[layer][rank].activation_bytes for layer, rank in ranks.items()), default=0)
        return math.ceil(self.base_peak_bytes + self.peak_per_byte * self.size_bytes(ranks)) + activations
