"""The script on a real shell: this machine's, busybox's, and what is no Unix."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from openssh import Sshd

from toolkit.devices import Completed, connect
from toolkit.devices.local import LocalDevice
from toolkit.devices.survey import ask_survey, parse_survey, recognise
from toolkit.devices.survey.script import survey_script
from toolkit.errors import BoardError


def test_this_machine_is_surveyed(tmp_path: Path) -> None:
    root = tmp_path / "not yet" / "there"
    found = ask_survey(LocalDevice(), str(root), sys.executable, "here")
    assert found.machine == platform.machine()
    assert found.python is not None
    assert found.python.version == platform.python_version()
    assert found.word_bits == found.python.word_bits == 64
    assert found.root == str(tmp_path)
    assert found.root_writable is True
    assert found.cores
    assert found.ram_bytes
    assert found.disk_free_bytes
    assert list(tmp_path.iterdir()) == []
    assert recognise(found) is not None


@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_every_shell_answers_the_same(shell: list[str], tmp_path: Path) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"NO {shell[0].upper()}: the survey is NOT tested in it; apt-get install {shell[0]}")
    done = subprocess.run([*shell, "-c", survey_script(str(tmp_path), "python3")], capture_output=True, text=True)
    found = parse_survey(done.stdout)
    assert found is not None
    assert found.root == str(tmp_path)
    assert done.stderr == ""


def test_a_folder_where_no_program_may_run_is_seen(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"NO MOUNT PERMITTED: noexec is NOT tested; {mounted.stderr.decode().strip()}")
    try:
        found = ask_survey(LocalDevice(), str(tmp_path / "root"), "python3", "here")
        assert found.root_noexec is True
        assert ask_survey(LocalDevice(), "/", "python3", "here").root_noexec is False
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_board_over_ssh_is_surveyed(start_sshd: Callable[..., Sshd]) -> None:
    device = connect(start_sshd().target())
    try:
        assert ask_survey(device, "~/.edge-deploy", "python3", "board").machine == platform.machine()
    finally:
        device.close()


@dataclass
class _Appliance:
    """A device whose shell knows only words of its own."""

    chunk_bytes: int = 1

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        return Completed(0, b"% Unrecognized command\n", b"")

    def push(self, local: Path, remote: str) -> None:
        raise AssertionError

    def pull(self, remote: str, local: Path) -> None:
        raise AssertionError

    def close(self) -> None:
        pass


def test_what_is_no_unix_is_refused_with_its_own_words() -> None:
    with pytest.raises(BoardError, match="Unrecognized command"):
        ask_survey(_Appliance(), "~", "python3", "switch")
