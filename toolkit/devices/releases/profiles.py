"""Several users or sites on one release: what each taught the board is kept apart, and that of one is served.

Files as of `edge_runtime/profiles.py`, which an application on the board switches by.
"""

from dataclasses import dataclass

from edge_runtime.profiles import ACTIVE, DEFAULT, FOLDER, NAMES_ARE, NEXT, SUFFIX, is_name
from toolkit.devices import journal
from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.devices.releases.inventory import adapted_file
from toolkit.devices.releases.learned import kept_before, kept_files
from toolkit.devices.releases.plain import plain_folder
from toolkit.errors import BadInput

_INSTALLED = "installed"


@dataclass(frozen=True)
class Profiles:
    """All of them, by name, and the one whose learning is served."""

    names: tuple[str, ...]
    active: str


def read_profiles(home: Home, digest: str) -> Profiles:
    """Raises BoardError."""
    script = f"""{_functions(home, digest)}
cat {_at(home, digest, ACTIVE)} 2>/dev/null || echo {DEFAULT}
next=$(cat {_at(home, digest, NEXT)} 2>/dev/null)
[ -z "$next" ] || ! serves "$next" || echo "$next"
echo
ls {_folder(home, digest)} 2>/dev/null
:"""
    said, _, files = check(home.ask(script), "reading profiles", home.where).stdout.decode().partition("\n\n")
    # The last one: a switch that a power cut ended may be done but for its name.
    active = next((each for each in reversed(said.split()) if is_name(each)), DEFAULT)
    there = {each.removesuffix(SUFFIX) for each in files.split() if each.endswith(SUFFIX)}
    return Profiles(tuple(sorted({active, *filter(is_name, there)})), active)


def settle(home: Home, digest: str) -> None:
    """Before anything is learned: a switch that was ended is over, one way or the other. Raises BoardError."""
    script = f"{home.guard} || exit 1\n{_functions(home, digest)}{_settled(home, digest)}"
    check(home.run(script), "settling profiles", home.where)


def switch(home: Home, digest: str, name: str) -> bool:
    """Serve what that profile served last, a new one the release as installed; whether it is another one.

    There is nothing to undo afterwards: that would be another one's. Raises BadInput for what is no name, BoardError.
    """
    _require_name(name)
    settle(home, digest)
    now = read_profiles(home, digest)
    if name == now.active:
        return False
    served, aside = (home.within(each) for each in (adapted_file(home, digest), home.at("work", f"{digest}.profile")))
    leaving, wanted, following = (_at(home, digest, each) for each in (now.active + SUFFIX, name + SUFFIX, NEXT))
    appear = f"sync && mv -f {aside}"
    keeping = f"""{home.guard} || exit 1
mkdir -p {_folder(home, digest)} || exit 1
if [ -f {served} ]; then cp {served} {aside}; else echo {_INSTALLED} > {aside}; fi && {appear} {leaving} || exit 1
[ -f {wanted} ] || {{ echo {_INSTALLED} > {aside} && {appear} {wanted}; }} || exit 1
echo {name} > {aside} && {appear} {following} && sync"""
    check(home.run(keeping), "keeping what a profile has learned", home.where)
    serving = f"""{home.guard} || exit 1
if grep -qx {_INSTALLED} {wanted}; then rm -f {served}; else cp {wanted} {aside} && {appear} {served}; fi && sync"""
    with kept_before(home, digest):
        check(home.run(serving), "switching to a profile", home.where)
    settle(home, digest)
    journal.note(home, "switched to a profile", release=digest, profile=name)
    return True


def remove(home: Home, digest: str, name: str) -> None:
    """Forget what a profile that is not served has learned. Raises BadInput where it is or is not there, BoardError."""
    _require_name(name)
    settle(home, digest)
    now = read_profiles(home, digest)
    if name not in now.names:
        raise BadInput(
            f"has no profile {name} on top of release {digest[:12]}: it has {', '.join(now.names)}",
            where=home.where,
            next=f"`deploy adapt --target {home.where} --list` shows them.",
        )
    if name == now.active:
        raise BadInput(
            f"serves profile {name}",
            where=home.where,
            next=f"Switch to another one first: deploy adapt --target {home.where} --profile NAME.",
        )
    script = f"{home.guard} || exit 1\nrm -f {_at(home, digest, name + SUFFIX)} && sync"
    check(home.run(script), "removing a profile", home.where)
    journal.note(home, "removed a profile", release=digest, profile=name)


def _functions(home: Home, digest: str) -> str:
    """Shell: whether what is served is what a profile served last."""
    served, folder = home.within(adapted_file(home, digest)), _folder(home, digest)
    return f"""serves() {{
if [ -f {served} ]; then cmp -s {served} {folder}/"$1{SUFFIX}"; else grep -qsx {_INSTALLED} {folder}/"$1{SUFFIX}"; fi
}}
"""


def _settled(home: Home, digest: str) -> str:
    following = _at(home, digest, NEXT)
    kept = " ".join(home.within(each) for each in kept_files(home, digest))
    return f"""if [ -f {following} ]; then
if serves "$(cat {following})"; then rm -f {kept} && mv -f {following} {_at(home, digest, ACTIVE)}
else rm -f {following}; fi
fi && sync"""


def _require_name(name: str) -> None:
    if not is_name(name):
        raise BadInput(f"{name!r} is no name of a profile", where="--profile", next=NAMES_ARE)


def _at(home: Home, digest: str, name: str) -> str:
    return home.within(f"{plain_folder(home, digest)}/{FOLDER}/{name}")


def _folder(home: Home, digest: str) -> str:
    return home.within(f"{plain_folder(home, digest)}/{FOLDER}")
