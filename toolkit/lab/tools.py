"""The programs of this machine that the lab runs, and the packages that bring them."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from toolkit.lab.unavailable import BoardUnavailable

PACKAGE_OF = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "openssl": "openssl",
    "qemu-img": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}
TO_BUILD = ("mmdebstrap", "mke2fs", "dpkg-deb", "apt-get", "unshare")
TO_BOOT = ("qemu-system-aarch64", "ssh-keygen", "openssl")


def require(tools: Sequence[str]) -> None:
    """Raises BoardUnavailable if one is absent; its `next` installs all that the lab lacks."""
    missing = [tool for tool in tools if not _find(tool)]
    if missing:
        packages = sorted({package for tool, package in PACKAGE_OF.items() if not _find(tool)})
        raise BoardUnavailable(
            f"the emulated board needs {', '.join(missing)}, which this machine lacks",
            next=f"apt-get install --no-install-recommends {' '.join(packages)}",
        )


def run_tool(command: Sequence[str], doing: str, *, said: str = "", next: str | None = None) -> str:
    """The standard output of a tool that succeeds, having been `said` something on its standard input.

    Raises BoardUnavailable with its complaint and `next`.
    """
    done = subprocess.run(
        [_find(command[0]) or command[0], *command[1:]],
        env={**os.environ, "PATH": _search_path()},
        input=said,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        printed = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # the first that apt marks as an error is the cause, those after it its consequences
        complaints = [line for line in printed if line.startswith("E: ")][:1] or printed[-1:]
        raise BoardUnavailable(
            ": ".join([f"{doing} failed", f"{command[0]} ended with status {done.returncode}", *complaints]),
            next=next,
        )
    return done.stdout


def _find(tool: str) -> str | None:
    return shutil.which(tool, path=_search_path())


def _search_path() -> str:
    # an ordinary user's PATH often lacks the folder that mke2fs is in
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
