"""What a board has learned on top of a release: the state before the last learning is kept, to go back to.

`adapted/DIGEST.before.safetensors` is that state; a file with the word `installed` stands for none. While the board
learns it is `adapted/DIGEST.next.safetensors`: wherever that ends, what is served is either it, or what was learned.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from toolkit.devices import journal
from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.devices.releases.inventory import adapted_file
from toolkit.devices.releases.numbering import numbered, pruned
from toolkit.devices.releases.plain import lead_to
from toolkit.devices.releases.profiles import profiles_settled
from toolkit.errors import BadInput, BoardError

_INSTALLED = "installed"
_DOING = "keeping what was learned before"


def kept_files(home: Home, digest: str) -> tuple[str, str, str]:
    """Where the state before the last learning lies, and where until a deployer's, or an application's, has ended."""
    before, following, own = (home.at("adapted", f"{digest}.{name}.safetensors") for name in ("before", "next", "own"))
    return before, following, own


@contextmanager
def kept_before(home: Home, digest: str) -> Iterator[None]:
    """Inside, the board learns; if it serves something else afterwards, what it served before can be gone back to."""
    now, before, following, _ = _paths(home, digest)
    aside = home.within(home.at("work", f"{digest}.kept"))  # whole before it has its name
    keep = f"if [ -f {now} ]; then cp {now} {aside}; else echo {_INSTALLED} > {aside}; fi"
    named = f"{keep} && sync && mv -f {aside} {following} && sync"
    check(home.run(f"{home.guard} || exit 1\n{_all_settled(home, digest)}{named}"), _DOING, home.where)
    try:
        yield
    finally:
        with suppress(BoardError):  # a lost connection has its own error; whoever is next settles it
            settled = f"{_settled(home, digest)}{numbered(home, digest)}{pruned(home, digest, before)}"
            home.run(f"{home.guard} || exit 1\n{settled}sync")


def undo(home: Home, digest: str) -> bool:
    """Serve what was served before the last learning; whether that, too, was learned. Raises BadInput if it is gone."""
    now, before, *_ = _paths(home, digest)
    script = f"""{home.guard} || exit 1
{_all_settled(home, digest)}[ -s {before} ] || {{ echo nothing; exit 0; }}
if grep -qx {_INSTALLED} {before}; then rm -f {now} && rm -f {before} && echo installed
else mv -f {before} {now} && echo learned; fi
{numbered(home, digest)}{lead_to(home, digest)}sync"""
    said = check(home.run(script), "undoing what was learned", home.where).stdout.decode(errors="replace").strip()
    if said not in ("learned", "installed"):
        raise BadInput(
            f"there is nothing to undo on top of release {digest[:12]}",
            where=home.where,
            next=f"`deploy status --target {home.where}` shows what it serves.",
        )
    journal.note(home, "undid what it learned", release=digest, serves=said)
    return said == "learned"


def _all_settled(home: Home, digest: str) -> str:
    """Shell, before anything is learned: what was cut is over, and what serves has a number."""
    return f"{profiles_settled(home, digest)}{_settled(home, digest)}{numbered(home, digest)}"


def _settled(home: Home, digest: str) -> str:
    """Shell: what was kept as a learning began is the state of before if the board serves something else now."""
    now, before, *kept = _paths(home, digest)
    return "".join(
        f"if [ -s {each} ]; then "
        f"if if [ -f {now} ]; then cmp -s {now} {each}; else grep -qx {_INSTALLED} {each}; fi; "
        f"then rm -f {each}; else mv -f {each} {before}; fi; fi\n"
        for each in kept
    )


def _paths(home: Home, digest: str) -> list[str]:
    """What is served now, before, and while a deployer or an application replaces it."""
    return [home.within(each) for each in (adapted_file(home, digest), *kept_files(home, digest))]
