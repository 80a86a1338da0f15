"""A runtime's wheels on a board that has no pip: fetched on the host for the board's Python, unpacked there once."""

import hashlib
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from toolkit.cache import cached, digest
from toolkit.devices.agent_client import Agent, scratch, with_site
from toolkit.devices.device import check
from toolkit.devices.disk import require_room
from toolkit.devices.facts import DeviceFacts
from toolkit.errors import BoardError


def ensure_packages(
    agent: Agent, packages: tuple[str, ...], facts: DeviceFacts, on_note: Callable[[str], None]
) -> Agent:
    """The agent with `packages` (pinned, e.g. `numpy==2.4.6`) importable on its board. Raises BoardError."""
    key = digest(packages, facts.machine, facts.python, facts.libc)[:16]
    site = agent.at("packages", key)
    if agent.device.run(f"test -d {shlex.quote(site)}").status == 0:
        return with_site(agent, site)
    wheels = fetch_wheels(packages, facts, agent.where)
    on_note(f"sending {', '.join(packages)} to the board (once)")
    largest = max(wheel.stat().st_size for wheel in wheels)
    require_room(agent, largest + sum(map(_unpacked_bytes, wheels)), " and ".join(packages))
    with scratch(agent, "packages") as part:
        check(agent.device.run(f"mkdir {shlex.quote(part)}"), "making room for packages", agent.where)
        for wheel in wheels:
            _unpack(agent, wheel, part)
        # Another run may have put them there meanwhile; they are the same.
        move = f"test -d {shlex.quote(site)} || mv -T {shlex.quote(part)} {shlex.quote(site)}"
        check(agent.device.run(move), "activating packages", agent.where)
    return with_site(agent, site)


def _unpack(agent: Agent, wheel: Path, folder: str) -> None:
    remote = f"{folder}/{wheel.name}"
    agent.device.push(wheel, remote)
    expected = hashlib.sha256(wheel.read_bytes()).hexdigest()
    sum_ = check(agent.device.run(f"sha256sum < {shlex.quote(remote)}"), f"checking {wheel.name}", agent.where)
    if sum_.stdout.split()[0].decode() != expected:
        raise BoardError(f"{wheel.name} arrived corrupt", where=agent.where, next="Run again.")
    unpack = shlex.join([agent.python, "-m", "zipfile", "-e", remote, folder])
    done = agent.device.run(f"{unpack} && rm {shlex.quote(remote)}", timeout_s=600)
    check(done, f"unpacking {wheel.name}", agent.where)


def _unpacked_bytes(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def fetch_wheels(packages: tuple[str, ...], facts: DeviceFacts, where: str) -> list[Path]:
    """Wheels for the board's machine, Python and C library, without dependencies; kept in the cache folder."""
    major, minor = facts.python.split(".")[:2]
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
                next="Check the network of this machine, or use a board with another Python.",
            )

    folder, _ = cached("wheels", digest(packages, tags, major, minor)[:16], download)
    return sorted(folder.glob("*.whl"))
