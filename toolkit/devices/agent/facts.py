"""What this board is, and in what state: read from /proc and /sys, None where it cannot be read."""

import glob
import importlib.util
import os
import platform
import shutil
from importlib import metadata


def facts() -> "dict[str, object]":
    """Facts that identify the board and its software; memory and disk in bytes."""
    return {
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "ram_bytes": _meminfo("MemTotal"),
        "ram_available_bytes": _meminfo("MemAvailable"),
        "disk_free_bytes": shutil.disk_usage(os.path.expanduser("~")).free,
        "os": _os_name(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "python": platform.python_version(),
        "board": _text("/proc/device-tree/model"),
        "runtimes": {"onnxruntime": version} if (version := _version("onnxruntime")) else {},
        "conditions": conditions(),
    }


def conditions() -> "dict[str, object]":
    """What changes from one minute to the next and moves latencies."""
    frequencies = [_number(path) for path in sorted(glob.glob("/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"))]
    temperatures = [_number(path) for path in sorted(glob.glob("/sys/class/thermal/thermal_zone*/temp"))]
    return {
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "frequency_mhz": [f / 1000 for f in frequencies if f is not None] or None,
        "temperature_c": max((t / 1000 for t in temperatures if t is not None), default=None),
        "load_1min": os.getloadavg()[0],
    }


def peak_bytes() -> "int | None":
    """Peak resident memory of this process so far (VmHWM of /proc/self/status)."""
    for line in (_text("/proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def _cpu_model() -> "str | None":
    fields: dict[str, str] = {}
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    if "model name" in fields:
        return fields["model name"]
    if "cpu part" in fields:
        return "implementer {} part {}".format(fields.get("cpu implementer"), fields["cpu part"])
    return None


def _meminfo(key: str) -> "int | None":
    for line in (_text("/proc/meminfo") or "").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def _os_name() -> str:
    for line in (_text("/etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return platform.system()


def _version(module: str) -> "str | None":
    if importlib.util.find_spec(module) is None:
        return None
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        return "unknown"


def _number(path: str) -> "float | None":
    text = _text(path)
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _text(path: str) -> "str | None":
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0\n ")
    except OSError:
        return None
