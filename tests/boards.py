"""Boards that tests make up: a family of their own, at a given place."""

from collections.abc import Mapping
from typing import Any

from toolkit.targets import Family, Target
from toolkit.targets.target import settings_of

_BOARD = {"summary": "a board of the tests", "runtimes": ("onnxruntime",)}


def board_at(place: Mapping[str, Any], name: str = "bench", **family: object) -> Target:
    """A board of that place, given as in a target's file; `family` says more of its kind, or of how it is used."""
    kind = Family.model_validate({"name": "bench", "arch": "any", **_BOARD, **family})
    return Target(name=name, family=kind, place=place, **settings_of(kind))
