"""Choice: what becomes of one part of a network; Selection: one choice for each of its parts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Form = Literal["dense", "rank", "channels", "removed"]
Precision = Literal["fp32", "fp16", "int8"]

_WORD: dict[Form, str] = {"rank": "rank", "channels": "keep"}
_TEXT = re.compile(r"(?:(?P<whole>dense|removed)|(?P<word>rank|keep) (?P<size>[1-9]\d*))(?: (?P<precision>fp16|int8))?")


@dataclass(frozen=True, order=True)
class Choice:
    """A layer dense or of some rank, so many channels kept of a group, or a block removed; in some precision.

    The precision of a block that is removed is that in which its layers are counted, as if they were there: that of
    their neighbours, between which nothing is then converted. `str` of it is stable: profiles and results keep it
    ("dense", "rank 32", "keep 48", "rank 32 int8", "removed"). Raises ValueError for a size where there is none, and
    for one below 1.
    """

    form: Form = "dense"
    size: int | None = None
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        if self.form not in get_args(Form) or self.precision not in get_args(Precision):
            raise ValueError(f"no such choice: {self.form} in {self.precision}")
        if (self.size is None) != (self.form not in _WORD) or (self.size is not None and self.size < 1):
            raise ValueError(f"{self.form} of size {self.size}")

    def __str__(self) -> str:
        form = self.form if self.size is None else f"{_WORD[self.form]} {self.size}"
        return form if self.precision == "fp32" else f"{form} {self.precision}"


DENSE = Choice()
REMOVED = Choice("removed")


def rank(size: int, precision: Precision = "fp32") -> Choice:
    """A layer as two factors of that rank."""
    return Choice("rank", size, precision)


def keep(size: int, precision: Precision = "fp32") -> Choice:
    """So many channels of a group."""
    return Choice("channels", size, precision)


def parse_choice(text: str) -> Choice:
    """What `str` wrote. Raises ValueError if it is no choice."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"not a choice: {text!r}")
    precision: Precision = found["precision"] or "fp32"  # type: ignore[assignment]
    if found["whole"]:
        return Choice(found["whole"], precision=precision)  # type: ignore[arg-type]
    return Choice("rank" if found["word"] == "rank" else "channels", int(found["size"]), precision)


@dataclass(frozen=True)
class Selection(Mapping[str, Choice]):
    """Part -> choice, in the order of the network; two are equal if they choose the same."""

    choices: Mapping[str, Choice] = field(default_factory=dict)

    def __getitem__(self, part: str) -> Choice:
        return self.choices[part]

    def __iter__(self) -> Iterator[str]:
        return iter(self.choices)

    def __len__(self) -> int:
        return len(self.choices)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self.choices) == dict(other)

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """A text that is the same for the same choices, in whatever order they stand."""
        return "; ".join(f"{part}: {choice}" for part, choice in sorted(self.choices.items()))

    @property
    def changed(self) -> "Selection":
        """The parts that do not stay dense in fp32, with their choices."""
        return Selection({part: choice for part, choice in self.choices.items() if choice != DENSE})

    @property
    def is_dense(self) -> bool:
        """Whether nothing changes."""
        return not self.changed

    def but(self, other: Mapping[str, Choice]) -> "Selection":
        """The same with those choices in place of its own."""
        return Selection({**self.choices, **other})


def all_dense(parts: Mapping[str, object] | list[str]) -> Selection:
    """Nothing changes."""
    return Selection(dict.fromkeys(parts, DENSE))
