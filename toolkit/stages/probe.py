"""Stage 1: ask the board what it is, and give it the agent and what the runtime needs."""

from dataclasses import dataclass
from importlib import metadata

from toolkit.devices import Agent, DeviceFacts, Home, ensure_packages, install_agent
from toolkit.devices import probe as ask
from toolkit.devices.python_agent import board_python
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch
from toolkit.targets import Target
from toolkit.units import format_bytes


@dataclass(frozen=True)
class Board:
    """A live board with the agent and the runtime on it."""

    target: Target
    agent: Agent
    facts: DeviceFacts
    runtime_version: str

    @property
    def home(self) -> Home:
        """Our folder there."""
        return self.agent.home


def probe(home: Home, target: Target, job: Job, watch: Watch) -> Board:
    """Facts of the device. Raises BoardError if it cannot run the runtime."""
    with watch.stage("probe"):
        note = watch.progress.note
        agent = install_agent(home, target, job.runtime.agent, note)
        facts = ask(agent)
        if job.runtime.board_packages and target.connection.transport != "local":
            agent = ensure_packages(agent, board_python(target), job.runtime.board_packages, facts, note)
            facts = ask(agent)
        version = metadata.version(job.runtime.name)
        note(_describe(facts, job.runtime.name, version))
        return Board(target, agent, facts, version)


def _describe(facts: DeviceFacts, runtime: str, version: str) -> str:
    hardware = [facts.board or facts.machine, facts.cpu, f"{facts.cores} cores"]
    memory = format_bytes(facts.ram_bytes) + " RAM" if facts.ram_bytes else None
    state = [
        f"{key} {value}" for key, value in facts.conditions.items() if key in ("governor", "temperature_c") and value
    ]
    python = f"Python {facts.python}" if facts.python else None
    software = [facts.os, python, f"{runtime} {version}"]
    return ", ".join(part for part in (*hardware, memory, *software, *state) if part)
