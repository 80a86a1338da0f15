"""Quantities as people write them: `5ms`, `64MB`, `1.5 MiB`."""

import math
import re

from toolkit.errors import BadInput

_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_MILLISECONDS = {"US": 1e-3, "MS": 1.0, "S": 1e3}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([A-Za-z]+)\s*", re.ASCII)


def parse_bytes(text: str) -> int:
    """`64MB` -> 64000000, `1MiB` -> 1048576. Raises BadInput unless it is a positive size with a unit."""
    return max(1, round(_parse(text, _BYTES, "64MB")))


def parse_milliseconds(text: str) -> float:
    """`5ms` -> 5.0, `250us` -> 0.25. Raises BadInput unless the text is a positive time with a unit."""
    return _parse(text, _MILLISECONDS, "5ms")


def parse_share(text: str) -> float:
    """`0.85` and `85%` -> 0.85. Raises BadInput unless it is 0 to 1."""
    digits = text.strip().removesuffix("%")
    try:
        share = float(digits) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:  # not: NaN, too
        raise BadInput(f"'{text}' is no share", next="Write 0 to 1, or a percentage: 0.85, or 85%.")
    return share


def format_interval(value: float, low: float, high: float | None) -> str:
    """A predicted time with how far it may be off, `0.362 ms ±3 %`, if it may be; a lower bound as `over 0.362 ms`."""
    if high is None:
        return f"over {format_milliseconds(value)}"
    if low == high:
        return format_milliseconds(value)
    reach = max(high - value, value - low) / value if value > 0 else 0.0
    return f"{format_milliseconds(value)} ±{100 * reach:.2g} %"


def format_bytes(value: float) -> str:
    """Bytes with a decimal prefix and three significant digits: 64000000 -> `64 MB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= 0.9995 * scale:  # else 999999 would be `1000 kB`
            return f"{value / scale:.3g} {unit}" if value / scale < 100 else f"{value / scale:.0f} {unit}"
    return f"{value:.0f} B"


def format_milliseconds(value: float) -> str:
    """Milliseconds with three significant digits: 0.1234 -> `0.123 ms`."""
    return f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"


def _parse(text: str, units: dict[str, float] | dict[str, int], example: str) -> float:
    match = _QUANTITY.fullmatch(text)
    scale = units.get(match.group(2).upper()) if match else None
    value = float(match.group(1)) * scale if match and scale else 0.0
    if not 0 < value < math.inf:
        known = ", ".join(unit.lower() if unit in _MILLISECONDS else unit for unit in units)
        raise BadInput(
            f"'{text}' {_wrong(text, match, scale)}", next=f"Write a number and a unit ({known}), e.g. {example}."
        )
    return value


def _wrong(text: str, match: re.Match[str] | None, scale: float | None) -> str:
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text, re.ASCII) and float(text) > 0:
        return "has no unit"
    return f"has the unknown unit '{match.group(2)}'" if match and not scale else "is not a positive quantity"
