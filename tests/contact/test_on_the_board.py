"""The emulated board met as a stranger, by each of its ways in, and examined."""

from pathlib import Path

import pytest

from toolkit.contact import meet
from toolkit.contact.diagnose import diagnose
from toolkit.devices.ssh import HostKey
from toolkit.lab import reached
from toolkit.targets import Target, load_target


class Nobody:
    """Answers nothing: the lab's own files hold the host key."""

    def trust(self, key: HostKey, where: str) -> None:
        raise AssertionError

    def key_to_install(self, keys: tuple[Path, ...]) -> Path | None:
        return None


@pytest.mark.board
@pytest.mark.parametrize("name", ["emulated-pi", "emulated-console", "emulated-android"])
def test_every_way_in_leads_to_the_same_board(emulated_pi: Target, name: str) -> None:
    met = meet(reached(load_target(name)).place, None, Nobody())
    assert met.family.name == "generic-arm64"
    assert met.survey.machine == "aarch64"
    assert [each for each in met.checks if not each.ok] == []
    assert met.survey.python is not None
    assert met.survey.python.minor == 11


@pytest.mark.board
def test_it_has_all_that_a_deployment_needs(emulated_pi: Target) -> None:
    found = diagnose(emulated_pi, "onnxruntime", lambda _: None)
    assert [each for each in found.checks if not each.ok] == []
    assert found.checks[-1].name == "import of onnxruntime"
