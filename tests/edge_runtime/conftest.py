"""A board that applications call, and a model on it."""

from pathlib import Path

import pytest
from serving import unlearn
from workplace import Workplace, copy_workplace

import edge_runtime


@pytest.fixture
def served(deployed_place: Workplace, tmp_path: Path) -> Workplace:
    """A board that serves a release and has learned nothing."""
    place = copy_workplace(deployed_place, tmp_path / "copy")
    unlearn(place)
    return place


@pytest.fixture
def model(served: Workplace) -> edge_runtime.Model:
    """What it serves."""
    return edge_runtime.load(str(served.root))
