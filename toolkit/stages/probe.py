"""Stage 1: reach the board, ask what it is, and give it what the runtime needs."""

from dataclasses import dataclass
from importlib import metadata

from toolkit.devices import Agent, Device, DeviceFacts, ensure_packages, install_agent
from toolkit.devices import probe as ask
from toolkit.errors import BoardError
from toolkit.runtimes import Runtime
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


def probe(device: Device, target: Target, job: Job, watch: Watch) -> Board:
    """Facts of the device. Raises BoardError if it is another kind of board or cannot run the runtime."""
    with watch.stage("probe"):
        agent = install_agent(device, target)
        facts = ask(agent)
        if target.arch not in ("any", facts.machine):
            raise BoardError(
                f"is {facts.machine}, the target says {target.arch}",
                where=target.name,
                next="Choose the target that fits the board (`deploy targets`), or correct its address.",
            )
        version = metadata.version(job.runtime.name)
        if target.connection.transport != "local":
            agent, facts = _provide_runtime(agent, facts, job.runtime, watch)
        watch.progress.note(_describe(facts, job.runtime.name, version))
        return Board(target, agent, facts, version)


def _provide_runtime(agent: Agent, facts: DeviceFacts, runtime: Runtime, watch: Watch) -> tuple[Agent, DeviceFacts]:
    if not runtime.board_packages:
        raise BoardError(
            f"{runtime.name} cannot run on a Python board yet",
            where=agent.where,
            next="Choose --runtime onnxruntime; the native runner is on the road map.",
        )
    agent = ensure_packages(agent, runtime.board_packages, facts, watch.progress.note)
    return agent, ask(agent)


def _describe(facts: DeviceFacts, runtime: str, version: str) -> str:
    hardware = [facts.board or facts.machine, facts.cpu, f"{facts.cores} cores"]
    memory = format_bytes(facts.ram_bytes) + " RAM" if facts.ram_bytes else None
    state = [
        f"{key} {value}" for key, value in facts.conditions.items() if key in ("governor", "temperature_c") and value
    ]
    software = [facts.os, f"Python {facts.python}", f"{runtime} {version}"]
    return ", ".join(part for part in (*hardware, memory, *software, *state) if part)
