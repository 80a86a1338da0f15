"""A board that takes no more, or not from this user: said with what helps, and the next try goes on."""

import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workplace import Workplace

from toolkit.devices import check, locked, open_home
from toolkit.devices.device import Completed
from toolkit.devices.framed import FramedDevice
from toolkit.devices.local import LocalDevice
from toolkit.errors import BoardError

DEVICE = FramedDevice(LocalDevice(), "desk")


class AsNobody(LocalDevice):
    """This machine, as a user who may write nowhere of note."""

    def run(self, command: str, **options: Any) -> Completed:
        user = "setpriv --reuid=65534 --regid=65534 --clear-groups"
        return super().run(f"cd / && HOME=/ exec {user} sh -c {shlex.quote(command)}", **options)


def test_a_folder_that_only_root_may_make_says_how_to_make_it(place: Workplace) -> None:
    with pytest.raises(BoardError, match="may not write") as caught:
        open_home(AsNobody(), place.target_in("/opt/edge-of-tests"))
    assert "sudo install -d" in str(caught.value.next)
    assert not Path("/opt/edge-of-tests").exists()


def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(place: Workplace) -> None:
    place.root.mkdir(mode=0o711)
    (place.root / "mine").touch()
    temporary = Path(tempfile.gettempdir())
    for folder in place.folder, *place.folder.parents:
        if temporary in folder.parents:
            folder.chmod(0o711)
    with pytest.raises(BoardError, match="no folder that the user may"):
        open_home(AsNobody(), place.target)


@pytest.fixture
def no_inodes(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for bytes and for no more files."""
    folder = tmp_path / "no inodes"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=4", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"NO MOUNT PERMITTED: a disk without inodes is NOT tested; {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_exhausted_inodes_are_told_and_the_next_try_goes_on(place: Workplace, no_inodes: Path) -> None:
    with pytest.raises(BoardError, match="inodes") as caught:
        open_home(DEVICE, place.target_in(no_inodes))
    assert "df -i" in str(caught.value.next)
    subprocess.run(["mount", "-o", "remount,nr_inodes=100", no_inodes], check=True)
    open_home(DEVICE, place.target_in(no_inodes))


def test_a_full_disk_is_told_and_the_next_try_goes_on(place: Workplace, small_disk: Path) -> None:
    ours = open_home(DEVICE, place.target_in(small_disk))
    ours.run("cat /dev/zero >work/filler")
    with pytest.raises(BoardError, match="disk is full"):
        check(ours.run("head -c 9999 /dev/zero >adapted/x"), "writing", ours.where)
    (small_disk / "work" / "filler").unlink()
    with locked(ours):
        assert list(small_disk.glob("lease.*")) == []
