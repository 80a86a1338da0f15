"""A board at an address: whether it is the one that is meant, who may log in, what it is and what it lacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolkit.devices import Device, connected
from toolkit.devices.ssh import (
    HostKey,
    accept_host_key,
    install_public_key,
    offered_host_key,
    public_keys,
)
from toolkit.devices.survey import Check, Survey, ask_survey, checks, recognise, usable_python
from toolkit.errors import BoardError, DeployError
from toolkit.targets import Family, Place, SshPlace, Target, load_family, usual_target

_NEW = "new-board"


class Answers(Protocol):
    """What somebody decides while a board is met, a person at a terminal or the options of a command."""

    def trust(self, key: HostKey, where: str) -> None:
        """Whether that is the board's own key. Raises BoardError if nobody says so."""
        ...

    def key_to_install(self, keys: tuple[Path, ...]) -> Path | None:
        """Which public key, if any, shall log in from now on."""
        ...


@dataclass(frozen=True)
class Met:
    """A board that answered; `key_installed` is the public key that it got, `python` one that is not the usual one."""

    family: Family
    place: Place
    survey: Survey
    checks: tuple[Check, ...]
    python: str | None = None
    key_installed: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether it has all that a deployment needs."""
        return all(each.ok for each in self.checks)


@contextmanager
def _no_target_yet() -> Iterator[None]:
    """Errors name a board by its target, of which nobody has heard yet."""
    try:
        yield
    except DeployError as error:
        error.where = error.where and error.where.replace(f"target {_NEW}", "new board", 1)
        raise


@_no_target_yet()
def meet(place: Place, family: Family | None, answers: Answers) -> Met:
    """Log in at that place and look around; nothing is written but a host key here and, if asked for, ours there.

    Raises BoardError, also for a board that belongs to no family or not to the one that was named; BadInput.
    """
    stranger = _stranger(place)
    if isinstance(place, SshPlace):
        key = offered_host_key(stranger)
        if not key.is_known:
            answers.trust(key, str(place))
            accept_host_key(stranger, key)
    with connected(stranger) as device:
        survey = ask_survey(device, stranger.root, stranger.python, str(place))
        found = family or _recognised(survey, str(place))
        if found.root != stranger.root or found.python != stranger.python:
            survey = ask_survey(device, found.root, found.python, str(place))
        if found.arch not in ("any", survey.machine):
            raise BoardError(
                f"this board is {survey.machine}, and boards of the family {found.name} are {found.arch}",
                where=str(place),
                next="Leave out --family to have it recognised, or check the address.",
            )
        installed = _install_key(device, stranger, answers) if isinstance(place, SshPlace) else None
    other = usable_python(survey)
    python = other.command if other and other != survey.python and "onnxruntime" in found.runtimes else None
    seen = survey.using(other) if python and other else survey
    return Met(found, place, seen, checks(seen, found.arch, found.runtimes), python, installed)


def _stranger(place: Place) -> Target:
    """A target for a board of which only the address is known."""
    return usual_target(load_family("host").model_copy(update={"name": _NEW}), place)


def _recognised(survey: Survey, where: str) -> Family:
    name = recognise(survey)
    if name is None:
        raise BoardError(
            f"this board is {survey.machine} ({survey.system or survey.kernel}), which no family describes",
            where=where,
            next="A board must be arm64 or x86-64, with Linux or Android of 64 bits.",
        )
    return load_family(name)


def _install_key(device: Device, target: Target, answers: Answers) -> Path | None:
    key = answers.key_to_install(public_keys(target))
    return key if key and install_public_key(device, key, target.name) else None
