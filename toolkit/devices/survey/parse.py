"""From the script's answers to a Survey: pure, and wary of every line."""

import re

from toolkit.devices.survey.survey import Interpreter, Survey

_PYTHON = re.compile(r"(3\.\d{1,3}\.\d{1,3})\S* (32|64)(?: (glibc) (2\.\d{1,3}))? (/\S.*)")
_L4T = re.compile(r"R(\d{1,3}) .*REVISION: ([\d.]{1,12})")
_DF = re.compile(r"(\d{1,19})\s+(?:\d{1,3}%|-)\s+/")
# Arm's numbers for its cores, as /proc/cpuinfo has them where it has no name
_ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd42": "Cortex-A78AE",
}


def parse_survey(text: str) -> Survey | None:
    """What the answers say; None unless they are whole: a board cut off in the middle is not surveyed."""
    found: dict[str, str] = {}
    pythons: dict[str, Interpreter] = {}
    for line in text.split("\n"):
        key, _, value = line.strip().partition("=")
        value = "".join(each for each in value if each.isprintable()).strip()[:300]
        interpreter = _python(value) if key == "python" else None
        if interpreter:
            pythons.setdefault(interpreter.command, interpreter)
        found.setdefault(key, value)
    if not {"machine", "kernel", "end"} <= found.keys():
        return None
    system, is_android = _system(found), "android" in found
    model = found.get("model") or found.get("android_model")
    return Survey(
        machine=found["machine"],
        kernel=found["kernel"],
        word_bits={"32": 32, "64": 64}.get(found.get("word_bits", ""))
        or {"1": 32, "2": 64}.get(found.get("elf_class", "")),
        system=system,
        libc="bionic" if is_android else _libc(found),
        pythons=tuple(pythons.values()),
        cpu=found.get("cpu") or _ARM_CORES.get(found.get("cpu_part", "")),
        cores=_number(found.get("cores")),
        model=model,
        gpu=found.get("gpu"),
        l4t=".".join(match.groups()) if (match := _L4T.search(found.get("l4t", ""))) else None,
        ram_bytes=_times(1024, found.get("ram_kib")),
        root=found.get("root"),
        root_writable={"yes": True, "no": False}.get(found.get("writable", "")),
        root_noexec="noexec" in found["mount_options"].split(",") if "mount_options" in found else None,
        disk_free_bytes=_times(1024, _free(found.get("df"))),
        inodes_free=_number(_free(found.get("df_inodes"))),
        clock_s=_number(found.get("clock")),
        shell=found.get("shell"),
    )


def _python(text: str) -> Interpreter | None:
    match = _PYTHON.fullmatch(text)
    if match is None:
        return None
    return Interpreter(match[5], match[1], int(match[2]), f"glibc {match[4]}" if match[3] else "")


def _system(found: dict[str, str]) -> str | None:
    if "android" in found:
        return f"android {found['android']}"
    return f"{found['os_id']} {found.get('os_version', '')}".strip() if "os_id" in found else None


def _libc(found: dict[str, str]) -> str | None:
    glibc = re.search(r"glibc (2\.\d{1,3})", found.get("glibc", ""))
    if glibc:
        return glibc[0]
    said = found.get("ldd", "")
    if "musl" in said or "musl" in found:
        version = re.search(r"Version (\d+(?:\.\d+){1,2})", said)
        return f"musl {version[1]}" if version else "musl"
    version = re.search(r"(?:GLIBC|GNU libc).* (2\.\d{1,3})", said)
    return f"glibc {version[1]}" if version else None


def _free(row: str | None) -> str | None:
    """The fourth column of a row of `df -P`: the number before the share in use."""
    match = _DF.search(row or "")
    return match[1] if match else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 20 else None


def _times(factor: int, text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else factor * number
