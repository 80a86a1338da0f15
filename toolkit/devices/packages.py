"""A runtime's wheels on a board that has no pip: fetched on the host for the board's Python, unpacked there once."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from toolkit.cache import cached, digest
from toolkit.devices.agent_client import Agent
from toolkit.devices.device import check
from toolkit.devices.digests import sha256_of
from toolkit.devices.disk import require_room
from toolkit.devices.facts import DeviceFacts
from toolkit.devices.home import Home, scratch
from toolkit.devices.python_agent import with_site
from toolkit.devices.releases.transfer import arrived, forget, send
from toolkit.devices.streams import shell_path
from toolkit.errors import BoardError


def ensure_packages(
    agent: Agent, python: str, packages: tuple[str, ...], facts: DeviceFacts, on_note: Callable[[str], None]
) -> Agent:
    """The agent with `packages` (pinned, e.g. `numpy==2.4.6`) importable on its board. Raises BoardError."""
    return with_site(agent, ensure_unpacked(agent.home, python, packages, facts, on_note))


def ensure_unpacked(
    home: Home, python: str, packages: tuple[str, ...], facts: DeviceFacts, on_note: Callable[[str], None]
) -> str:
    """The folder on the board that holds these packages and nothing else. Raises BoardError."""
    key = digest(packages, facts.machine, facts.python, facts.libc)[:16]
    site = home.at("packages", key)
    if home.ask(f"test -d {home.within(site)}").status == 0:
        return site
    wheels = {sha256_of(wheel): wheel for wheel in fetch_wheels(packages, facts, home.where)}
    on_note(f"sending {', '.join(packages)} to the board (once)")
    needed = sum(2 * wheel.stat().st_size + _unpacked_bytes(wheel) for wheel in wheels.values())
    require_room(home, needed, " and ".join(packages))
    send(home, wheels)
    with scratch(home, "packages") as part:
        check(home.run(f"mkdir {home.within(part)}"), "making room for packages", home.where)
        for sha, wheel in wheels.items():
            unpack = f"{shell_path(python)} -m zipfile -e {home.within(arrived(home, sha))} {home.within(part)}"
            check(home.run(unpack, timeout_s=900), f"unpacking {wheel.name}", home.where)
        # On the disk before they have their name: a power cut must not leave half of them under it.
        move = f"sync && mv {home.within(part)} {home.within(site)} && sync"
        check(home.run(move, timeout_s=300), "activating packages", home.where)
    forget(home, list(wheels))
    return site


def _unpacked_bytes(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def fetch_wheels(packages: tuple[str, ...], facts: DeviceFacts, where: str) -> list[Path]:
    """Wheels for the board's machine, Python and C library, without dependencies; kept in the cache folder."""
    major, minor = str(facts.python).split(".")[:2]
    glibc = re.search(r"glibc 2\.(\d+)", facts.libc or "")
    if not glibc:
        raise BoardError(
            f"its C library is '{facts.libc}'; wheels need glibc", where=where, next="Use a board with a glibc Linux."
        )
    platforms = [f"manylinux_2_{version}_{facts.machine}" for version in range(int(glibc.group(1)), 16, -1)]
    tags = [*platforms, f"manylinux2014_{facts.machine}"]

    def download(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += [f"--platform={tag}" for tag in tags]
        command += [f"--python-version={major}.{minor}", "--implementation=cp"]
        command += [f"--abi={abi}" for abi in (f"cp{major}{minor}", "abi3", "none")]
        done = subprocess.run([*command, "--dest", str(folder), *packages], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise BoardError(
                f"no wheel of {', '.join(packages)} for {facts.machine}, Python {major}.{minor}, {facts.libc}"
                + (f": {said[-1][7:]}" if said else ""),
                where=where,
                next="Check the network of this machine: pip downloads them. --runtime executorch needs none.",
            )

    folder, _ = cached("wheels", digest(packages, tags, major, minor)[:16], download)
    return sorted(folder.glob("*.whl"))
