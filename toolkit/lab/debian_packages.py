"""Debian packages for arm64, unpacked into a folder: nothing arm64 runs, and no privilege is needed."""

from collections.abc import Sequence
from pathlib import Path

from toolkit.lab.debian_sources import debian_sources
from toolkit.lab.tools import run_tool

# Debian's packages take /bin and /usr/bin to be one folder; the installer would have seen to that
_MERGE = 'for d in bin lib sbin; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done'


def unpack_packages(release: str, packages: Sequence[str], root: Path, *, then: str | None = None) -> None:
    """Unpack packages of that release, and all that they depend on, into the new folder `root`.

    `then` is a shell command that may fetch more with `APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"`; its `$1` is the
    folder. Raises BoardUnavailable with apt's complaint.
    """
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    run_tool(
        [
            "mmdebstrap",
            "--mode=chrootless",  # as no package's script runs, neither root nor a chroot is needed
            "--variant=extract",
            "--architectures=arm64",
            "--format=directory",
            f"--include={','.join(packages)}",
            f"--setup-hook={_MERGE}",
            *([f"--extract-hook={then}"] if then else []),
            '--aptopt=Acquire::Retries "3"',
            *([f"--keyring={keyring}"] if keyring.exists() else []),
            release,
            str(root),
            *debian_sources(release),
        ],
        "fetching the board's Debian packages",
        next="See that `apt-get update` works on this machine, then run again.",
    )
