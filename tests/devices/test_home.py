"""Our folder on a board: ours, or refused; found without a trace; and nothing outside it is ever touched."""

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import Sshd
from pydantic import ValidationError
from workplace import Workplace, bundle

from toolkit.devices import connected, find_home, locked, open_home, probe, scratch
from toolkit.devices.framed import FramedDevice
from toolkit.devices.local import LocalDevice
from toolkit.devices.marker import FOLDERS, MARKER
from toolkit.devices.python_agent import install_python_agent
from toolkit.devices.releases.release import activate, install
from toolkit.errors import BoardError
from toolkit.targets import Target

DEVICE = FramedDevice(LocalDevice(), "desk")
Fill = Callable[[Path], None]


def files_in(folder: Path) -> dict[str, bytes | None]:
    """All that a folder holds, by path: the bytes of files, None for folders and links."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def earlier_layout(root: Path) -> None:
    """As versions before the marker left it."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
    (root / "releases" / ("a" * 64)).mkdir()
    (root / "current").symlink_to("releases/" + "a" * 64)
    (root / "lease.123").touch()


@pytest.mark.parametrize(
    "root",
    [
        "",
        " ",
        "~",
        "~/",
        "/",
        "//",
        "data",
        "./data",
        "~user/data",
        "$HOME/data",
        "/srv/$x",
        "~/../x",
        "/a/../b",
        "/a\nb",
    ],
)
def test_a_root_that_could_mean_another_place_is_refused(place: Workplace, root: str) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(place.target.model_dump() | {"root": root})
    with pytest.raises(ValueError, match="must"):
        open_home(DEVICE, place.target_in(root))


def test_a_tilde_is_the_boards_home_and_nothing_else(place: Workplace, home: Path) -> None:
    assert open_home(DEVICE, place.target_in("~/it's mine ü")).root == f"{home}/it's mine ü"
    assert sorted(path.name for path in home.iterdir()) == ["it's mine ü"]


def test_a_tilde_in_python_is_the_boards_home_too(sshd: Sshd, home: Path) -> None:
    (home / "a venv" / "bin").mkdir(parents=True)
    (home / "a venv" / "bin" / "python").symlink_to(sys.executable)
    target = sshd.target().model_copy(update={"python": "~/a venv/bin/python"})
    with connected(target) as device:
        facts = probe(install_python_agent(open_home(device, target), target))
    assert facts.python == platform.python_version()


@pytest.mark.parametrize("python", ["", "~", "~user/python", "$HOME/python", "bin/python", "a\nb"])
def test_a_python_that_could_be_another_program_is_refused(place: Workplace, python: str) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(place.target.model_dump() | {"python": python})


def test_a_new_folder_gets_a_marker_that_says_whose_it_is(place: Workplace) -> None:
    ours = open_home(DEVICE, place.target)
    text = Path(ours.at(MARKER)).read_text()
    assert text.startswith("edge-deploy folder 1\n")
    assert "deleted by edge-deploy" in text
    assert sorted(path.name for path in place.root.iterdir()) == sorted([*FOLDERS, MARKER])


@pytest.mark.parametrize("names", [["results.csv"], ["work/results.csv"], ["runner/mine.sh"], [".hidden"], ["..odd"]])
def test_a_folder_with_files_of_others_is_refused_and_kept(place: Workplace, names: list[str]) -> None:
    for name in names:
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        (place.root / name).write_text("mine")
    before = files_in(place.root)
    for verb in (open_home, find_home):
        with pytest.raises(BoardError, match="not ours") as caught:
            verb(DEVICE, place.target)
        assert str(place.root) in str(caught.value.where)
        assert "edge-deploy" in str(caught.value.next)
    assert files_in(place.root) == before


def test_an_empty_folder_becomes_ours(place: Workplace) -> None:
    place.root.mkdir()
    assert find_home(DEVICE, place.target) is None
    open_home(DEVICE, place.target)
    assert find_home(DEVICE, place.target) is not None


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_somebody_else_calls_as_our_marker_is_kept(place: Workplace, tmp_path: Path, kind: str) -> None:
    place.root.mkdir()
    marker = place.root / MARKER
    if kind == "folder":
        marker.mkdir()
    elif kind == "link":
        marker.symlink_to(tmp_path / "elsewhere")
    else:
        marker.write_text("notes on my own edge-deploy folder\n")
    for verb in (open_home, find_home):
        with pytest.raises(BoardError, match="not ours"):
            verb(DEVICE, place.target)
    assert [path.name for path in place.root.iterdir()] == [MARKER]
    assert list(marker.iterdir()) == [] if kind == "folder" else marker.is_symlink() == (kind == "link")
    if kind == "file":
        assert marker.read_text().startswith("notes")


@pytest.mark.parametrize("content", [b"", b"edge-depl"])
def test_a_marker_that_a_power_cut_left_half_is_written_again(place: Workplace, content: bytes) -> None:
    place.root.mkdir()
    (place.root / MARKER).write_bytes(content)
    with locked(open_home(DEVICE, place.target)):
        pass


