"""What this board is: read from /proc and /sys, None where it cannot be read."""

import importlib.util
import os
import platform
import shutil
from importlib import metadata

from .conditions import conditions, text


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
        "board": text("/proc/device-tree/model"),
        "runtimes": {"onnxruntime": version} if (version := _version("onnxruntime")) else {},
        "conditions": conditions(),
    }


def peak_bytes() -> "int | None":
    """Peak resident memory of this process so far (VmHWM of /proc/self/status)."""
    for line in (text("/proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def _cpu_model() -> "str | None":
    fields: dict[str, str] = {}
    for line in (text("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    if "model name" in fields:
        return fields["model name"]
    if "cpu part" in fields:
        return "implementer {} part {}".format(fields.get("cpu implementer"), fields["cpu part"])
    return None


def _meminfo(key: str) -> "int | None":
    for line in (text("/proc/meminfo") or "").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def _os_name() -> str:
    for line in (text("/etc/os-release") or "").splitlines():
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
