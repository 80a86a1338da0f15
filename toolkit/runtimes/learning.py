"""Learning: the programs by which a board learns, beside the one that it serves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from toolkit.inputs import Inputs, Port
from toolkit.runtimes.program import Program

GUARD = "guard.safetensors"
_ADAM_EPS = 1e-8


@dataclass(frozen=True)
class Guard:
    """Inputs and targets as a release carries them, and the share of their score that may be lost."""

    inputs: Inputs
    targets: torch.Tensor
    max_forgetting: float


@dataclass(frozen=True)
class Learning:
    """See `adaptation.learning_graphs` for what the programs take and give.

    `gradient` and `judge` take batches of `batch` examples. `start`, if there is one, makes the tensors that `starts`
    names from the features of `most` examples, their targets and weights: a head that has seen no more than these.
    `state` holds the shapes of what the optimiser keeps. `hindrance` says what is less than it could be, and why.
    `steps` and `jitter` are usual for a network and inputs like these. `guard` are examples of what the network knew
    before, of whose score learning may cost so much.
    """

    gradient: Program
    update: Program
    judge: Program
    start: Program | None
    batch: int
    most: int
    trainables: tuple[str, ...]
    starts: tuple[str, ...]
    state: tuple[tuple[int, ...], ...]
    target: Port
    hindrance: str | None = None
    steps: int = 0
    jitter: Mapping[str, float] = field(default_factory=dict)
    guard: Guard | None = None

    def programs(self) -> Iterator[tuple[str, Program]]:
        """Each with the name that its file has, without a suffix."""
        yield from (("gradient", self.gradient), ("update", self.update), ("judge", self.judge))
        if self.start is not None:
            yield "start", self.start

    def described(self, suffix: str) -> dict[str, Any]:
        """As a manifest has it."""
        return {
            "programs": {name: f"{name}{suffix}" for name, _ in self.programs()},
            "batch": self.batch,
            "most": self.most,
            "trainables": list(self.trainables),
            "starts": list(self.starts),
            "state": [list(shape) for shape in self.state],
            "target": vars(self.target),
            "eps": _ADAM_EPS,
            "usual": {"steps": self.steps, "jitter": dict(self.jitter)},
            "guard": {"file": GUARD, "max_forgetting": self.guard.max_forgetting} if self.guard else None,
        }
