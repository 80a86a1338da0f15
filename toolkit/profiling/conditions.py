"""Conditions: in what state a board was before and after a batch, and whether that state disturbed the times.

What `vcgencmd`, `nvpmodel` and `tegrastats` print is parsed from their documented formats, not verified on hardware:
- Raspberry Pi documentation, "vcgencmd", `get_throttled` (a bit pattern, "has occurred" 16 bits above "is so now");
- NVIDIA Jetson Linux Developer Guide, "nvpmodel" and "tegrastats Utility".
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

_MOST_FREQUENCY_DRIFT = 0.05
_BITS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
_SINCE_BOOT = 16


@dataclass(frozen=True)
class Disturbance:
    """What went on while programs were timed."""

    flag: Literal["throttled", "drifted", "contended"]
    reason: str


@dataclass(frozen=True)
class PiThrottling:
    """What the firmware of a Raspberry Pi does now, and what it has done since the board booted."""

    now: frozenset[str]
    since_boot: frozenset[str]


@dataclass(frozen=True)
class Tegrastats:
    """Clocks of the cores that are on, MHz, and temperatures in degrees Celsius by sensor."""

    frequency_mhz: tuple[float, ...]
    temperature_c: dict[str, float]


def parse_throttled(text: str | None) -> PiThrottling | None:
    """`throttled=0x50005`, as `vcgencmd get_throttled` prints it; None if it is not that."""
    found = re.fullmatch(r"\s*throttled=0x([0-9a-fA-F]{1,8})\s*", text or "")
    if found is None:
        return None
    bits = int(found[1], 16)
    return PiThrottling(
        frozenset(name for index, name in enumerate(_BITS) if bits >> index & 1),
        frozenset(name for index, name in enumerate(_BITS) if bits >> (index + _SINCE_BOOT) & 1),
    )


def parse_power_mode(text: str | None) -> str | None:
    """`MAXN` of `NV Power Mode: MAXN`, as `nvpmodel -q` prints it, warnings and the mode's number apart."""
    found = re.search(r"^NV Power Mode:\s*(\S.*?)\s*$", text or "", re.MULTILINE)
    return found[1] if found else None


def parse_tegrastats(text: str | None) -> Tegrastats | None:
    """`... CPU [2%@1510,off,0%@1510] ... cpu@48.5C ...`: one line of tegrastats; None if it is not that."""
    cores = re.search(r"\bCPU \[([^\]]*)\]", text or "")
    if text is None or cores is None:
        return None
    clocks = tuple(float(clock) for clock in re.findall(r"\d+%@(\d+)", cores[1]))
    sensors = re.findall(r"(?<!\S)([A-Za-z]\w*)@(-?\d+(?:\.\d+)?)C\b", text)
    return Tegrastats(clocks, {name: float(value) for name, value in sensors})


def disturbances(before: dict[str, Any], after: dict[str, Any]) -> tuple[Disturbance, ...]:
    """Why times taken between these two states are not those of an undisturbed board; empty if they are."""
    throttled = (*_firmware(before, after), *_beyond_trip(before, after))
    found = [Disturbance("throttled", reason) for reason in dict.fromkeys(throttled)]
    found += [Disturbance("drifted", reason) for reason in _changes(before, after)]
    return tuple(found)


def too_hot(now: dict[str, Any]) -> bool:
    """Whether the board slows itself down at this moment."""
    firmware = parse_throttled(now.get("vcgencmd"))
    return bool((firmware and firmware.now) or _hot_zones(now))


def _firmware(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    first, last = parse_throttled(before.get("vcgencmd")), parse_throttled(after.get("vcgencmd"))
    if first is None or last is None:
        return []
    return sorted(first.now | last.now | (last.since_boot - first.since_boot))


def _beyond_trip(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [*_hot_zones(before), *_hot_zones(after)]


def _hot_zones(now: dict[str, Any]) -> list[str]:
    return [
        f"{zone['type']} at or above {zone['trip_c']:g} °C"
        for zone in now.get("zones") or ()
        if zone["temperature_c"] is not None and zone["trip_c"] is not None and zone["temperature_c"] >= zone["trip_c"]
    ]


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    reasons = []
    if before.get("governor") != after.get("governor"):
        reasons.append(f"governor {before.get('governor')} became {after.get('governor')}")
    modes = parse_power_mode(before.get("nvpmodel")), parse_power_mode(after.get("nvpmodel"))
    if modes[0] != modes[1]:
        reasons.append(f"power mode {modes[0]} became {modes[1]}")
    first, last = _fastest_mhz(before), _fastest_mhz(after)
    if first and last and abs(last / first - 1) > _MOST_FREQUENCY_DRIFT:
        reasons.append(f"clock went from {first:.0f} to {last:.0f} MHz")
    return reasons


def _fastest_mhz(now: dict[str, Any]) -> float | None:
    """The core at work runs at the highest clock: what the others idle at says nothing."""
    stats = parse_tegrastats(now.get("tegrastats"))
    return max(now.get("frequency_mhz") or (stats.frequency_mhz if stats else ()), default=None)
