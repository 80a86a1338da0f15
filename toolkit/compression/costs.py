"""Cost tables: what each choice for each layer costs on the board."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """One layer under one choice: median latency measured on the board, and bytes of weights."""

    latency_ms: float
    weight_bytes: int


@dataclass(frozen=True)
class CostTable:
    """Layer -> rank (None: dense) -> cost, and what the rest of the model costs whatever is chosen.

    `latency_scale` corrects sums of layers to whole models, fitted on whole models measured on the same board.
    """

    layers: dict[str, dict[int | None, Cost]]
    rest_latency_ms: float
    rest_bytes: int
    latency_scale: float = 1.0

    def latency_ms(self, ranks: dict[str, int | None]) -> float:
        """Predicted median latency of the whole model under those choices."""
        layers_ms = sum(self.layers[layer][rank].latency_ms for layer, rank in ranks.items())
        return self.latency_scale * (self.rest_latency_ms + layers_ms)

    def size_bytes(self, ranks: dict[str, int | None]) -> int:
        """Predicted bytes of the whole model under those choices."""
        return self.rest_bytes + sum(self.layers[layer][rank].weight_bytes for layer, rank in ranks.items())
