"""The Python agent on a board: its sources as one runnable zip, named by their content."""

import hashlib
import io
import shlex
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import edge_runtime
from toolkit.devices.agent_client import Agent
from toolkit.devices.digests import sums
from toolkit.devices.home import Home, push_bytes
from toolkit.devices.streams import shell_path
from toolkit.errors import BoardError
from toolkit.targets import LocalPlace, Target

# The agent, by a name that no package of an application has, and what applications import.
_PACKAGES = {"edge_deploy_agent": Path(__file__).parent / "agent", "edge_runtime": Path(edge_runtime.__file__).parent}

# In our folder, links to what reads texts and images of applications: a release of such brings it, others leave it.
READERS = ("texts", "images")


def install_python_agent(home: Home, target: Target) -> Agent:
    """Put this version of the agent there. Raises BoardError if the board has no Python."""
    python = board_python(target)
    data = pack_agent()
    digest = hashlib.sha256(data).hexdigest()
    archive = home.at("agent", f"{digest[:16]}.pyz")
    if home.device.run(f"command -v {shell_path(python)}").status != 0:
        raise BoardError(f"has no {python}", where=home.where, next="Install Python 3.9 or later on the board.")
    if sums(home, [archive]) != [digest]:
        push_bytes(home, data, archive)
    return Agent(home, f"{shell_path(python)} {shlex.quote(archive)}", archive)


def board_python(target: Target) -> str:
    """The interpreter that runs the agent: on this machine, the one that runs us."""
    return sys.executable if isinstance(target.place, LocalPlace) else target.python


def with_site(agent: Agent, site: str) -> Agent:
    """The same agent with a folder of packages on its path, and behind it what reads texts and images, once there."""
    path = ":".join([site, *map(agent.home.at, READERS)])
    return replace(agent, command=f"PYTHONPATH={shlex.quote(path)} {agent.command}", site=site)


# Left without tidying up: ONNX Runtime waits at an exit for a thread of its own, which a fork of the agent has not.
_MAIN = """import os, sys
from edge_deploy_agent.main import main
status = main(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)
"""


def pack_agent() -> bytes:
    """The agent's sources as a runnable zip, the same bytes for the same sources."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entries = {
            f"{package}/{path.name}": path.read_text(encoding="utf-8")
            for package, folder in _PACKAGES.items()
            for path in sorted(folder.glob("*.py"))
        }
        entries["__main__.py"] = _MAIN
        for name, text in entries.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()
