"""Stage 0: which runtime a request means. The board is looked at first, and nothing is sent to it."""

from dataclasses import replace

from toolkit.devices import Home
from toolkit.devices.survey import Unfit, ask_survey, unfit
from toolkit.errors import BadInput, BoardError
from toolkit.request import AskedPrecision, Request
from toolkit.runtimes import RUNTIMES, Runtime
from toolkit.runtimes.arithmetic import Arithmetic
from toolkit.stages.watch import Watch
from toolkit.targets import LocalPlace, Target


def choose_runtime(home: Home, request: Request, target: Target, watch: Watch) -> Request:
    """The request with the runtime that was asked for, else the first of the target's that its board can run.

    Raises BoardError if it cannot run any of them, with what helps; BadInput for a runtime that the target has not.
    """
    names = asked_runtimes(request, target)
    if isinstance(target.place, LocalPlace):  # this very Python runs the agent
        return replace(request, runtime=names[0])
    with watch.stage("survey"):
        survey = ask_survey(home.device, home.root, target.python, home.where)
        hindrances = {name: unfit(survey, name) for name in names}
        chosen = next((name for name, hindrance in hindrances.items() if hindrance is None), None)
        first = hindrances[names[0]]
        if chosen is None:
            raise _refused(names, hindrances, home.where)
        if first:
            watch.note(f"{chosen}, since {names[0]} cannot run there: {first.why}")
        return replace(request, runtime=chosen)


def asked_runtimes(request: Request, target: Target) -> tuple[str, ...]:
    """What may run it, the first choice first; never empty. Raises BadInput, also where none has the precision."""
    if request.runtime is not None and request.runtime not in target.runtimes:
        raise BadInput(
            f"does not run {request.runtime}",
            where=f"target {target.name}",
            next=f"Choose --runtime {' or '.join(target.runtimes)}.",
        )
    names = target.runtimes if request.runtime is None else (request.runtime,)
    built = tuple(name for name in names if name in RUNTIMES)
    if not built:
        raise BadInput(f"export to {names[0]} is not built yet", next=f"Choose --runtime {' or '.join(RUNTIMES)}.")
    precision = request.precision
    able = tuple(name for name in built if precision in ("auto", "fp32") or asked_forms(RUNTIMES[name], precision))
    if not able:
        raise BadInput(
            f"runtime {built[0]} has no {precision}",
            where=f"--precision {precision}",
            next="Choose --precision fp32, or another --runtime.",
        )
    return able


def asked_forms(runtime: Runtime, precision: AskedPrecision) -> tuple[Arithmetic, ...]:
    """What a board may be asked about besides fp32."""
    asked = ("int8", "fp16") if precision == "auto" else (precision,)
    return tuple(each for each in runtime.arithmetics if each.precision in asked)


def _refused(names: tuple[str, ...], hindrances: dict[str, Unfit | None], where: str) -> BoardError:
    """The last choice is the least demanding: what hinders it hinders all."""
    found = hindrances[names[-1]]
    assert found
    return BoardError(f"cannot run {names[-1]}: {found.why}", where=where, next=f"It takes {found.need}.")
