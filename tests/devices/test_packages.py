"""A runtime's wheels for boards without pip."""

import dataclasses
import sys
import zipfile
from pathlib import Path

import pytest
from workplace import Workplace

from toolkit.devices import DeviceFacts, connect, ensure_packages, open_home, probe
from toolkit.devices.local import LocalDevice
from toolkit.devices.packages import fetch_wheels
from toolkit.devices.python_agent import install_python_agent
from toolkit.devices.wheels import pins_for
from toolkit.errors import BoardError
from toolkit.targets import Target

PI = DeviceFacts("aarch64", None, 4, None, None, None, "Debian", "6.1", "glibc 2.36", "3.11.2", None, {}, {})
PINS = pins_for("3.11.2", "glibc 2.36", "pi")


@pytest.fixture
def place_cache(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setenv("EDGE_DEPLOY_CACHE", str(place.cache))
    return place


@pytest.mark.board
def test_the_boards_wheels_are_for_its_machine_and_python(emulated_pi: Target) -> None:
    """Beside `emulated_pi` because they come over the network, once for both."""
    wheels = fetch_wheels(PINS.distributions, PI, "pi")
    assert sorted(wheel.name.split("-")[0] for wheel in wheels) == ["numpy", "onnxruntime"]
    assert all("cp311" in wheel.name and "aarch64" in wheel.name for wheel in wheels)
    assert fetch_wheels(PINS.distributions, PI, "pi") == wheels


@pytest.mark.board
def test_packages_on_the_board_can_be_imported_and_are_sent_once(emulated_pi: Target) -> None:
    device = connect(emulated_pi)
    agent = install_python_agent(open_home(device, emulated_pi), emulated_pi)
    packages = PINS.distributions
    bare, facts = agent, probe(agent)
    agent = ensure_packages(bare, emulated_pi.python, packages, facts, lambda _: None)
    again = ensure_packages(bare, emulated_pi.python, packages, facts, lambda note: pytest.fail(note))
    assert again.command == agent.command
    assert probe(agent).runtimes == {"onnxruntime": packages[0].partition("==")[2]}
    root = agent.home.root
    assert device.run(f"find '{root}/work' '{root}/incoming' -type f; find '{root}' -name '*.whl'").stdout == b""
    device.close()


def test_a_board_without_glibc_is_refused(place_cache: Workplace) -> None:
    with pytest.raises(BoardError, match=r"its C library is 'musl 1\.2'; wheels need glibc"):
        fetch_wheels(("numpy==2.4.6",), dataclasses.replace(PI, libc="musl 1.2"), "pi")


def test_no_wheel_for_the_boards_python_is_one_board_error(
    place_cache: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BoardError, match=r"no wheel of numpy==0\.0\.1 for aarch64, Python 3\.11") as caught:
        fetch_wheels(("numpy==0.0.1",), PI, "pi")
    assert caught.value.next is not None
    assert list((place_cache.cache / "wheels").iterdir()) == []


def own_wheel(folder: Path) -> str:
    """A wheel of the test's own, found by pip without a network."""
    with zipfile.ZipFile(folder / "own_package-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("own_package/__init__.py", "answer = 42\n" + "#" * 250_000)
        wheel.writestr("own_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
        wheel.writestr("own_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("own_package-1.0.dist-info/RECORD", "")
    return "own-package==1.0"


def test_a_wheel_is_unpacked_whole_or_not_at_all(
    place_cache: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_disk: Path
) -> None:
    package = own_wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    target = place_cache.target.model_copy(update={"root": str(small_disk)})
    agent = install_python_agent(open_home(LocalDevice(), target), target)
    (small_disk / "log").write_bytes(b"x" * 600_000)
    with pytest.raises(BoardError, match=r"disk full: own-package==1\.0 needs 75"):
        ensure_packages(agent, sys.executable, (package,), probe(agent), lambda _: None)
    assert not list((small_disk / "packages").iterdir())
    assert not list((small_disk / "work").iterdir())
    (small_disk / "log").unlink()
    with_package = ensure_packages(agent, sys.executable, (package,), probe(agent), lambda _: None)
    [site] = (small_disk / "packages").iterdir()
    assert str(site) in with_package.command
    said = agent.home.device.run(f"PYTHONPATH='{site}' {sys.executable} -c 'import own_package as o; print(o.answer)'")
    assert said.stdout == b"42\n"
    assert not list((small_disk / "work").iterdir())
    assert not list((small_disk / "incoming").iterdir())
