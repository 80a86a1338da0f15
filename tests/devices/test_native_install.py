"""The native agent's folder on a board: whole, the only one, and where applications link to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from workplace import Workplace, local_home

from toolkit.devices import Home
from toolkit.devices.applications import LIBRARY, offer
from toolkit.devices.native.install import install_native_agent
from toolkit.devices.native.sdk import LIBRARIES

pytestmark = pytest.mark.usefixtures("compiler")


@pytest.fixture
def home(place: Workplace) -> Iterator[Home]:
    yield local_home(place)
    assert place.left_behind() == []


def _install(home: Home) -> tuple[list[str], Path]:
    """What was said, and where the library lies."""
    notes: list[str] = []
    agent = install_native_agent(home, notes.append)
    assert agent.library is not None
    return notes, Path(agent.library)


def test_it_is_sent_once_and_offered(home: Home, place: Workplace) -> None:
    notes, library = _install(home)
    assert [note.split(" (")[0] for note in notes] == ["sending the native runner to the board"]
    assert not (place.root / LIBRARY).exists()  # before a release was accepted there is nothing to call
    offer(install_native_agent(home, notes.append))
    assert len(notes) == 1
    assert (place.root / LIBRARY).resolve() == library
    assert (place.root / LIBRARY / "edge_runtime.h").is_file()


def test_what_is_missing_is_sent_again(home: Home) -> None:
    _, library = _install(home)
    for missing in (library / LIBRARIES[0], library / "edge_runtime.h", library.parent / LIBRARIES[1]):
        missing.unlink()
        notes, _ = _install(home)
        assert len(notes) == 1, missing
        assert missing.exists()


def test_another_version_leaves_nothing_and_takes_applications_along(home: Home, place: Workplace) -> None:
    _, library = _install(home)
    runners = library.parent.parent
    library.parent.rename(runners / "of another version")
    (place.root / LIBRARY).symlink_to(Path("runner", "of another version", library.name))
    notes, _ = _install(home)
    assert len(notes) == 1
    assert [path.name for path in runners.iterdir()] == [library.parent.name]
    assert (place.root / LIBRARY / "libedge_runtime.so").is_file()
