"""Settings of research say how a model is chosen, compressed, trained and released."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from edge_runtime.classes import NEVER
from edge_runtime.learning import USUAL_STEPS
from toolkit.augmentation import Augmentation, parse_augmentation
from toolkit.errors import BadInput
from toolkit.reading import parse_numbers
from toolkit.recipe import Recipe, parse_recipe
from toolkit.request import Request
from toolkit.units import parse_milliseconds, parse_share

Allocator = Literal["exact", "greedy", "policy", "search", "uniform", "magnitude", "random"]
Curve = Literal["jactus", "activation", "magnitude", "random", "dual"]
T = TypeVar("T")


def _text(parse: Callable[[str], T], kind: type | UnionType) -> BeforeValidator:
    """Reads text as `parse` does, in pydantic's words where it cannot."""

    def read(value: object) -> object:
        if value is None or isinstance(value, kind):
            return value
        if not isinstance(value, str):
            raise ValueError("text is expected")
        try:
            return parse(value)
        except BadInput as error:
            raise ValueError(f"{error.what}. {error.next}") from None

    return BeforeValidator(read)


def _number(value: object) -> object:
    """TOML's `true` is no number, though Python's is."""
    if isinstance(value, bool):
        raise PydanticCustomError("no_number", "a number is expected")
    return value


def _channels(value: object) -> tuple[float, ...]:
    numbers = value if isinstance(value, list | tuple) else [value]
    if not numbers or not all(map(_is_float32, numbers)):
        raise PydanticCustomError("no_numbers", "numbers are expected")
    return tuple(map(float, numbers))


