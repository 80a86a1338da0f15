"""Cost tables: what each choice for each part costs on the board."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from toolkit.choice import Choice


@dataclass(frozen=True)
class Cost:
    """One part under one choice: median latency on the board, bytes of weights, and bytes that it holds as it runs.

    `activation_bytes` are its input, its output and, where it is compact, what lies between its factors. A latency that
    was not measured has a standard deviation, and its source says how it was come by.
    """

    latency_ms: float
    weight_bytes: int
    activation_bytes: int = 0
    latency_std_ms: float = 0.0
    source: Literal["measured", "interpolated", "predicted", "estimate"] = "measured"


@dataclass(frozen=True)
class Pair:
    """Choices of one part that stand beside choices of another: any of `first` with any of `second`."""

    parts: tuple[str, str]
    first: frozenset[Choice]
    second: frozenset[Choice]

    def holds(self, chosen: Mapping[str, Choice]) -> bool:
        """Whether it is so in these choices."""
        return chosen[self.parts[0]] in self.first and chosen[self.parts[1]] in self.second


@dataclass(frozen=True)
class CostTable:
    """Part -> choice -> cost, and what the rest of the model costs whatever is chosen.

    A part may be a layer, which costs what it takes, or a group of channels, which costs the difference that it makes
    to the layers that it narrows, less than zero as a rule. `conflicts` cannot be chosen together; `between` is what
    others cost beyond their parts, milliseconds, never less than zero: a change of precision from a layer to the next.
    A process peaks at `base_peak_bytes`, `peak_per_byte` for a byte of the model, and its parts' largest activations.
    """

    parts: dict[str, dict[Choice, Cost]]
    rest_latency_ms: float
    rest_bytes: int
    base_peak_bytes: float = 0.0
    peak_per_byte: float = 1.0
    conflicts: tuple[Pair, ...] = ()
    between: tuple[tuple[Pair, float], ...] = ()

    def allows(self, chosen: Mapping[str, Choice]) -> bool:
        """Whether no two of the choices conflict."""
        return not any(pair.holds(chosen) for pair in self.conflicts)

    def latency_ms(self, chosen: Mapping[str, Choice]) -> float:
        """Predicted median latency of the whole model under those choices."""
        parts_ms = sum(self.parts[part][choice].latency_ms for part, choice in chosen.items())
        between_ms = sum(ms for pair, ms in self.between if pair.holds(chosen))
        return self.rest_latency_ms + parts_ms + between_ms

    def size_bytes(self, chosen: Mapping[str, Choice]) -> int:
        """Predicted bytes of the whole model under those choices."""
        return self.rest_bytes + sum(self.parts[part][choice].weight_bytes for part, choice in chosen.items())

    def peak_bytes(self, chosen: Mapping[str, Choice]) -> int:
        """Predicted peak memory of a process that serves the model under those choices."""
        activations = max((self.parts[part][choice].activation_bytes for part, choice in chosen.items()), default=0)
        return math.ceil(self.base_peak_bytes + self.peak_per_byte * self.size_bytes(chosen)) + activations
