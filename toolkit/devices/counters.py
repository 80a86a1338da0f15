"""How often and how fast applications on a board call what it serves: what `edge_runtime.counters` keeps there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge_runtime.counters import CLASSES, FIRST, FOLDER, SHORTEST_US, TO_A_DOUBLING, class_name
from toolkit.devices.device import check
from toolkit.devices.home import Home

_SAY = f"""date +%s
cat /sys/class/thermal/thermal_zone*/temp 2>/dev/null | sort -n | tail -n 1 | sed 's/^/temperature /'
for file in {FOLDER}/*.*; do
  [ -f "$file" ] || continue
  pid=${{file##*/}}
  if [ -d "/proc/${{pid%%.*}}" ]; then echo alive; else echo ended; fi
  cat "$file"
done"""


@dataclass(frozen=True)
class Caller:
    """One model in one process; times are of the network alone, percentiles to a tenth: they are counted in classes.

    `sure` is the mean share that softmax gives the likeliest class, of every 16th call, and `accepted_sure` that of the
    examples that the release was accepted by; None where outputs are no classes, or nothing was called.
    """

    pid: int
    alive: bool
    release: str
    seconds: int
    calls: int
    refused: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    longest_ms: float | None
    sure: float | None
    accepted_sure: float | None


@dataclass(frozen=True)
class Load:
    """Of all that called since the release is served; the temperature of the hottest zone, if the board has one."""

    temperature_c: float | None
    callers: tuple[Caller, ...]


def read_load(home: Home) -> Load:
    """Ask the board. Raises BoardError."""
    return parse_load(check(home.ask(_SAY), "reading counters", home.where).stdout.decode(errors="replace"))


def parse_load(said: str) -> Load:
    """From what the board printed; what is no file of counters is left out."""
    head, *rest = re.split(r"(?m)^(alive|ended)$", said)
    now = int(found[0]) if (found := re.match(r"\d{1,12}", head)) else 0
    hottest = re.search(r"(?m)^temperature (-?\d{1,7})$", head)
    callers = [_caller(state == "alive", text, now) for state, text in zip(rest[::2], rest[1::2], strict=True)]
    return Load(int(hottest[1]) / 1000 if hottest else None, tuple(each for each in callers if each))


def _caller(alive: bool, text: str, now: int) -> Caller | None:
    if not text.strip().startswith(FIRST):
        return None
    lines = dict(line.split(" ", 1) for line in text.splitlines() if line.count(" ") == 1)
    numbers = {name: int(value) for name, value in lines.items() if value.isdecimal() and len(value) <= 20}
    if "calls" not in numbers or "pid" not in numbers:
        return None
    calls = numbers["calls"]
    median, high, higher = (_percentile(numbers, share) for share in (0.5, 0.95, 0.99))
    accepted, sampled = numbers.get("accepted_sure_ppm", 0), numbers.get("sure_calls", 0)
    return Caller(
        pid=numbers["pid"],
        alive=alive,
        release=lines.get("release", ""),
        seconds=max(0, now - numbers.get("since_s", now)),
        calls=calls,
        refused=numbers.get("refused", 0),
        p50_ms=median,
        p95_ms=high,
        p99_ms=higher,
        longest_ms=numbers.get("longest_us", 0) / 1e3 if calls else None,
        sure=numbers.get("sure_ppm", 0) / 1e6 / sampled if sampled and accepted else None,
        accepted_sure=accepted / 1e6 if accepted else None,
    )


def _percentile(numbers: Mapping[str, int], share: float) -> float | None:
    """In ms: the middle of the class of times in which it lies."""
    counts = [numbers.get(class_name(index), 0) for index in range(CLASSES)]
    below, wanted = 0, share * sum(counts)
    for index, count in enumerate(counts):
        below += count
        if count and below >= wanted:
            return float(SHORTEST_US * 2 ** (max(0, index - 0.5) / TO_A_DOUBLING) / 1e3)
    return None
