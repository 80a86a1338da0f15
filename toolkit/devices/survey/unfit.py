"""Why a runtime cannot run on a board, before anything is sent there."""

from dataclasses import dataclass

from toolkit.devices.survey.survey import Interpreter, Survey
from toolkit.devices.wheels import NEEDS_PYTHON, why_no_wheels

_BUILT_FOR = ("aarch64", "x86_64")
_OTHER = "--runtime executorch, which needs no Python and brings its own libraries"


@dataclass(frozen=True)
class Unfit:
    """What is in the way, and what helps."""

    why: str
    need: str


def unfit(survey: Survey, runtime: str) -> Unfit | None:
    """What keeps it from running that runtime; None if nothing does, as far as can be seen without trying."""
    if survey.machine not in _BUILT_FOR:
        return Unfit(
            f"its kernel is {survey.machine}", "a 64-bit system on an arm64 or x86-64 processor; Linux or Android"
        )
    if survey.root_noexec:
        return Unfit(
            f"no program may be run from {survey.root}: its file system is mounted noexec",
            "`root` in the target's file on a file system that is not, or `mount -o remount,exec` on the board",
        )
    return _unfit_python(survey) if runtime == "onnxruntime" else None


def usable_python(survey: Survey) -> Interpreter | None:
    """The first of the board's that ONNX Runtime has wheels for."""
    return next((each for each in survey.pythons if _is_usable(each, survey)), None)


def _is_usable(python: Interpreter, survey: Survey) -> bool:
    return python.word_bits == 64 and why_no_wheels(python.version, _libc(python, survey)) is None


def _libc(python: Interpreter, survey: Survey) -> str | None:
    """The C library of that Python: one that does not name glibc uses another, whatever the system's programs use."""
    other = None if (survey.libc or "").startswith("glibc") else survey.libc
    return python.libc or other


def _unfit_python(survey: Survey) -> Unfit | None:
    python = survey.python
    if survey.word_bits == 32 and (python is None or python.word_bits == 32):
        return Unfit(
            "its programs are of 32 bits on a 64-bit kernel, and ONNX Runtime has 64", f"{_OTHER}, or the 64-bit OS"
        )
    if python is None:
        return Unfit("it has no Python 3", f"{NEEDS_PYTHON} on the board, or {_OTHER}")
    if python.word_bits == 32:
        return Unfit("its Python is of 32 bits, and ONNX Runtime has 64", f"a 64-bit Python there, or {_OTHER}")
    why = why_no_wheels(python.version, _libc(python, survey))
    if why is None:
        return None
    other = usable_python(survey)
    named = f'`python = "{other.command}"` in the target\'s file, or ' if other else ""
    return Unfit(why, named + _OTHER)
