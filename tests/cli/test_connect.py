"""`deploy connect`: a board on a private sshd is met, written down, and then is a target like any other."""

import os
import platform
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import Sshd, free_port
from workplace import Workplace, one_object, refusal

from toolkit.targets import SshPlace, read_target

StartSshd = Callable[..., Sshd]
FAMILY = "generic-x86-64" if platform.machine() == "x86_64" else "generic-arm64"


@pytest.fixture
def known_hosts(home: Path) -> Path:
    return home / ".ssh" / "known_hosts"


def alias(home: Path, sshd: Sshd, name: str = "kitchen") -> None:
    """The server as a host of the user's own configuration."""
    (home / ".ssh").mkdir(exist_ok=True)
    lines = f"Host {name}", " HostName 127.0.0.1", f" Port {sshd.port}", f" IdentityFile {sshd.identity}"
    (home / ".ssh" / "config").write_text("\n".join(lines) + f"\n UserKnownHostsFile {home}/.ssh/known_hosts\n")


def fingerprint(sshd: Sshd) -> str:
    listed = subprocess.run(["ssh-keygen", "-lf", sshd.config.parent / "host_key.pub"], capture_output=True, text=True)
    return listed.stdout.split()[1]


def test_a_board_becomes_a_target(place: Workplace, home: Path, start_sshd: StartSshd, known_hosts: Path) -> None:
    sshd = start_sshd(known=False)
    alias(home, sshd)
    done = place.deploy("connect", "kitchen", "--accept-host-key", fingerprint(sshd), "--no-install-key", "--json")
    assert done.returncode == 0, done.stderr
    told = one_object(done.stdout)
    assert (told["target"], told["family"], told["ok"]) == ("kitchen", FAMILY, True)
    assert {each["name"] for each in told["checks"]} >= {"processor", "runtime", "folder", "disk", "clock"}
    target = read_target(place.folder / "targets" / "kitchen.toml")
    assert target.place == SshPlace(host="kitchen")
    assert known_hosts.read_text().startswith(f"[127.0.0.1]:{sshd.port} ")
    status = place.deploy("status", "--target", "kitchen", "--json")
    assert one_object(status.stdout)["deployed_to"] is False
    assert list(home.iterdir()) == [home / ".ssh"]


def test_one_screen_says_what_is_right_and_what_comes_next(place: Workplace, home: Path, start_sshd: StartSshd) -> None:
    alias(home, start_sshd(known=False))
    done = place.deploy("connect", "kitchen", "--yes", "--no-install-key")
    assert done.returncode == 0, done.stderr
    assert "processor" in done.stdout
    assert "deploy --target kitchen" in done.stdout
    assert len(done.stdout.splitlines()) <= 40


def test_a_key_is_installed_if_asked_for(place: Workplace, home: Path, start_sshd: StartSshd) -> None:
    sshd = start_sshd(known=False)
    alias(home, sshd)
    done = place.deploy("connect", "kitchen", "--yes", "--install-key", "--json")
    assert one_object(done.stdout)["key_installed"] == f"{sshd.identity}.pub"
    installed = (home / ".ssh" / "authorized_keys").read_text()
    assert installed == sshd.identity.with_suffix(".pub").read_text()


def test_an_unknown_host_key_without_a_terminal_is_refused_with_the_option(
    place: Workplace, home: Path, start_sshd: StartSshd, known_hosts: Path
) -> None:
    sshd = start_sshd(known=False)
    alias(home, sshd)
    said = refusal(place.deploy("connect", "kitchen"))
    assert f"--accept-host-key {fingerprint(sshd)}" in said
    other = refusal(place.deploy("connect", "kitchen", "--accept-host-key", "SHA256:other"))
    assert "another host key" in other
    assert f"--accept-host-key {fingerprint(sshd)}" in other
    assert not known_hosts.exists()
    assert not (place.folder / "targets" / "kitchen.toml").exists()


def test_a_target_is_not_overwritten_unless_forced(place: Workplace, home: Path, start_sshd: StartSshd) -> None:
    alias(home, start_sshd(known=False))
    file = place.folder / "targets" / "kitchen.toml"
    file.write_text("# mine\n")
    options = "connect", "kitchen", "--yes", "--no-install-key"
    for _ in range(2):
        assert "exists already" in refusal(place.deploy(*options))
    assert file.read_text() == "# mine\n"
    assert place.deploy(*options, "--name", "other").returncode == 0
    assert place.deploy(*options, "--force").returncode == 0
    assert read_target(file).family.name == FAMILY


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("connect", "a b"), "names no board"),
        (("connect", "kitchen", "--name", "No Name"), "name no target"),
        (("connect", "kitchen", "--name", "host"), "this machine"),
        (("connect", "kitchen", "--family", "raspbery-pi-5"), "raspberry-pi-5"),
        (("connect", "adb:0", "--user", "me"), "adb"),
        (("connect", f"127.0.0.1:{free_port()}"), "cannot reach"),
        (("connect", "no-such-host.invalid"), "cannot reach"),
        (("connect", "/dev/no-such-line"), "no-such-line"),
        (("connect", "/dev/null"), "/dev/null"),
    ],
)
def test_what_cannot_be_met_is_one_error(place: Workplace, home: Path, arguments: tuple[str, ...], word: str) -> None:
    done = place.deploy(*arguments)
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr
    assert word in done.stderr
    assert [each.name for each in (place.folder / "targets").iterdir()] == ["desk.toml"]


def test_a_board_of_another_family_than_the_one_named_is_refused(
    place: Workplace, home: Path, start_sshd: StartSshd
) -> None:
    alias(home, start_sshd(known=False))
    family = "raspberry-pi-5" if platform.machine() == "x86_64" else "generic-x86-64"
    said = refusal(place.deploy("connect", "kitchen", "--yes", "--no-install-key", "--family", family))
    assert platform.machine() in said
    assert not (place.folder / "targets" / "kitchen.toml").exists()


def test_what_is_no_unix_is_refused(place: Workplace, home: Path, start_sshd: StartSshd) -> None:
    alias(home, start_sshd(known=False, more=("ForceCommand echo Welcome to the appliance",)))
    done = place.deploy("connect", "kitchen", "--yes", "--no-install-key")
    assert "new board: " in refusal(done)  # no target yet
    assert "Welcome to the appliance" in refusal(done)


def test_at_a_terminal_the_host_key_is_shown_and_asked_for(place: Workplace, home: Path, start_sshd: StartSshd) -> None:
    sshd = start_sshd(known=False)
    alias(home, sshd)
    assert fingerprint(sshd) in at_a_terminal(place, b"n\n", "connect", "kitchen")
    assert not (place.folder / "targets" / "kitchen.toml").exists()
    shown = at_a_terminal(place, b"y\ny\n", "connect", "kitchen")
    assert "Written: targets/kitchen.toml" in shown
    assert (home / ".ssh" / "authorized_keys").is_file()


def at_a_terminal(place: Workplace, answers: bytes, *arguments: str) -> str:
    """All that the command line shows to somebody who types these answers."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from toolkit.cli import main; main()", *arguments]
    process = subprocess.Popen(
        command, cwd=place.folder, env=place.environment(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, answers)
    shown = bytearray()
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    process.wait()
    return shown.decode()
