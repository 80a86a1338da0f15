"""What the user asked for, validated at the edge."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_runtime.guard import MAX_FORGETTING
from toolkit.augmentation import Augmentation
from toolkit.choice import Precision
from toolkit.errors import BadInput
from toolkit.model_name import HfTask, NamedModel
from toolkit.reading import AS_IT_IS, Reading
from toolkit.recipe import DEFAULT_RECIPE, Recipe

# Allocators that can choose channels and blocks beside ranks: the others take every row of a cost table for a layer of
# its own.
WITH_CONFLICTS = ("exact", "greedy")
# Those that know that a choice may be a precision.
WITH_PRECISION = ("exact", "greedy", "search")

# Where nobody asks for others, of networks that are not large.
USUAL_RECOVERY_STEPS = 400

# What the allocator may choose from: whatever the board gains from, or one precision for all that can run in it.
AskedPrecision = Literal["auto"] | Precision


@dataclass(frozen=True)
class Request:
    """Model, task and how to treat them. Factories as `package.module:function`; a task may also be a path.

    `model` may also be an exported program or a Hugging Face directory; `NamedModel` tells of `weights`, `hf_task` and
    `trust_remote_code`.
    `runtime` None is the first of the target's that its board can run.
    `policy` is a trained policy for the allocator of that name. `sign` is an ed25519 private key for boards that demand
    signed releases; `recovery_steps` and `adapt_steps` None are the usual ones, and fewer of a large network;
    of the score of what the network knew before, boards may lose `max_forgetting` as they learn;
    `profile_budget_s` bounds the time spent on layers that can be predicted, and None leaves that to the board's clock;
    `curve` names what makes one component worth more than another; `channels` offers the allocator channels to remove,
    beside ranks, `depth` whole residual blocks, and None does where the allocator can choose them; `augment` None
    varies examples in ways that the dense network does not mind; `recovery_rate` is the highest learning rate
    of recovery, and None gives each tensor one by its size; `precision` auto offers the allocator every precision that
    the board gains from, if it can choose one; `reading` is what becomes of the task's files; without `adapt` the board
    does not learn; it may learn `spare_classes` that the task has not.
    """

    model: str = "toolkit.examples.digits:model"
    task: str = "toolkit.examples.digits:task"
    runtime: str | None = None
    allocator: str = "exact"
    shots: int = 5
    seed: int = 0
    recovery_steps: int | None = None
    distill: Recipe = DEFAULT_RECIPE
    adapt_steps: int | None = None
    max_forgetting: float = MAX_FORGETTING
    spare_classes: int = 0
    sign: Path | None = None
    profile_budget_s: float | None = None
    policy: Path | None = None
    curve: str = "jactus"
    channels: bool | None = None
    depth: bool | None = None
    augment: Augmentation | None = None
    recovery_rate: float | None = None
    precision: AskedPrecision = "auto"
    weights: Path | None = None
    hf_task: HfTask | None = None
    trust_remote_code: bool = False

    reading: Reading = AS_IT_IS
    adapt: bool = True

    @property
    def named_model(self) -> NamedModel:
        """What the model is loaded from."""
        return NamedModel(self.model, self.weights, self.hf_task, self.trust_remote_code)

    @property
    def offered(self) -> "Offered":
        """What the allocator chooses from beside ranks."""
        able = self.allocator in WITH_CONFLICTS
        precise = self.precision != "auto" or self.allocator in WITH_PRECISION
        return Offered(
            channels=able if self.channels is None else self.channels,
            depth=able if self.depth is None else self.depth,
            precision=self.precision if precise else "fp32",
        )


@dataclass(frozen=True)
class Offered:
    """Channels and residual blocks to remove, and precisions."""

    channels: bool
    depth: bool
    precision: AskedPrecision


@dataclass(frozen=True)
class Overrides:
    """Limits from the command line; None leaves the target's default. `keep_accuracy` is a share of the dense one.

    `speedup` says instead of `latency_ms` how many times as fast as the dense model the compact one has to be.
    `min_accuracy` is the least share of examples that a release must classify correctly.
    """

    latency_ms: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    keep_accuracy: float | None = None
    speedup: float | None = None
    min_accuracy: float | None = None


def require_precision(allocator: str, precision: AskedPrecision) -> None:
    """Raises BadInput if that allocator chooses ranks alone."""
    if precision not in ("auto", "fp32") and allocator not in WITH_PRECISION:
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
