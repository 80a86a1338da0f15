"""Several users or sites on one release: what each taught the board is kept apart, and that of one is served.

Files as of `edge_runtime/profiles.py`, which an application on the board switches by.
"""

from dataclasses import dataclass

from edge_runtime.profiles import ACTIVE, DEFAULT, FOLDER, NAMES_ARE, NEXT, SUFFIX, is_name
from toolkit.devices import journal
from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.devices.releases.inventory import adapted_file
from toolkit.devices.releases.plain import plain_folder
from toolkit.errors import BadInput, BoardError

_INSTALLED = "installed"
_PATIENCE_S = 45


@dataclass(frozen=True)
class Profiles:
    """All of them, by name, and the one whose learning is served."""

    names: tuple[str, ...]
    active: str


def read_profiles(home: Home, digest: str) -> Profiles:
    """Raises BoardError."""
    script = f"""{_functions(home, digest)}
{_find_active(home, digest)}echo "$active"
ls {_folder(home, digest)} 2>/dev/null
:"""
    active, *files = check(home.ask(script), "reading profiles", home.where).stdout.decode(errors="replace").split()
    there = {each.removesuffix(SUFFIX) for each in files if each.endswith(SUFFIX)}
    return Profiles(tuple(sorted({active, *filter(is_name, there)})), active)


def profiles_settled(home: Home, digest: str) -> str:
    """Shell, before anything is learned: a switch that was cut is over, one way or the other."""
    following = _at(home, digest, NEXT)
    return f"""{_functions(home, digest)}if [ -f {following} ]; then
if serves "$(cat {following})"; then {_name_active(home, digest)}; else rm -f {following}; fi
fi
"""


def switch(home: Home, digest: str, name: str) -> bool:
    """Serve what that profile served last, a new one the release as installed; whether it is another one.

    There is nothing to undo afterwards: that would be another one's. Raises BadInput for what is no name, BoardError
    where an application learns meanwhile, and goes on.
    """
    _require_name(name)
    served, aside = (home.within(each) for each in (adapted_file(home, digest), home.at("work", f"{digest}.profile")))
    folder, wanted, following = _folder(home, digest), _at(home, digest, name + SUFFIX), _at(home, digest, NEXT)
    active = _find_active(home, digest)
    appear = f"sync && mv -f {aside}"
    # One script, and alone: an application that learned between two would find half a switch.
    script = f"""{home.guard} || exit 1
{_alone()}{profiles_settled(home, digest)}{active}[ "$active" != {name} ] || {{ echo same; exit 0; }}
mkdir -p {folder} || exit 1
if [ -f {served} ]; then cp {served} {aside}; else echo {_INSTALLED} > {aside}; fi || exit 1
{appear} {folder}/"$active{SUFFIX}" || exit 1
[ -f {wanted} ] || {{ echo {_INSTALLED} > {aside} && {appear} {wanted}; }} || exit 1
echo {name} > {aside} && {appear} {following} && sync || exit 1
if grep -qx {_INSTALLED} {wanted}; then rm -f {served}; else cp {wanted} {aside} && {appear} {served}; fi && sync &&
{_name_active(home, digest)} && sync && echo switched"""
    said = check(home.run(script, timeout_s=2 * _PATIENCE_S), "switching to a profile", home.where).stdout
    if said.strip() == b"busy":
        raise BoardError(
            "an application learns on this board, or changes what it serves",
            where=home.where,
            next="It serves what it served; run again once that has ended.",
        )
    if said.strip() == b"same":
        return False
    journal.note(home, "switched to a profile", release=digest, profile=name)
    return True


def remove(home: Home, digest: str, name: str) -> None:
    """Forget what a profile that is not served has learned. Raises BadInput where it is or is not there, BoardError."""
    _require_name(name)
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


def _find_active(home: Home, digest: str) -> str:
    """Shell: whose learning is served; a switch that a power cut ended may be done but for its name."""
    return f"""active=$(cat {_at(home, digest, ACTIVE)} 2>/dev/null)
following=$(cat {_at(home, digest, NEXT)} 2>/dev/null)
if [ -n "$following" ] && serves "$following"; then active=$following; fi
case $active in ''|*[!A-Za-z0-9_-]*) active={DEFAULT};; esac
"""


def _name_active(home: Home, digest: str) -> str:
    """Shell: nothing of the other one is left to go back to, and the next one is named."""
    kept = " ".join(home.within(home.at("adapted", f"{digest}.{each}{SUFFIX}")) for each in ("own", "before", "next"))
    return f"rm -f {kept} && sync && mv -f {_at(home, digest, NEXT)} {_at(home, digest, ACTIVE)}"


def _alone() -> str:
    """Shell: until it ends no application learns or changes what is served, where the board has `flock`."""
    wait = f"n=$((n+1)); [ $n -lt {_PATIENCE_S} ] || {{ echo busy; exit 0; }}; sleep 1"
    return f"""if command -v flock >/dev/null; then
exec 8<adapted 9<. || exit 1
n=0
for each in 8 9; do until flock -n $each; do {wait}; done; done
fi
"""


def _require_name(name: str) -> None:
    if not is_name(name):
        raise BadInput(f"{name!r} is no name of a profile", where="--profile", next=NAMES_ARE)


def _at(home: Home, digest: str, name: str) -> str:
    return home.within(f"{plain_folder(home, digest)}/{FOLDER}/{name}")


def _folder(home: Home, digest: str) -> str:
    return home.within(f"{plain_folder(home, digest)}/{FOLDER}")