def _is_float32(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2.0**128


def _positive(numbers: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if numbers is not None and min(numbers) <= 0:
        raise PydanticCustomError("not_positive", "numbers above 0 are expected")
    return numbers


def _seconds(text: str) -> float:
    return math.inf if text.strip() in ("0", "0s") else parse_milliseconds(text) / 1e3


_Steps = Annotated[int, BeforeValidator(_number)]
_Rate = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
_Channels = Annotated[tuple[float, ...], BeforeValidator(_channels), _text(parse_numbers, list | int | float)]
_File = Annotated[Path, _text(lambda text: Path(text).expanduser(), Path)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskFiles(_Section):
    """What becomes of the task's files on their way to the model."""

    mean: _Channels | None = Field(
        default=None, description="This is subtracted from inputs: one number for each channel, or one for all."
    )
    std: Annotated[_Channels | None, AfterValidator(_positive)] = Field(
        default=None, description="Inputs are then divided by this."
    )
    seconds: _Rate | None = Field(
        default=None,
        gt=0,
        le=600,
        description="Recordings are cut or padded with silence to this length; by default padded to the longest one.",
    )
    tokens: _Steps | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Texts are cut to so many tokens; by default 128, and no more than the longest text has.",
    )


class Allocation(_Section):
    """How much of each layer is kept."""

    allocator: Allocator = Field(
        default="exact", description="The allocator chooses a rank, or dense, for every layer."
    )
    policy: _File | None = Field(
        default=None,
        description="Allocator `policy` follows this trained policy; the bundled example has one of its own.",
    )


class Compression(_Section):
    """What a layer is made of when it is compact."""

    curve: Curve = Field(
        default="jactus", description="The curve says which components of a layer are worth more than others."
    )
    channels: bool | None = Field(
        default=None,
        description="Allocators `exact` and `greedy` remove channels, too, where that is worth more than low rank, "
        "unless this is false.",
    )
    depth: bool | None = Field(
        default=None,
        description="They remove residual blocks, too (what a skip connection spans), unless this is false.",
    )


class Recovery(_Section):
    """How the compact model learns from the dense one, on this machine."""

    steps: _Steps | None = Field(
        default=None,
        ge=0,
        description="The compact model trains for so many steps on this machine; by default 400, and of a large "
        "network as many as a minute of two cores allows, and none where it stays dense and loses nothing.",
    )
    rate: _Rate | None = Field(
        default=Request.recovery_rate,
        ge=1e-6,
        le=1.0,
        description="The learning rate rises to this, for all tensors alike; by default each has one by its size.",
    )
    distill: Annotated[Recipe, _text(parse_recipe, Recipe)] = Field(
        default=Request.distill,
        description="Losses teach the compact model; at most one weighing, and what trains, join them with +.",
    )
    augment: Annotated[Augmentation | None, _text(parse_augmentation, tuple)] = Field(
        default=None,
        description="Examples vary in these ways, joined with +, while they are learned from; by default images are "
        "moved, and mirrored where the dense network does not mind.",
    )


class Adaptation(_Section):
    """How the board learns."""

    steps: _Steps | None = Field(
        default=None,
        ge=1,
        description=f"The board trains for so many steps; by default {USUAL_STEPS}, fewer of a large network.",
    )
    max_forgetting: Annotated[float, BeforeValidator(_number), _text(parse_share, int | float), Field(ge=0, le=1)] = (
        Field(
            default=Request.max_forgetting,
            description="Learning costs so much, at most, of the score of general data. A release carries 100 to 128 "
            "examples of that, 2 MB at most, where the network's own head answers; at 100% none.",
        )
    )
    spare_classes: int = Field(
        default=Request.spare_classes,
        ge=0,
        le=1000,
        description="The board may learn so many classes that the task has not: outputs have as many values more, "
        f"which are {NEVER:g} until it does.",
    )


class Profiling(_Section):
    """How the board is measured."""

    budget: Annotated[float | None, _text(_seconds, type(None))] = Field(
        default=None,
        description="Measuring what can also be predicted may take so long, e.g. 90s; 0: as long as it pays. By "
        "default a minute, a third of it for a large network, and on an emulated board as long as it pays.",
    )


class Release(_Section):
    """What goes to the board."""

    sign: _File | None = Field(
        default=None, description="This ed25519 private key signs the release, for boards that trust its public one."
    )


class Settings(_Section):
    """All of them, by section."""

    task: TaskFiles = TaskFiles()
    allocation: Allocation = Allocation()
    compression: Compression = Compression()
    recovery: Recovery = Recovery()
    adaptation: Adaptation = Adaptation()
    profiling: Profiling = Profiling()
    release: Release = Release()


@dataclass(frozen=True)
class Setting:
    """One line of the list: a name with its section, what it takes, and its default as one would write it, if any."""

    name: str
    takes: str
    default: str | None
    help: str


# What a pattern of pydantic's does not tell.
_TAKES = {
    "task.mean": "numbers joined with commas",
    "task.std": "numbers above 0, joined with commas",
    "task.seconds": "a number above 0, at most 600",
    "task.tokens": "a whole number, 1 to 65536",
    "allocation.policy": "a file",
    "compression.channels": "true | false",
    "compression.depth": "true | false",
    "recovery.steps": "a whole number, at least 0",
    "adaptation.steps": "a whole number, at least 1",
    "adaptation.max_forgetting": "a share, 0 to 1, or 0% to 100%",
    "recovery.rate": "a number, 1e-06 to 1",
    "recovery.distill": "kd, features, gradient or task; beta, beta-terms or beta-instances; cores, factors or network",
    "recovery.augment": "noise, shift, crop, mirror; or none",
    "profiling.budget": "a time with a unit",
    "release.sign": "a file",
}


def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the sections."""
    return tuple(_settings())


def _settings() -> Iterator[Setting]:
    for section, table in Settings.model_fields.items():
        for key, field in table.annotation.model_fields.items():  # type: ignore[union-attr]
            name = f"{section}.{key}"
            default = None if field.default is None else _written(field.default)
            yield Setting(name, _TAKES.get(name) or _takes(field), default, field.description or "")


def _takes(field: Any) -> str:
    choices = get_args(field.annotation)
    if choices:
        return " | ".join(choices)
    low = next((each.ge for each in field.metadata if hasattr(each, "ge")), None)
    high = next((each.le for each in field.metadata if hasattr(each, "le")), None)
    kind = {"bool": "true | false", "int": "a whole number", "float": "a number"}[field.annotation.__name__]
    if low is None:
        return kind
    return f"{kind}, at least {low:g}" if high is None else f"{kind}, {low:g} to {high:g}"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
