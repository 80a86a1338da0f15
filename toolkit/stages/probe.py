"""Stage 1: ask the board what it is, and give it the agent and what the runtime needs; or recall what it was."""

from dataclasses import dataclass
from importlib import metadata
from typing import Protocol

from toolkit.devices import Agent, DeviceFacts, Home
from toolkit.devices.equip import equip
from toolkit.devices.wheels import runtime_versions
from toolkit.errors import BadInput
from toolkit.profiling import stored_profile
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch
from toolkit.targets import Target
from toolkit.units import format_bytes


class Known(Protocol):
    """What a plan needs to know of a board; `agent` is None where the board is not at hand."""

    @property
    def target(self) -> Target: ...

    @property
    def agent(self) -> Agent | None: ...

    @property
    def facts(self) -> DeviceFacts: ...

    @property
    def runtime_version(self) -> str: ...


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


@dataclass(frozen=True)
class Absent:
    """A board that is not at hand: what its stored profile, or its datasheet, knows of it."""

    target: Target
    facts: DeviceFacts
    runtime_version: str
    agent: None = None


def probe(home: Home, target: Target, job: Job, watch: Watch) -> Board:
    """Facts of the device. Raises BoardError if it cannot run the runtime."""
    with watch.stage("probe"):
        note = watch.progress.note
        found = equip(home, target, job.runtime.name, job.runtime.agent, note)
        note(_describe(found.facts, job.runtime.name, found.runtime_version))
        return Board(target, found.agent, found.facts, found.runtime_version)


def recall(target: Target, job: Job, watch: Watch) -> Absent:
    """The board as it was when it was profiled; nothing is asked of it. Raises BadInput without a stored profile."""
    with watch.stage("recall"):
        versions = runtime_versions() if job.runtime.agent == "python" else (metadata.version(job.runtime.name),)
        stored = stored_profile(target, job.runtime.name, versions)
        watch.note(f"no board was asked: its profile is of {stored.measured_at or 'an unknown day'}")
        return Absent(target, _facts_not_asked(**stored.device.model_dump()), stored.runtime_version)


def imagine(target: Target, job: Job, watch: Watch) -> Absent:
    """A board that nobody has, from its datasheet. Raises BadInput if its target has none."""
    with watch.stage("imagine"):
        datasheet = target.family.datasheet
        if datasheet is None:
            raise BadInput(
                "has no [datasheet] to estimate from",
                where=f"target {target.name}",
                next="Give its peak_gflops_fp32, cores, memory_bandwidth_gb_s and their sources, or measure the board.",
            )
        watch.note(f"ESTIMATE from the datasheet, nothing was measured: {'; '.join(datasheet.sources)}")
        facts = _facts_not_asked(machine=target.family.arch, cores=datasheet.cores, ram_bytes=datasheet.ram_bytes)
        return Absent(target, facts, metadata.version(job.runtime.name))


def _facts_not_asked(
    *,
    machine: str,
    cores: int,
    cpu: str | None = None,
    ram_bytes: int | None = None,
    kernel: str = "not asked",
    libc: str | None = None,
    board: str | None = None,
) -> DeviceFacts:
    return DeviceFacts(
        machine=machine,
        cpu=cpu,
        cores=cores,
        ram_bytes=ram_bytes,
        ram_available_bytes=None,
        disk_free_bytes=None,
        os="not asked",
        kernel=kernel,
        libc=libc,
        python=None,
        board=board,
        runtimes={},
        conditions={},
    )


def _describe(facts: DeviceFacts, runtime: str, version: str) -> str:
    hardware = [facts.board or facts.machine, facts.cpu, f"{facts.cores} cores"]
    memory = format_bytes(facts.ram_bytes) + " RAM" if facts.ram_bytes else None
    state = [
        f"{key} {value}" for key, value in facts.conditions.items() if key in ("governor", "temperature_c") and value
    ]
    python = f"Python {facts.python}" if facts.python else None
    software = [facts.os, python, f"{runtime} {version}"]
    return ", ".join(part for part in (*hardware, memory, *software, *state) if part)
