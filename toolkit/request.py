"""What the user asked for, validated at the edge."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from toolkit.augmentation import Augmentation
from toolkit.choice import Precision
from toolkit.errors import BadInput
from toolkit.recipe import DEFAULT_RECIPE, Recipe

# Allocators that can choose channels and blocks beside ranks: the others take every row of a cost table for a layer of
# its own.
WITH_CONFLICTS = ("exact", "greedy")

# What the allocator may choose from: whatever the board gains from, or one precision for all that can run in it.
AskedPrecision = Literal["auto"] | Precision


@dataclass(frozen=True)
class Request:
    """Model, task and how to treat them. Factories as `package.module:function`; a task may also be a path.

    `runtime` None is the first of the target's that its board can run.
    `policy` is a trained policy for the allocator of that name. `sign` is an ed25519
    private key for boards that demand signed releases; `profile_budget_s` bounds the time spent on layers that can be
    predicted; `curve` names what makes one component worth more than another; `channels` offers the allocator channels
    to remove, beside ranks, `depth` whole residual blocks; `augment` None shifts images and leaves other inputs as they
    are; `recovery_rate` is the highest learning rate of recovery; `precision` auto offers the allocator every precision
    that the board gains from.
    """

    model: str = "toolkit.examples.digits:model"
    task: str = "toolkit.examples.digits:task"
    runtime: str | None = None
    allocator: str = "exact"
    shots: int = 5
    seed: int = 0
    recovery_steps: int = 400
    distill: Recipe = DEFAULT_RECIPE
    adapt_steps: int = 40
    sign: Path | None = None
    profile_budget_s: float | None = None
    policy: Path | None = None
    curve: str = "jactus"
    channels: bool = False
    depth: bool = False
    augment: Augmentation | None = None
    recovery_rate: float = 2e-3
    precision: AskedPrecision = "fp32"


@dataclass(frozen=True)
class Overrides:
    """Limits from the command line; None leaves the target's default. `keep_accuracy` is a share of the dense one.

    `speedup` says instead of `latency_ms` how many times as fast as the dense model the compact one has to be.
    """

    latency_ms: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    keep_accuracy: float | None = None
    speedup: float | None = None


# Those that know that a choice may be a precision.
WITH_PRECISION = ("exact", "greedy", "search")


def require_precision(allocator: str, precision: AskedPrecision) -> None:
    """Raises BadInput if that allocator chooses ranks alone."""
    if precision != "fp32" and allocator not in WITH_PRECISION:
        raise BadInput(
            f"allocator {allocator} chooses ranks alone",
            where=f"--precision {precision}",
            next=f"Choose --precision fp32, or allocator {', '.join(WITH_PRECISION)}.",
        )


def require_conflicts(allocator: str, what: Literal["channels", "depth"]) -> None:
    """Raises BadInput if that allocator cannot choose what rules out choices for layers."""
    if allocator not in WITH_CONFLICTS:
        raise BadInput(
            f"allocator {allocator} cannot choose {what}",
            where=f"compression.{what}",
            next=f"Choose allocator {' or '.join(WITH_CONFLICTS)} (--set allocation.allocator=...).",
        )


def require_pruning() -> None:
    """Raises BadInput if what finds channels is not installed."""
    try:
        metadata.version("torch-pruning")
    except metadata.PackageNotFoundError:
        raise BadInput(
            "Torch-Pruning is not installed",
            where="compression.channels",
            next="In the checkout: .venv/bin/pip install -c constraints.txt -e '.[pruning]'.",
        ) from None
