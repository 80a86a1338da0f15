"""A target's board examined from the login to the first import of its runtime."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from toolkit.devices import Device, connected, locked, open_home
from toolkit.devices.equip import equip
from toolkit.devices.python_agent import board_python
from toolkit.devices.survey import Check, Survey, ask_survey, checks, chosen_runtime
from toolkit.errors import DeployError
from toolkit.runtimes import RUNTIMES
from toolkit.targets import Target


@dataclass(frozen=True)
class Diagnosis:
    """Checks in the order in which they were made: what fails may keep the rest from being made."""

    target: Target
    checks: tuple[Check, ...]
    survey: Survey | None = None

    @property
    def ok(self) -> bool:
        """Whether a deployment would find all that it needs."""
        return all(each.ok for each in self.checks)


def diagnose(target: Target, runtime: str | None, on_note: Callable[[str], None]) -> Diagnosis:
    """Examine it as a deployment would meet it: the agent and the runtime are on the board afterwards, nothing else.

    `runtime` None is the first of the target's that the board can run. What goes wrong is a check that fails.
    """
    try:
        with connected(target) as device:
            login = Check("login", True, target.place.transport)
            survey = ask_survey(device, target.root, board_python(target), target.name)
            names = tuple(each for each in (runtime,) if each) or target.runtimes
            found = (login, *checks(survey, target.family.arch, names))
            chosen = chosen_runtime(survey, [each for each in names if each in RUNTIMES])
            last = _on_board(device, target, chosen, on_note) if chosen else ()
            return Diagnosis(target, (*found, *last), survey)
    except DeployError as error:
        return Diagnosis(target, (_failed("login", error),))


def _on_board(device: Device, target: Target, runtime: str, on_note: Callable[[str], None]) -> tuple[Check, ...]:
    """Our folder, the lock, and the runtime itself."""
    done: list[Check] = []
    name = "our folder"
    try:
        with ExitStack() as held:
            home = open_home(device, target)
            done.append(Check(name, True, "ours"))
            name = "lock"
            home = held.enter_context(locked(home))
            done.append(Check(name, True, "free"))
            name = f"import of {runtime}"
            RUNTIMES[runtime].check()
            found = equip(home, target, runtime, RUNTIMES[runtime].agent, on_note)
            done.append(Check(name, True, found.runtime_version))
    except DeployError as error:
        done.append(_failed(name, error))
    return tuple(done)


def _failed(name: str, error: DeployError) -> Check:
    return Check(name, False, error.what, error.next or "see what it says")
