"""Arguments of a factory on the command line arrive as what its signature says, or are refused in one line."""

from pathlib import Path

import pytest

from toolkit.errors import BadInput
from toolkit.factories import call_factory

_MODULE = """
from __future__ import annotations
from typing import Literal

def typed(width: int, rate: float = 0.1, wide: bool = False, name: str = "a", kind: Literal["max", "mean"] = "max"):
    return (width, rate, wide, name, kind)

def optional(depth: int | None = 3):
    return (depth,)

def untyped(width=8, rate=0.5, wide=True, name="a", other=None):
    return (width, rate, wide, name, other)

def open_ended(depth=1, **options):
    return (depth, options)

def task(shots, seed, classes=3):
    return (shots, seed, classes)

def by_position(first=1, /, second=2):
    return (first, second)

def untold(shape: tuple_of_nothing = ()):
    return (shape,)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "with_arguments.py").write_text(_MODULE)


@pytest.mark.parametrize(
    ("spec", "made"),
    [
        ("typed?width=32", (32, 0.1, False, "a", "max")),
        ("typed?width=32&rate=1e+3&wide=yes&name=b%26c&kind=mean", (32, 1000.0, True, "b&c", "mean")),
        ("typed?width=4&name=5", (4, 0.1, False, "5", "max")),
        ("typed?width=4&name=", (4, 0.1, False, "", "max")),
        ("optional?depth=2", (2,)),
        ("optional?depth=none", (None,)),
        ("untyped?width=4&rate=2&wide=false&name=7&other=9", (4, 2.0, False, "7", 9)),
        ("untyped?other=none", (8, 0.5, True, "a", None)),
        ("untyped?other=some:thing?", (8, 0.5, True, "a", "some:thing?")),
        (
            "open_ended?classes=10&pretrained=false&name=x&rate=0.5",
            (1, {"classes": 10, "pretrained": False, "name": "x", "rate": 0.5}),
        ),
        ("task?classes=4", (5, 0, 4)),
        ("task?", (5, 0, 3)),
        ("by_position?second=3", (1, 3)),
    ],
)
def test_arguments_arrive_as_the_signature_says(spec: str, made: tuple[object, ...]) -> None:
    got = call_factory(f"with_arguments:{spec}", "task", tuple, shots=5, seed=0)
    assert got == made
    assert [type(each) for each in got] == [type(each) for each in made]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("typed?widht=32", ("'widht' is none of its arguments", "width: int, rate: float = 0.1, wide: bool = False")),
        ("typed?width=wide", ("width cannot be 'wide'", "width: int")),
        ("typed?width=1.5&rate=x&none=1", ("width cannot be '1.5'", "rate cannot be 'x'", "'none' is none")),
        ("typed?width=none", ("width cannot be 'none'",)),
        ("typed?width=3&kind=min", ("kind cannot be 'min'", "kind: Literal['max', 'mean'] = 'max'")),
        ("typed", ("wants width", "with_arguments:typed?width=...")),
        ("typed?rate=3", ("wants width", "with_arguments:typed?rate=...&width=...")),
        ("typed?width", ("has 'width', which is no name=value",)),
        ("typed?width=3&width=4", ("gives 'width' twice",)),
        ("untyped?width=wide", ("width cannot be 'wide'", "width: int = 8")),
        ("task?shots=9", ("'shots' is none of its arguments", "Its arguments: classes: int = 3.")),
        ("by_position?first=3", ("'first' is none of its arguments",)),
        ("open_ended?depth=deep", ("depth cannot be 'deep'", "depth: int = 1, and others")),
        ("untold?shape=3", ("shape cannot be '3'",)),
    ],
)
def test_what_does_not_fit_is_told_with_what_would(spec: str, said: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        call_factory(f"with_arguments:{spec}", "task", tuple, shots=5, seed=0)
    for each in said:
        assert each in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2
