"""Deployment: the result of a run, everything predicted beside everything measured; saved as `result.json`.

The report is drawn from this and from nothing else. `toolkit/result.schema.json` is its JSON Schema.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.choice import Precision
from toolkit.errors import BadInput

SCHEMA_VERSION: Literal[3] = 3
Clock = Literal["wall", "instructions"]


class _Record(BaseModel):
    # a training loss may diverge: "NaN" can be read again, pydantic's null cannot
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Stage(_Record):
    """One stage of the pipeline as it ran; `cached` where an earlier run had done the work."""

    name: str
    seconds: float
    cached: bool = False


class Latency(_Record):
    """Milliseconds of one inference. `planned_median` is the most that was allocated, `attempts` the times measured.

    `predicted`, with its 90 % interval, was known before the model was ever timed whole. An estimate from a datasheet
    is a lower bound: it has no `predicted_high`, and no p95.
    """

    budget: float | None
    source: str
    planned_median: float | None
    predicted: float
    predicted_low: float
    predicted_high: float | None
    median: float | None
    p95: float | None
    min: float | None
    runs: int | None
    attempts: int | None
    dense_median: float
    dense_p95: float | None
    clock: Clock


class Bytes(_Record):
    """A size in bytes, with the dense model's beside it."""

    budget: int | None
    source: str
    predicted: int
    measured: int | None
    dense: int


class Accuracy(_Record):
    """Share of examples classified correctly (0..1), and on what it was measured: data, count, and where it ran.

    `over_all` are measures that only all of the examples together have, by name, such as mAP@0.5 of boxes.
    """

    value: float
    examples: int
    data: str
    ran_on: Literal["host", "device"]
    over_all: dict[str, float] = {}


class AccuracyTable(_Record):
    """General: the classes that the model was pretrained on. Task: the few-shot classes, on unseen queries."""

    general_dense: Accuracy | None
    general_compact: Accuracy | None
    task_dense: Accuracy
    task_compact: Accuracy
    task_adapted: Accuracy | None


class Alternative(_Record):
    """What the same choice would take and lose in the other precision that the board was offered.

    `loss_nats` is None where nothing was weighed: the dense model fits.
    """

    precision: Precision
    predicted_ms: float
    loss_nats: float | None


class LayerChoice(_Record):
    """What one layer became. `rank` None is dense; `gain_kept` is the share of the layer's gain that is kept.

    Of a group of channels, which is a choice of its own, `rank` counts those kept of `full_rank`; its milliseconds and
    bytes are the difference to the layers that it narrows, which are listed as the dense ones that they were.
    Of a residual block that is removed, `rank` is 0 of as many layers as it had: it stands for them.
    `loss_nats` is what the choice is expected to add to the loss of an example before recovery. `alternative` is None
    where the board was offered one precision; `unable` says that the runtime has nothing for the layer but fp32.
    """

    layer: str
    choice: Literal["dense", "compact", "channels", "removed"]
    rank: int | None
    full_rank: int
    precision: Precision = "fp32"
    predicted_ms: float
    source: Literal["measured", "interpolated", "predicted", "estimate"]
    dense_ms: float
    gain_kept: float
    loss_nats: float
    weight_bytes: int
    alternative: Alternative | None = None
    unable: bool = False


class FrontierPoint(_Record):
    """One whole model timed on the device. `accuracy`: general classes if the task has them, else the task's."""

    label: str
    latency_ms: float
    predicted_ms: float
    size_bytes: int
    accuracy: float
    recovered: bool = Field(description="whether its cores were trained; the others are as factorised")


class CurvePoint(_Record):
    """Held-out support examples during adaptation on the device, all folds together.

    `loss` is the cross-entropy at its best temperature.
    """

    step: int
    loss: float
    accuracy: float


class HeldOut(_Record):
    """Held-out support examples before and after adaptation, all folds together."""

    accuracy_before: float
    accuracy_after: float
    loss_before: float
    loss_after: float


class Guard(_Record):
    """Score of examples of what the network knew before, as installed and with what was learned."""

    examples: int
    score_before: float | None
    score_after: float | None


