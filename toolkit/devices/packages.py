"""A runtime's wheels on a board that has no pip: fetched on the host for the board's Python, unpacked there once."""

import hashlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from toolkit.cache import cached, digest
from toolkit.devices.agent_client import Agent, with_site
from toolkit.devices.device import check
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
    part = site + ".part"
    check(agent.device.run(f"rm -rf {shlex.quote(part)} && mkdir {shlex.quote(part)}"), "making room for packages", agent.where)
    for wheel in wheels:
        remote = agent.at("packages", wheel.name)
        agent.device.push(wheel, remote)
        expected = hashlib.sha256(wheel.read_bytes()).hexdigest()
        sum_ = check(agent.device.run(f"sha256sum {shlex.quote(remote)}"), f"checking {wheel.name}", agent.where)
        if sum_.stdout.split()[0].decode() != expected:
            raise BoardError(f"{wheel.name} arrived corrupt", where=agent.where, next="Run again.")
        unpack = f"{shlex.quote(agent.python)} -m zipfile -e {shlex.quote(remote)} {shlex.quote(part)} && rm {shlex.quote(remote)}"
        check(agent.device.run(unpack, timeout_s=600), f"unpacking {wheel.name}", agent.where)
    check(agent.device.run(f"mv {shlex.quote(part)} {shlex.quote(site)}"), "activating packages", agent.where)
    return with_site(agent, site)


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
