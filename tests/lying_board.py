"""A board whose commands really run, as a user of this machine without rights, and whose answers lie."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from canaries import NOBODY

from toolkit.devices.device import Completed, Device
from toolkit.devices.local import LocalDevice

OTHER_SHELLS = ("tcsh", "fish", "bash")
_LINES = (b"", b"-", b"/", b"~", b"$HOME", b"..", b"absent", b"empty", b"ours", b"0", b"9" * 5000, b"a" * 64)
_SAYINGS = (
    b"Welcome to my Jetson!\n",
    b"Unmatched '''.\n",
    b"fish: Unknown command: printf\n",
    b"This account is currently not available.\n",
    b"sh: 1: cannot create lease.7: No space left on device\n",
    b"\x1b[31mbash\x1b[0m$ ",
    b"\0\xff\xfe\n",
)
_SPOILS = ("empty", "prefix", "suffix", "cut", "shuffle", "double", "drop")
_LIES = ("swap", "insert", "move", "stale", "crlf", "binary")


class UsersShell(LocalDevice):
    """This machine, in that home folder and with no rights beyond it; `shell` runs commands in the place of sh."""

    chunk_bytes = 700

    def __init__(self, home: Path, shell: str | None = None) -> None:
        self._home, self._shell = home, shell

    def run(self, command: str, **options: Any) -> Completed:
        if self._shell:
            own = "XDG_CONFIG_HOME=/dev/null XDG_DATA_HOME=/dev/null"  # fish would make folders there
            command = f"exec env {own} {self._shell} -c {shlex.quote(command)}"
        user = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups " if os.getuid() == 0 else ""
        home = shlex.quote(str(self._home))
        return super().run(f"cd {home} && HOME={home} exec {user}sh -c {shlex.quote(command)}", **options)

    def push(self, local: Path, remote: str) -> None:
        super().push(local, remote)
        if os.getuid() == 0:
            os.chown(remote, NOBODY, NOBODY)


class LyingDevice:
    """A Device of whose answers that share is bent by chance; `lies` counts them.

    `places` are paths that it may call our folder, the true one first.
    """

    def __init__(self, device: Device, chance: Random, share: float, places: tuple[bytes, ...]) -> None:
        self._device, self._chance, self._share, self._places = device, chance, share, places
        self._earlier: list[Completed] = []
        self.chunk_bytes = device.chunk_bytes
        self.lies = 0

    def run(
        self, command: str, *, timeout_s: float = 60.0, on_line: Callable[[bytes], None] | None = None
    ) -> Completed:
        truth = self._device.run(command, timeout_s=timeout_s)
        answer = truth
        if self._chance.random() < self._share:
            self.lies += 1
            answer = self._bent(truth)
        self._earlier.append(truth)
        if on_line:
            for line in answer.stdout.splitlines():
                on_line(line)
        return answer

    def push(self, local: Path, remote: str) -> None:
        self._device.push(local, remote)

    def pull(self, remote: str, local: Path) -> None:
        self._device.pull(remote, local)

    def close(self) -> None:
        self._device.close()

    def _bent(self, truth: Completed) -> Completed:
        chance, stdout, stderr, status = self._chance, truth.stdout, truth.stderr, truth.status
        for _ in range(chance.randint(1, 3)):
            what = chance.randint(0, 5)
            if what < 4:
                stdout = self._twist(stdout, [each.stdout for each in self._earlier])
            elif what == 4:
                stderr = self._twist(stderr, [each.stderr for each in self._earlier])
            else:
                status = chance.choice((0, 1, 66, 75, 79, 126, 127, 137, 255))
        return Completed(status, stdout, stderr)

    def _twist(self, said: bytes, earlier: list[bytes]) -> bytes:
        chance, lines = self._chance, said.splitlines(keepends=True)
        at, cut = chance.randint(0, max(0, len(lines) - 1)), chance.randint(0, len(said))
        line = chance.choice((*self._places, *_LINES)) + b"\n"
        match chance.choice((*_SPOILS, *_LIES)):
            case "empty":
                return b""
            case "prefix":
                return chance.choice(_SAYINGS) + said
            case "suffix":
                return said + chance.choice(_SAYINGS)
            case "cut":
                return said[:cut]
            case "double":
                return said + said
            case "stale":
                return chance.choice(earlier) if earlier else b""
            case "move":
                return said.replace(self._places[0], chance.choice(self._places))
            case "crlf":
                return said.replace(b"\n", b"\r\n")
            case "binary":
                return said[:cut] + bytes(chance.randint(0, 255) for _ in range(8)) + said[cut:]
            case "shuffle":
                chance.shuffle(lines)
            case "drop":
                del lines[at : at + 1]
            case "swap":
                lines[at : at + 1] = [line]
            case "insert":
                lines.insert(at, line)
        return b"".join(lines)
