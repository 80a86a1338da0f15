"""What a board has learned on top of a release: the state before the last step of learning is kept, to go back to.

`adapted/DIGEST.before.safetensors` is that state; empty for the release as it was installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.devices.device import check
from toolkit.devices.home import Home, scratch
from toolkit.devices.releases.inventory import adapted_file
from toolkit.errors import BadInput


def before_file(home: Home, digest: str) -> str:
    """Where the state before the last learning lies."""
    return home.at("adapted", digest + ".before.safetensors")


@contextmanager
def kept_before(home: Home, digest: str) -> Iterator[list[bool]]:
    """Inside, the board learns; whoever finds that it took it appends True, and the state of before is then kept."""
    now, before = (home.within(path) for path in (adapted_file(home, digest), before_file(home, digest)))
    taken: list[bool] = []
    with scratch(home, "before.safetensors") as aside:
        kept = home.within(aside)
        keep = f"{home.guard} && if [ -f {now} ]; then cp {now} {kept}; else : > {kept}; fi"
        check(home.run(keep), "keeping what was learned before", home.where)
        yield taken
        if any(taken):
            ended = f"{home.guard} && mv -f {kept} {before} && sync"
            check(home.run(ended), "keeping what was learned before", home.where)


def undo(home: Home, digest: str) -> bool:
    """Serve what was served before the last learning; whether that, too, was learned. Raises BadInput if it is gone."""
    now, before = (home.within(path) for path in (adapted_file(home, digest), before_file(home, digest)))
    script = f"""{home.guard} || exit 1
[ -f {before} ] || {{ echo nothing; exit 0; }}
if [ -s {before} ]; then mv -f {before} {now} && echo learned; else rm -f {now} && rm -f {before} && echo installed; fi
sync"""
    said = check(home.run(script), "undoing what was learned", home.where).stdout.decode(errors="replace").strip()
    if said not in ("learned", "installed"):
        raise BadInput(
            f"there is nothing to undo on top of release {digest[:12]}",
            where=home.where,
            next=f"`deploy status --target {home.where}` shows what it serves.",
        )
    return said == "learned"
