"""What host and agents say to each other: one schema for the agents of all languages, and the host holds them to it.

A verb is given one JSON object, prints a line for each event on the way, and ends with `done`, or with `error` (kind,
message). Figures that are no number come as null or NaN. `docs/agent-protocol.json` is made from this.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from toolkit.devices.facts import DeviceFacts

_Shape = tuple[NonNegativeInt, ...]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Nothing(_Record):
    """No field at all."""


class _Timing(_Record):
    """How often a program is called; `budget_ms` bounds all calls of one together."""

    warmups: NonNegativeInt
    runs: PositiveInt
    budget_ms: PositiveFloat
    rate_hz: PositiveFloat | None = Field(default=None, description="also call it that often a second, idle between")


class BringIn(_Record):
    """Import a runtime."""

    runtime: str


class Example(_Record):
    """A file of tensors, and which of them are given, in that order: the first row of each."""

    path: str
    names: tuple[str, ...]


class Program(_Record):
    """A program to time: on the first rows of an example, else on random values of those shapes."""

    id: str
    path: str
    inputs: tuple[_Shape, ...] | None = None
    example: Example | None = None
    input_type: str = Field(default="float32", description="a NumPy type")
    holes: dict[str, _Shape] = Field(default={}, description="shapes of what fills each hole")
    quantised_holes: tuple[str, ...] = ()


class Bench(_Timing):
    """Time programs, each in a process of its own."""

    runtime: str
    threads: PositiveInt
    programs: tuple[Program, ...]


class Infer(_Record):
    """Run an installed release on a file of `inputs.*`, and write one of `outputs.*`."""

    release: str
    adapted: str | None = Field(description="what the board learned, if that is to be used")
    inputs: str
    outputs: str
    threads: PositiveInt


class Verify(_Timing):
    """Prove an installed release: digests, outputs, times."""

    release: str
    digest: str
    threads: PositiveInt


class Adapt(_Record):
    """Learn from a file of `inputs.*`, `targets.*` and `strata`; what is accepted is written to `adapted`.

    The agent in Python also takes a user's .npz: `x` (or one by each input's name) and `y`."""

    release: str
    adapted: str
    support: str
    steps: PositiveInt
    lr: PositiveFloat
    jitter: dict[str, float] = Field(description="noise for an input, by its name, as a share of its deviation")
    seed: int
    threads: PositiveInt
    seconds: PositiveFloat | None = Field(None, description="it learns as much as these allow, and keeps nothing after")
    memory_bytes: PositiveInt | None = Field(None, description="it keeps nothing where its process took more at once")
    classes: tuple[str | None, ...] | None = Field(None, description="of the head's rows, if not the release's")
    max_forgetting: NonNegativeFloat | None = Field(None, description="as a share; else as the release says")
    method: Literal["auto", "prototype", "head", "cores"] = Field("auto", description="of head, or cores and head")


class Plain(_Record):
    """Write what a release serves as plain files, with what was learned on top of it if something was."""

    root: str
    digest: str


class _Timed(_Record):
    """Times of single calls."""

    median_ms: float
    p95_ms: float
    min_ms: float
    runs: int
    warmups: int
    busy_share: float = Field(description="the process's own processor time, of the time that passed")
    overhead_us: float | None = Field(None, description="of a native agent: what a call takes beside the program")
    paced_rate_hz: float | None = None
    paced_median_ms: float | None = None
    paced_p95_ms: float | None = None


class Measured(_Timed):
    """One program's times; `peak_bytes` is of a process that ran nothing else."""

    id: str
    load_ms: float
    sha256: str
    peak_bytes: int | None


class _Conditions(_Record):
    """What moves latencies; the host reads the tools' texts (see `toolkit.profiling.conditions`)."""

    before: dict[str, Any]
    after: dict[str, Any]


class Folds(_Record):
    """In how many parts the examples are held out in turn; 1: in none."""

    folds: int
    resumed: int = Field(0, description="steps that were done before what cut this learning off")


class Curve(_Record):
    """Loss and score of what is held out, after that step."""

    step: int
    loss: float | None
    score: float | None


class Step(_Record):
    """Loss of a step on all examples, before it."""

    step: int
    loss: float | None


class Version(_Record):
    """Of what was imported."""

    version: str


class _Ran(_Record):
    """What a native agent adds: digests of the programs that ran, and of which runtime."""

    sha256: dict[str, str] = {}
    runtime_version: str | None = None


class Benched(_Ran):
    """Conditions before and after all programs."""

    conditions: _Conditions


class Inferred(_Ran):
    """How many examples were answered."""

    examples: int
    peak_bytes: int | None


class Corrupt(_Record):
    """Files that are not what the manifest says: nothing of them was run."""

    corrupt: tuple[str, ...] = Field(min_length=1)


class Verified(_Timed, _Ran):
    """What the board measured of a release that is whole."""

    corrupt: tuple[()]
    max_abs_difference: float | None
    max_relative_difference: float | None
    peak_bytes: int | None
    conditions: _Conditions


class HeldOut(_Record):
    """What is held out, before and after learning."""

    loss_before: float | None
    score_before: float | None
    loss_after: float | None
    score_after: float | None


class Guard(_Record):
    """Score of examples of what it knew before, as installed and with what was learned; of no learning: none."""

    examples: int
    score_before: float | None
    score_after: float | None


class Adapted(_Ran):
    """Whether what was learned is kept, and why."""

    examples: int
    folds: int
    steps: int = Field(description="that suit held-out examples best, or fewer that forget less; 0: nothing is trained")
    method: Literal["prototype", "head", "cores"]
    accepted: bool
    reason: str
    held_out: HeldOut | None
    guard: Guard | None = None
    trained_values: int
    step_ms: float | None
    peak_bytes: int | None


class Written(_Record):
    """Where it lies, below the root; nowhere of a release of before, which does not say where its holes lie."""

    folder: str | None


@dataclass(frozen=True)
class Verb:
    """What it is given, what it says on the way, and how it ends."""

    spec: type[_Record]
    done: Any
    events: dict[str, type[_Record]] = field(default_factory=dict)


VERBS = {
    "facts": Verb(_Nothing, DeviceFacts),
    "bring_in": Verb(BringIn, Version),
    "bench": Verb(Bench, Benched, {"measured": Measured}),
    "infer": Verb(Infer, Inferred),
    "verify": Verb(Verify, Verified | Corrupt),
    "plain": Verb(Plain, Written),
    "adapt": Verb(Adapt, Adapted, {"folds": Folds, "curve": Curve, "step": Step}),
}


def wrong_with(verb: str, event: dict[str, Any]) -> str | None:
    """What keeps an event, or an end, from being one of that verb's; None if nothing does."""
    name = event["event"]
    known = {**VERBS[verb].events, "done": VERBS[verb].done}
    if name not in known:
        return f"a {verb} says nothing called {name}"
    try:
        TypeAdapter(known[name]).validate_python({key: value for key, value in event.items() if key != "event"})
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        return f"{'.'.join(map(str, (name, *wrong['loc'])))}: {wrong['msg']}"
    return None


def schema() -> dict[str, Any]:
    """JSON schemas of every verb's specification, events and end."""
    return {
        name: {
            "spec": verb.spec.model_json_schema(),
            "events": {event: record.model_json_schema() for event, record in verb.events.items()},
            "done": TypeAdapter(verb.done).json_schema(),
        }
        for name, verb in VERBS.items()
    }