class Adaptation(_Record):
    """What the board did with the support examples."""

    accepted: bool
    reason: str
    steps: int
    folds: int
    trained_values: int
    step_ms: float | None
    peak_bytes: int | None
    held_out: HeldOut | None
    guard: Guard | None = None
    curve: tuple[CurvePoint, ...]
    training_loss: tuple[float, ...]


class Judged(_Record):
    """Accuracy before and after training, and the examples that it was measured on."""

    data: str
    before: float
    after: float


class Recovery(_Record):
    """How the compact model was trained, and what that did to its accuracy.

    `judged` on general examples held out of training and on the task's support, where there are such; if it was made
    worse on one of them, on that.
    """

    steps: int
    learning_rate: float | None = Field(description="its highest; null: each tensor had one by its size")
    augment: tuple[str, ...] | None = Field(description="variations of its examples; null in results of before")
    judged: tuple[Judged, ...]
    collapsed: bool = Field(default=False, description="its features no longer tell the support examples apart")
    kept: bool = Field(
        description="false where the untrained model was deployed: there were no steps, or it was better"
    )


class NodeCounts(_Record):
    """Nodes of the inference program and where they run."""

    total: int
    delegated: int
    fallback: int


class Refusal(_Record):
    """Why the board's acceptance refused the release: what it missed, and by how much in words."""

    missed: Literal["outputs", "latency", "memory", "size", "accuracy"]
    reason: str


class Deployment(_Record):
    """One run. Fields of stages that did not run (a plan, a refused release) are None."""

    schema_version: Literal[3] = SCHEMA_VERSION
    created_at: str
    toolkit_version: str
    target: str
    target_verified: bool
    runtime: str
    runtime_version: str
    seed: int
    model: str
    weights: str | None = Field(default=None, description="the file that a factory's model was filled from")
    hf_task: str | None = Field(default=None, description="what a Hugging Face directory's model was asked to be for")
    task: str
    classes: tuple[str, ...]
    measure: str = Field(default="accuracy", description="what every accuracy in here is, unless it is the share right")
    shots: int
    device_facts: dict[str, Any]
    conditions: dict[str, Any]
    stages: tuple[Stage, ...]
    allocator: str
    curve: str = "jactus"
    allocation: tuple[LayerChoice, ...]
    bound_gap: float
    latency_ms: Latency
    peak_memory_bytes: Bytes
    size_bytes: Bytes
    release_bytes: int | None = None
    parameters_dense: int
    parameters_compact: int
    compressible_parameters_dense: int
    compressible_parameters_compact: int
    accuracy: AccuracyTable | None = None
    host_device_max_abs_difference: float | None = None
    host_device_max_relative_difference: float | None = Field(
        default=None, description="as a share of the largest value of the host's logits, or features; the worse of both"
    )
    nodes: NodeCounts | None = None
    distill: str | None = Field(default=None, description="the losses that trained the compact model")
    recovery: Recovery | None = None
    frontier: tuple[FrontierPoint, ...]
    adaptation: Adaptation | None = None
    release: str | None = None
    active: bool = False
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def learned_from(self) -> str:
        """How many support examples there were, in words."""
        each = " a class" if self.measure == "accuracy" else ""
        return f"{self.shots} example{'' if self.shots == 1 else 's'}{each}"

    @property
    def is_estimate(self) -> bool:
        """Whether its times and memory are lower bounds from a datasheet."""
        return any(each.source == "estimate" for each in self.allocation)


def save_deployment(deployment: Deployment, path: Path) -> None:
    """Write `result.json`."""
    path.write_text(deployment.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_deployment(path: Path) -> Deployment:
    """Read `result.json`. Raises BadInput that says what is wrong with it."""
    try:
        return Deployment.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (ValidationError, UnicodeDecodeError) as error:
        wrong = error.errors()[0] if isinstance(error, ValidationError) else None
        said = f"{'.'.join(map(str, wrong['loc'])) or 'file'}: {wrong['msg']}" if wrong else "not text"
        raise BadInput(
            f"is not a result of this version ({said})", where=str(path), next="Run `deploy` again."
        ) from None
