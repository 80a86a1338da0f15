"""What changes on a board from one minute to the next and moves latencies; None where it cannot be read.

`$EDGE_DEPLOY_SYSTEM_ROOT` stands before every path: a folder laid out like a board's root is read like a board.
What the vendors' tools print is handed on as it is; the host reads it (`toolkit/profiling/conditions.py`).
"""

import glob
import os
import subprocess
import time

_SETTLE_S = 0.1
_TOOL_S = 5.0


def conditions() -> "dict[str, object]":
    """Clocks in MHz, temperatures in degrees Celsius."""
    root = os.environ.get("EDGE_DEPLOY_SYSTEM_ROOT", "")
    zones = [_zone(path) for path in sorted(glob.glob(root + "/sys/class/thermal/thermal_zone*"))]
    temperatures = [zone["temperature_c"] for zone in zones if zone["temperature_c"] is not None]
    return {
        "governor": text(root + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "frequency_mhz": _frequencies(root) or None,
        "temperature_c": max(temperatures, default=None),  # type: ignore[type-var]
        "zones": zones,
        "load_1min": os.getloadavg()[0],
        "vcgencmd": _said(root + "/usr/bin/vcgencmd", "get_throttled"),
        "nvpmodel": _said(root + "/usr/sbin/nvpmodel", "-q"),
        "tegrastats": _first_line(root + "/usr/bin/tegrastats", "--interval", "100"),
    }


def conditions_at_work() -> "dict[str, object]":
    """The same with the clock as high as a governor takes it when there is work: an idle one says nothing of it."""
    if _frequencies(os.environ.get("EDGE_DEPLOY_SYSTEM_ROOT", "")):
        until = time.monotonic() + _SETTLE_S
        while time.monotonic() < until:
            pass
    return conditions()


def text(path: str) -> "str | None":
    """A file of /proc or /sys without trailing zeros and white space."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0\n ")
    except OSError:
        return None


def _frequencies(root: str) -> "list[float]":
    paths = sorted(glob.glob(root + "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"))
    return [value / 1000 for value in map(_number, paths) if value is not None]


def _zone(path: str) -> "dict[str, object]":
    """One thermal zone; `trip_c` is where the kernel begins to slow the board down."""
    trips = []
    for kind in glob.glob(path + "/trip_point_*_type"):
        trip = _number(kind[: -len("type")] + "temp")
        if text(kind) in ("passive", "hot") and trip is not None:
            trips.append(trip / 1000)
    temperature = _number(path + "/temp")
    return {
        "type": text(path + "/type"),
        "temperature_c": None if temperature is None else temperature / 1000,
        "trip_c": min(trips, default=None),
    }


def _said(*command: str) -> "str | None":
    if not os.access(command[0], os.X_OK):
        return None
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TOOL_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() or None


def _first_line(*command: str) -> "str | None":
    """Of a tool that goes on for ever."""
    if not os.access(command[0], os.X_OK):
        return None
    return _said("/usr/bin/timeout", "2", "/bin/sh", "-c", '"$@" | head -n 1', "sh", *command)


def _number(path: str) -> "float | None":
    found = text(path)
    try:
        return float(found) if found else None
    except ValueError:
        return None
