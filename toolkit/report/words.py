"""How the report says numbers; what was not measured is said so, never shown as 0."""

import math
from collections.abc import Callable
from typing import Any

from toolkit.deployment import Clock
from toolkit.units import format_bytes, format_milliseconds

NOT_MEASURED = "not measured"
INSTRUCTION_CLOCK = "instruction clock (2 ns an instruction), not wall time"


def clock_note(clock: Clock) -> str:
    """What must stand beside every latency of that clock; nothing where the clock is the wall's."""
    return INSTRUCTION_CLOCK if clock == "instructions" else ""


def with_clock(text: str, clock: Clock) -> str:
    """The text of a caption or axis, followed by the clock's note where there is one."""
    return f"{text}; {INSTRUCTION_CLOCK}" if clock == "instructions" else text


def milliseconds(value: float | None) -> str:
    """`0.41 ms`."""
    return _said(value, format_milliseconds)


def size(value: float | None) -> str:
    """Bytes as `64 MB`."""
    return _said(value, format_bytes)


def count(value: int | None) -> str:
    """Whole numbers with thin spaces between thousands: `1 234 567`."""
    return _said(value, lambda number: f"{number:,}".replace(",", "\u202f"))


def share(value: float | None, decimals: int = 1) -> str:
    """A share of 1 as per cent: 0.824 -> `82.4 %`; what is not all is not rounded to all."""
    if value is not None and value < 1 and round(100 * value, decimals) >= 100:
        return f"over {100 - 10**-decimals:.{decimals}f} %"
    return _said(value, lambda number: f"{100 * number:.{decimals}f} %")


def number(value: float | None) -> str:
    """Three significant digits."""
    return _said(value, lambda number: f"{number:.3g}")


def seconds(value: float) -> str:
    """`under 0.1 s`, `0.8 s`, `95 s`, `12 min 5 s`."""
    if value < 0.05:
        return "under 0.1 s"
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes >= 2 else f"{round(value)} s"


def excess(value: float, budget: float) -> str:
    """How far a value is over its budget: `12 % over budget`."""
    percent = 100 * (value / budget - 1)
    return f"{percent:.0f} % over budget" if percent >= 10 else f"{max(percent, 0.1):.1f} % over budget"


def wilson(value: float, examples: int) -> str:
    """95 % interval of a share that was counted on so many independent examples (Wilson's)."""
    if examples < 1 or not math.isfinite(value):
        return NOT_MEASURED
    z = 1.96
    scale = 1 + z**2 / examples
    middle = (value + z**2 / (2 * examples)) / scale
    reach = z / scale * math.sqrt(value * (1 - value) / examples + z**2 / (4 * examples**2))
    return f"{100 * max(0.0, middle - reach):.0f}–{100 * min(1.0, middle + reach):.0f} %"


def fact(key: str, value: Any) -> str:
    """One fact of the board; the unit is at the end of its name."""
    if value is None:
        return "not readable"
    if key.endswith("_bytes") and isinstance(value, int | float):
        return format_bytes(value)
    if isinstance(value, list | tuple):
        return ", ".join(dict.fromkeys(fact("", item) for item in value))  # 4 cores at one clock: said once
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _said(value: float | None, say: Callable[[Any], str]) -> str:
    if value is None:
        return NOT_MEASURED
    return say(value) if math.isfinite(value) else "not finite"
