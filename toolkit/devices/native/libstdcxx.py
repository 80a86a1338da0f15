"""The C++ library cut down to what a set of programs calls: most of it is never used, and boards have small disks."""

import re
from collections import defaultdict
from pathlib import Path

from toolkit.devices.native.toolchain import Toolchain

_SONAME = "libstdc++.so.6"
_IMPORT = re.compile(r"\*UND\*.*\((?P<version>(?:GLIBCXX|CXXABI)_[\d.]+)\)\s+(?P<symbol>\S+)$")


def link_libstdcxx(toolchain: Toolchain, users: list[Path], folder: Path) -> Path:
    """`libstdc++.so.6` in `folder` with the symbols that `users` import, at the versions that they ask for."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for user in users:
        for line in toolchain.run("objdump", "-T", user).splitlines():
            if found := _IMPORT.search(line):
                wanted[found["version"]].add(found["symbol"])
    script = folder / "versions.map"
    script.write_text(_version_script(wanted), encoding="utf-8")
    undefined = [f"-Wl,-u,{symbol}" for symbols in wanted.values() for symbol in sorted(symbols)]
    made = folder / _SONAME
    linking = ["-shared", "-s", "-nodefaultlibs", "-o", str(made), f"-Wl,-soname,{_SONAME}", "-Wl,--gc-sections"]
    libraries = ["-Wl,--start-group", "-l:libstdc++.a", "-lm", "-lc", "-lgcc_s", "-lgcc", "-Wl,--end-group"]
    toolchain.run("g++", *linking, f"-Wl,--version-script={script}", *undefined, *libraries)
    script.unlink()
    return made


def _version_script(wanted: dict[str, set[str]]) -> str:
    lines = []
    for version in sorted(wanted):
        names = "".join(f"  {symbol};\n" for symbol in sorted(wanted[version]))
        lines.append(f"{version} {{\n global:\n{names}}};\n")
    return "".join(lines) + "REST {\n local: *;\n};\n"
