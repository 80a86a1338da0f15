"""Releases on a real board: sent once, verified there, swapped and rolled back, and damage is seen."""

from pathlib import Path

import pytest

from device_tests.bundles import plain_bundle
from toolkit.devices import Home
from toolkit.devices.releases.health import read_status
from toolkit.devices.releases.release import activate, collect, install, rollback
from toolkit.errors import BoardError

SIZE = 20_000


def test_a_release_is_installed_swapped_rolled_back_and_repaired(ours: Home, tmp_path: Path) -> None:
    made = [plain_bundle(tmp_path / str(index), SIZE) for index in range(3)]
    digests = []
    for folder in made:
        done = install(ours, folder)
        assert done.sent_bytes >= SIZE
        activate(ours, done.digest)
        digests.append(done.digest)
    assert install(ours, made[2]).sent_bytes == 0
    found = read_status(ours)
    assert (found.current, found.previous, found.healthy) == (digests[2], digests[1], True)

    assert rollback(ours) == (digests[2], digests[1])
    assert collect(ours, 2) == [digests[0]]

    ours.device.run(f"printf x >> '{ours.root}/releases/{digests[1]}/ballast.bin'")
    assert read_status(ours).damaged == {digests[1]: ["ballast.bin"]}
    with pytest.raises(BoardError, match="no complete release"):
        activate(ours, digests[1])
    assert install(ours, made[1]).sent_bytes == SIZE
    assert read_status(ours).healthy


def test_a_file_that_another_release_holds_does_not_travel(ours: Home, tmp_path: Path) -> None:
    first = plain_bundle(tmp_path / "one", SIZE)
    install(ours, first)
    second = plain_bundle(tmp_path / "two", SIZE, ballast=(first / "ballast.bin").read_bytes(), note="another")
    assert install(ours, second).sent_bytes < SIZE
