"""A real adb server of the tests' own, so that a developer's phones and keys play no part."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ports import free_ports


@dataclass(frozen=True)
class Adb:
    """Runs `adb` with that server."""

    environment: dict[str, str]

    def __call__(self, *arguments: str) -> str:
        """The standard output of a command line that succeeds."""
        done = subprocess.run(["adb", *arguments], env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout


@contextmanager
def own_adb(home: Path) -> Iterator[Adb]:
    """The variables that lead to the server are set in this process too, for as long as it lasts."""
    port = str(free_ports(1))
    before = os.environ.get("ANDROID_ADB_SERVER_PORT")
    os.environ["ANDROID_ADB_SERVER_PORT"] = port
    adb = Adb({**os.environ, "HOME": str(home)})
    try:
        adb("start-server")
        yield adb
        adb("kill-server")
    finally:
        os.environ.pop("ANDROID_ADB_SERVER_PORT")
        if before is not None:
            os.environ["ANDROID_ADB_SERVER_PORT"] = before
