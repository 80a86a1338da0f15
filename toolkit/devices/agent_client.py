"""The host's side of the agent: put it on the board, call its verbs, read its lines."""

import hashlib
import io
import json
import secrets
import shlex
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolkit.devices.device import Device, check
from toolkit.devices.facts import DeviceFacts
from toolkit.errors import BoardError
from toolkit.targets import Target

_SOURCES = Path(__file__).parent / "agent"
_FOLDERS = ("agent", "packages", "releases", "adapted", "work")


@dataclass(frozen=True)
class Agent:
    """The agent on one board. `root` is absolute there; `site` holds unpacked wheels, or is None."""

    device: Device
    where: str
    root: str
    python: str
    archive: str
    site: str | None = None

    def at(self, *parts: str) -> str:
        """A path below the root on the board."""
        return "/".join((self.root, *parts))


def install_agent(device: Device, target: Target) -> Agent:
    """Make the root folder and put this version of the agent there. Raises BoardError."""
    where = target.name
    home = check(device.run("cd && pwd"), "finding the home folder", where).stdout.decode().strip()
    root = target.root.replace("~", home, 1) if target.root.startswith("~") else target.root
    folders = " ".join(shlex.quote(f"{root}/{name}") for name in _FOLDERS)
    # A run that was cut off cannot have swept its own workplace.
    sweep = f"find {shlex.quote(root)}/work -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {{}} +"
    check(device.run(f"mkdir -p {folders} && {{ {sweep} || true; }}"), "making folders", where)
    data = _archive()
    archive = f"{root}/agent/{hashlib.sha256(data).hexdigest()[:16]}.pyz"
    if device.run(f"test -f {shlex.quote(archive)}").status != 0:
        _push_bytes(device, data, archive)
    python = sys.executable if target.connection.transport == "local" else target.python
    return Agent(device, where, root, python, archive)


def with_site(agent: Agent, site: str) -> Agent:
    """The same agent with a folder of packages on its path."""
    return replace(agent, site=site)


def call(
    agent: Agent,
    verb: str,
    spec: dict[str, Any] | None = None,
    *,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    timeout_s: float = 600.0,
) -> dict[str, Any]:
    """Run one verb to its end; events on the way go to `on_event`. Raises BoardError with what the board said."""
    result: dict[str, Any] = {}
    failed: dict[str, Any] = {}

    def on_line(line: bytes) -> None:
        event = parse_event(line)
        if event is None:
            return
        if event["event"] == "done":
            result.update(event)
        elif event["event"] == "error":
            failed.update(event)
        elif on_event:
            on_event(event)

    command = [agent.python, agent.archive, verb]
    prefix = f"PYTHONPATH={shlex.quote(agent.site)} " if agent.site else ""
    with ExitStack() as stack:
        if spec is not None:
            path = stack.enter_context(scratch(agent, f"{verb}.json"))
            _push_bytes(agent.device, json.dumps(spec).encode(), path)
            command.append(path)
        completed = agent.device.run(prefix + shlex.join(command), timeout_s=timeout_s, on_line=on_line)
    if failed:
        raise BoardError(f"agent {verb}: {failed.get('kind')}: {failed.get('message')}", where=agent.where)
    if completed.status == 127:
        raise BoardError(f"has no {agent.python}", where=agent.where, next="Install Python 3.9 or later on the board.")
    if completed.status == 137:
        raise BoardError(
            f"agent {verb} was killed, most likely for lack of memory",
            where=agent.where,
            next="Free memory on the board, or lower --memory.",
        )
    check(completed, f"agent {verb}", agent.where)
    if not result:
        raise BoardError(f"agent {verb} ended without a result", where=agent.where)
    return {key: value for key, value in result.items() if key != "event"}


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event on one line of the agent's output; None for whatever else a library prints there."""
    try:
        event = json.loads(line) if line.startswith(b"{") else None
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


@contextmanager
def scratch(agent: Agent, name: str) -> Iterator[str]:
    """A path in the board's work folder that no other run has; whatever is put there is deleted at the end."""
    path = agent.at("work", f"{secrets.token_hex(4)}-{name}")
    try:
        yield path
    finally:
        with suppress(BoardError):  # a lost connection has its own error; a later run sweeps
            agent.device.run(f"rm -rf {shlex.quote(path)}")


def probe(agent: Agent) -> DeviceFacts:
    """Ask the board what it is."""
    return DeviceFacts(**call(agent, "facts"))


def _push_bytes(device: Device, data: bytes, remote: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "file")
        local.write_bytes(data)
        device.push(local, remote)


def _archive() -> bytes:
    """The agent's sources as a runnable zip, the same bytes for the same sources."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entries = {f"agent/{path.name}": path.read_text(encoding="utf-8") for path in sorted(_SOURCES.glob("*.py"))}
        entries["__main__.py"] = "import sys\nfrom agent.main import main\nsys.exit(main(sys.argv[1:]))\n"
        for name, text in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()
