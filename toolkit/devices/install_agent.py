"""Which agent a runtime needs, and putting it on the board."""

import platform
from collections.abc import Callable

from toolkit.devices.agent_client import Agent
from toolkit.devices.home import Home
from toolkit.devices.native.install import install_native_agent
from toolkit.devices.native.toolchain import find_toolchain
from toolkit.devices.python_agent import install_python_agent
from toolkit.targets import LocalPlace, Target


def require_tools(target: Target, kind: str) -> None:
    """Raises BadInput if this machine lacks what that kind of agent is made with; said before anything long begins."""
    if kind == "native" and (target.family.arch != "any" or isinstance(target.place, LocalPlace)):
        find_toolchain(platform.machine() if target.family.arch == "any" else target.family.arch)


def install_agent(home: Home, target: Target, kind: str, on_note: Callable[[str], None]) -> Agent:
    """The agent of that kind, `python` or `native`, on the board. Raises BoardError, or BadInput without a compiler."""
    return install_native_agent(home, on_note) if kind == "native" else install_python_agent(home, target)
