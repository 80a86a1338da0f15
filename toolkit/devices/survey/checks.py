"""Whether a board has what a deployment needs: each thing with what was found and what it takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from toolkit.devices.survey.survey import Survey
from toolkit.devices.survey.unfit import unfit
from toolkit.units import format_bytes

# ONNX Runtime's wheels, unpacked: 60 MB; packed beside it, 20 MB; NumPy 60 MB; three releases of a small model.
_DISK_BYTES = 250_000_000
_INODES = 3_000
_RAM_BYTES = 200_000_000
_EARLIEST = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Check:
    """One thing; `need` says what helps where it is not right, and is empty where it is."""

    name: str
    ok: bool
    found: str
    need: str = ""


def checks(survey: Survey, arch: str, runtimes: Sequence[str]) -> tuple[Check, ...]:
    """Everything that a family's boards must have. `arch` may be `any`; of `runtimes` one must be able to run."""
    made = (_processor(survey, arch), _runtime(survey, runtimes), _folder(survey), *_room(survey), _clock(survey))
    return tuple(replace(each, need="") if each.ok else each for each in made)


def chosen_runtime(survey: Survey, runtimes: Sequence[str]) -> str | None:
    """The first that can run there."""
    return next((each for each in runtimes if unfit(survey, each) is None), None)


def _processor(survey: Survey, arch: str) -> Check:
    bits = f", programs of {survey.word_bits} bits" if survey.word_bits else ""
    what = survey.model or survey.cpu
    found = f"{survey.machine}{bits}{f', {what}' if what else ''}"
    return Check("processor", arch in ("any", survey.machine), found, f"a board of this family is {arch}")


def _runtime(survey: Survey, runtimes: Sequence[str]) -> Check:
    python = f"Python {survey.python.version}" if survey.python else "no Python"
    board = ", ".join(each for each in (survey.system, survey.libc, python) if each)
    chosen = chosen_runtime(survey, runtimes)
    if chosen:
        return Check("runtime", True, f"{board}: {chosen}")
    first = unfit(survey, runtimes[0])
    return Check("runtime", False, board, f"{first.why}; needs {first.need}" if first else "")


def _folder(survey: Survey) -> Check:
    found = f"{survey.root or 'unknown'}{', noexec' if survey.root_noexec else ''}"
    if survey.root_noexec:
        return Check("folder", False, found, "`root` in the target's file on a file system that may run programs")
    need = "`root` in the target's file in a folder that its user may write to"
    return Check("folder", survey.root_writable is not False, found, need)


def _room(survey: Survey) -> tuple[Check, ...]:
    def room(name: str, free: int | None, least: int, form: str, need: str) -> Check:
        return Check(name, free is None or free >= least, "unknown" if free is None else form, need)

    disk, ram, inodes = survey.disk_free_bytes, survey.ram_bytes, survey.inodes_free
    return (
        room("disk", disk, _DISK_BYTES, f"{format_bytes(disk or 0)} free", f"{format_bytes(_DISK_BYTES)} free"),
        # Some file systems make inodes as they need them, and count none.
        room("inodes", inodes or None, _INODES, f"{inodes} free", f"{_INODES} free: remove files, many small ones"),
        room("memory", ram, _RAM_BYTES, format_bytes(ram or 0), f"{format_bytes(_RAM_BYTES)}"),
    )


def _clock(survey: Survey) -> Check:
    seconds = survey.clock_s
    if seconds is None:
        return Check("clock", True, "unknown")
    said = datetime.fromtimestamp(min(seconds, 2**35), UTC)
    # Nothing here fails on a wrong clock but what the user does with results does: it is told, with what sets it.
    return Check(
        "clock", said >= _EARLIEST, f"{said:%Y-%m-%d}", "the right time: `timedatectl set-ntp true`, or `date -s`"
    )