def test_the_layout_of_before_is_looked_at_and_adopted(place: Workplace) -> None:
    earlier_layout(place.root)
    before = files_in(place.root)
    assert find_home(DEVICE, place.target) is not None
    assert files_in(place.root) == before
    with locked(open_home(DEVICE, place.target)):
        pass
    assert (place.root / MARKER).exists()


def _a_file_beside(root: Path) -> None:
    (root / "notes.txt").touch()


def _a_release_of_another_kind(root: Path) -> None:
    (root / "releases" / "v1.0").mkdir()


def _a_release_that_is_hidden(root: Path) -> None:
    (root / "releases" / ".v1").mkdir()


def _a_folder_less(root: Path) -> None:
    (root / "runner").rmdir()


def _a_link_for_a_folder(root: Path) -> None:
    (root / "work").rmdir()
    (root / "work").symlink_to("/tmp")


@pytest.mark.parametrize(
    "spoil",
    [
        _a_file_beside,
        _a_release_of_another_kind,
        _a_release_that_is_hidden,
        _a_folder_less,
        _a_link_for_a_folder,
    ],
)
def test_what_is_not_quite_the_layout_of_before_is_not_adopted(place: Workplace, spoil: Fill) -> None:
    earlier_layout(place.root)
    spoil(place.root)
    before = files_in(place.root)
    with pytest.raises(BoardError, match="not ours"):
        open_home(DEVICE, place.target)
    assert files_in(place.root) == before


def test_a_folder_of_a_later_version_is_left_to_it(place: Workplace) -> None:
    place.root.mkdir()
    (place.root / MARKER).write_text("edge-deploy folder 2\n")
    with pytest.raises(BoardError, match="newer"):
        open_home(DEVICE, place.target)


def test_a_file_where_the_folder_should_be_is_named(place: Workplace) -> None:
    place.root.write_text("mine")
    with pytest.raises(BoardError, match="no folder"):
        open_home(DEVICE, place.target)
    assert place.root.read_text() == "mine"


def test_a_folder_that_nobody_can_make_says_what_helps(place: Workplace) -> None:
    place.root.parent.mkdir(parents=True, exist_ok=True)
    place.root.touch()
    for root in ("/proc/edge-deploy", f"{place.root}/below"):
        with pytest.raises(BoardError, match="making folders") as caught:
            open_home(DEVICE, place.target_in(root))
        assert "root" in str(caught.value.next)
    assert place.root.read_bytes() == b""


def test_looking_makes_nothing(place: Workplace) -> None:
    assert find_home(DEVICE, place.target) is None
    assert not place.root.exists()


def test_another_kind_of_board_is_named_before_anything_is_made(place: Workplace) -> None:
    other = place.target.family.model_copy(update={"arch": "aarch64"})
    with pytest.raises(BoardError, match=r"is x86_64, the target says aarch64"):
        open_home(DEVICE, place.target.model_copy(update={"family": other}))
    assert not place.root.exists()


def _lose_the_marker(root: Path) -> None:
    (root / MARKER).unlink()


def _move_away(root: Path) -> None:
    root.rename(root.parent / "elsewhere")


def _make_work_a_link(root: Path) -> None:
    shutil.rmtree(root / "work")
    (root / "work").symlink_to(root.parent / "users")


@pytest.mark.parametrize("spoil", [_lose_the_marker, _move_away, _make_work_a_link])
def test_a_folder_that_ceased_to_be_ours_is_not_touched(place: Workplace, tmp_path: Path, spoil: Fill) -> None:
    ours = open_home(DEVICE, place.target)
    made, digest = bundle(tmp_path / "one")
    install(ours, made)
    (place.folder / "users").mkdir()
    (place.folder / "users" / "thesis.txt").write_text("x")
    with locked(ours) as held:
        spoil(place.root)
        before = files_in(place.folder)
        with scratch(held, "x"):
            pass
        with pytest.raises(BoardError):
            activate(held, digest)
        with pytest.raises(BoardError):
            install(held, bundle(tmp_path / "two", seed=2)[0])
        with pytest.raises(BoardError, match="marker"):
            held.run("true")
    with pytest.raises(BoardError, match="marker"):
        locked(ours).__enter__()
    assert files_in(place.folder) == before


@pytest.mark.parametrize(
    "below",
    ["", "/", "/mine", "/releases/../../x", "/releases//x", "x/incoming/y", "/edge-deploy-folder", "/releases/a\nb"],
)
def test_only_names_of_ours_are_written(place: Workplace, tmp_path: Path, below: str) -> None:
    ours = open_home(DEVICE, place.target)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="not a path of ours"):
        ours.push(tmp_path / "file", f"{ours.root}{below}")
    with pytest.raises(ValueError, match="not a path of ours"):
        ours.push(tmp_path / "file", f"work{below}")


def test_a_lease_that_a_cut_left_is_swept(place: Workplace) -> None:
    ours = open_home(DEVICE, place.target)
    (place.root / "lease.4711").touch()
    with locked(ours):
        assert not (place.root / "lease.4711").exists()
