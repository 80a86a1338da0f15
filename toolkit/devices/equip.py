"""All that one runtime needs on a board, put there: the agent, the wheels of its Python, a first import."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from toolkit.devices.agent_client import Agent, probe
from toolkit.devices.facts import DeviceFacts
from toolkit.devices.first_import import first_import
from toolkit.devices.home import Home
from toolkit.devices.install_agent import install_agent
from toolkit.devices.packages import ensure_packages
from toolkit.devices.python_agent import board_python
from toolkit.devices.wheels import pins_for
from toolkit.targets import LocalPlace, Target


@dataclass(frozen=True)
class Equipped:
    """A board that can run programs of a runtime, and what it says of itself."""

    agent: Agent
    facts: DeviceFacts
    runtime_version: str


def equip(home: Home, target: Target, runtime: str, kind: str, on_note: Callable[[str], None]) -> Equipped:
    """Install the agent of that kind and what the runtime needs; what is there already is left as it is.

    Raises BoardError if the board cannot run it, BadInput where this machine lacks a compiler.
    """
    agent = install_agent(home, target, kind, on_note)
    facts = probe(agent)
    if kind != "python" or isinstance(target.place, LocalPlace):
        return Equipped(agent, facts, metadata.version(runtime))
    pins = pins_for(facts.python or "", facts.libc, home.where)
    agent = ensure_packages(agent, board_python(target), pins.distributions, facts, on_note)
    return Equipped(agent, facts, first_import(agent, runtime))
