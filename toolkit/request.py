"""What the user asked for, validated at the edge."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.recipe import DEFAULT_RECIPE, Recipe


@dataclass(frozen=True)
class Request:
    """Model, task and how to treat them. Factories as `package.module:function`; a task may also be a path.

    `policy` is a trained policy for the allocator of that name; the bundled example has one. `sign` is an ed25519
    private key for boards that demand signed releases; `profile_budget_s` bounds the time spent on layers that can be
    predicted; `curve` names what makes one component worth more than another.
    """

    model: str = "toolkit.examples.digits:model"
    task: str = "toolkit.examples.digits:task"
    runtime: str = "onnxruntime"
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


@dataclass(frozen=True)
class Overrides:
    """Limits from the command line; None leaves the target's default. `keep_accuracy` is a share of the dense one."""

    latency_ms: float | None = None
    memory_bytes: int | None = None
    size_bytes: int | None = None
    keep_accuracy: float | None = None
