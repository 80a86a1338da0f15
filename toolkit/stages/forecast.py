"""What a deployment will do and how long that takes: from the last time that it was done, else in general."""

import json
from pathlib import Path

from toolkit.cache import cache_folder, digest
from toolkit.request import Request
from toolkit.targets import LocalPlace, Target

_BUNDLED = "three to four minutes on two idle cores, with the example's own training; again, less than one"


def forecast(request: Request, target: Target) -> str:
    """One line. What was done before is in the cache, so the last time is an upper bound unless the board is slower."""
    model = "the bundled example" if request.model == Request.model else request.model
    last = "prove it on the board, let it learn there" if request.adapt else "and prove it on the board"
    what = f"Measure {target.name}, make {model} fit, install it, {last}"
    seconds = _last(_file(request, target))
    if seconds is not None:
        return f"{what}: {seconds:.0f} s or less, as last time; what is cached is not done again."
    if request.model == Request.model and isinstance(target.place, LocalPlace):
        return f"{what}: {_BUNDLED}."
    return f"{what}: minutes, the first time; what is done is kept, and not done again."


def remember(request: Request, target: Target, seconds: float) -> None:
    """For the next forecast."""
    file = _file(request, target)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"seconds": round(seconds, 1)}), encoding="utf-8")


def _last(file: Path) -> float | None:
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(request: Request, target: Target) -> Path:
    return cache_folder() / "durations" / f"{digest(str(request), target.name)}.json"
