"""The Android debug daemon, for boards that are reached over adb. It is Debian's build of it, not Android.

Debian 12 has none, so it comes from the next release, with that release's loader and libraries beside it: run
through them, it leaves the board's own C library and Python as they are, and its shell is the board's shell.
"""

import shutil
from pathlib import Path

from toolkit.lab.debian_packages import unpack_packages

RELEASE = "trixie"
FOLDER = "opt/adbd"  # on the board; guest/lab-init starts it from there


def add_adbd(root: Path, scratch: Path) -> None:
    """Put the daemon into the board's `root`. Raises BoardUnavailable if its packages cannot be fetched."""
    unpack_packages(RELEASE, ["adbd"], scratch)
    place = root / FOLDER
    place.mkdir(parents=True)
    shutil.move(scratch / "usr/lib/android-sdk/platform-tools/adbd", place / "adbd")
    shutil.move(scratch / "usr/lib/aarch64-linux-gnu", place / "lib")
    shutil.rmtree(place / "lib/gconv", ignore_errors=True)  # conversions of text, which it makes none of
    shutil.rmtree(scratch)
