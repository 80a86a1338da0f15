"""Where this machine gets its Debian packages: the board's packages come from the same mirror."""

from collections.abc import Sequence

from toolkit.lab.tools import run_tool
from toolkit.lab.unavailable import BoardUnavailable


def debian_sources(release: str) -> list[str]:
    """One-line apt sources for that release, from the mirrors that this machine's apt uses.

    The machine may itself run another release: a mirror carries all of them. Raises BoardUnavailable if apt
    knows no Debian mirror (not a Debian machine, or `apt-get update` never ran).
    """
    fields = "$(CODENAME) $(REPO_URI)"
    listed = run_tool(
        [
            "apt-get",
            "indextargets",
            "--format",
            fields,
            "Created-By: Packages",
            "Origin: Debian",
            "Component: main",
        ],
        "reading this machine's apt sources",
    )
    return sources_from(listed.splitlines(), release)


def sources_from(lines: Sequence[str], release: str) -> list[str]:
    """The same from lines `codename uri`. Raises BoardUnavailable if none names a Debian release."""
    uris: dict[str, str] = {}
    for codename, uri in (line.split(maxsplit=1) for line in lines):
        kind = codename.partition("-")[2]
        if kind in ("", "security"):
            uris.setdefault(kind, uri.strip())
    if "" not in uris:
        raise BoardUnavailable(
            "apt on this machine knows no Debian mirror, and the emulated board is made of Debian packages",
            next="On a Debian machine: apt-get update",
        )
    sources = [f"deb {uris['']} {release} main"]
    if "security" in uris:
        sources.append(f"deb {uris['security']} {release}-security main")
    return sources
