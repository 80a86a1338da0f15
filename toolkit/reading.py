"""Reading: what becomes of a task's files on their way to the network, as far as the user says."""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path

from toolkit.errors import BadInput

_LONGEST_SIDE = 4096
# A header that says anything else is damaged, and a filter between such rates takes gigabytes.
RATES_HZ = range(100, 384_001)


@dataclass(frozen=True)
class Reading:
    """None leaves it as it lies there.

    `image_size` is (height, width) in pixels; `sample_rate_hz` and `seconds` are of recordings; `tokenizer` is a
    file or folder, `tokens` the most of a text; `mean` and `std` are of a channel each, or one of all.
    """

    image_size: tuple[int, int] | None = None
    sample_rate_hz: int | None = None
    seconds: float | None = None
    tokenizer: Path | None = None
    tokens: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def or_usual(self, usual: "Reading", useful: Collection[str]) -> "Reading":
        """The same with what is not said taken from `usual`, as far as it is of use."""
        missing = [name for name in useful if getattr(self, name) is None]
        return replace(self, **{name: getattr(usual, name) for name in missing})


AS_IT_IS = Reading()

# How the user says it.
_SAID = {"image_size": "--image-size", "sample_rate_hz": "--sample-rate", "tokenizer": "--tokenizer"}


def require_of_use(reading: Reading, useful: Collection[str], source: str, kind: str) -> None:
    """Raises BadInput if anything else than `useful` is asked of a source that holds that kind."""
    given = [each.name for each in fields(reading) if getattr(reading, each.name) is not None]
    idle = [_SAID.get(name, f"task.{name}") for name in given if name not in useful]
    if idle:
        raise BadInput(
            f"has no effect on {source}: it is {kind}" if len(idle) == 1 else f"no effect on {source}: it is {kind}",
            where=" and ".join(idle),
            next="Leave it out.",
        )


def parse_image_size(text: str) -> tuple[int, int]:
    """`224` -> (224, 224), `120x160` -> (120, 160): height, then width. Raises BadInput."""
    parts = text.lower().split("x")
    sides = [int(part) if part.isascii() and part.isdecimal() and len(part) < 6 else 0 for part in parts]
    if len(sides) > 2 or not all(1 <= side <= _LONGEST_SIDE for side in sides):
        raise BadInput(
            f"'{text}' is no size of images",
            next=f"Write N or HEIGHTxWIDTH in pixels, each 1 to {_LONGEST_SIDE}: 224, or 120x160.",
        )
    return sides[0], sides[-1]


def parse_sample_rate(text: str) -> int:
    """`16000` -> 16000, in hertz. Raises BadInput."""
    rate_hz = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if rate_hz not in RATES_HZ:
        raise BadInput(
            f"'{text}' is no sample rate", next=f"Write it in hertz, {RATES_HZ.start} to {RATES_HZ.stop - 1}: 16000."
        )
    return rate_hz


def parse_numbers(text: str) -> tuple[float, ...]:
    """`0.5,0.25` -> (0.5, 0.25). Raises BadInput."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInput("numbers are expected", next="Write one for each channel, or one for all: 0.5,0.5,0.5") from None
