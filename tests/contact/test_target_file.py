"""A board that was met, as a file that is read again."""

from datetime import date
from pathlib import Path

import pytest

from toolkit.contact import Met, target_name, write_target
from toolkit.devices.survey import Survey
from toolkit.targets import Place, SerialPlace, SshPlace, load_family, read_target

FAMILY = load_family("generic-arm64")


@pytest.mark.parametrize("folder", ["~", "a b", "ü", "\N{CROCODILE}", 'it\'s "so"', "back\\slash"])
def test_what_is_written_is_read_again(tmp_path: Path, folder: str) -> None:
    place = SshPlace(host="board", port=2222, user="me", password_file=f"{folder}/password")
    met = Met(FAMILY, place, Survey("aarch64", "Linux 6.1"), (), python=f"/opt/{folder}/python")
    write_target(met, tmp_path / "mine.toml", date(2026, 1, 1))
    target = read_target(tmp_path / "mine.toml")
    assert (target.place, target.python, target.family) == (place, met.python, FAMILY)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (SshPlace(host="Pi-Kitchen.local"), "pi-kitchen"),
        (SshPlace(host="192.168.1.23"), "generic-arm64"),
        (SshPlace(host="fe80::1%eth0"), "generic-arm64"),
        (SshPlace(host="host"), "generic-arm64"),
        (SerialPlace(device="/dev/ttyUSB0"), "generic-arm64"),
    ],
)
def test_a_board_is_called_as_its_host_and_never_as_this_machine(place: Place, name: str) -> None:
    assert target_name(place, FAMILY) == name
