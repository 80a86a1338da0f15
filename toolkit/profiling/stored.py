"""Profiles on disk: which file keeps what was measured on a board, and what is known of one that is not at hand.

Keyed by what latencies depend on: the family, what the device says of itself, runtime and version, threads, clock.
Fifty equal boards are of one kind, which is measured once, whatever their targets are called. This user's own
measurements win over `profiles/` in the working folder, and those over the shipped ones.
"""

from pathlib import Path

from toolkit.cache import cache_folder, digest
from toolkit.devices import DeviceFacts
from toolkit.errors import BadInput
from toolkit.profiling.profile import SCHEMA_VERSION, DeviceIdentity, Profile
from toolkit.profiling.profile_file import OtherSchema, read_profile
from toolkit.shipped import shipped_folder
from toolkit.targets import Target


def open_profile(target: Target, facts: DeviceFacts, runtime: str, runtime_version: str) -> tuple[Profile, Path]:
    """What was measured on such a board before (or an empty profile), and the file that keeps it.

    Raises BadInput if the file is damaged, or its content is of another board or version than its name says.
    """
    empty = Profile(
        family=target.family.name,
        device=DeviceIdentity(**facts.identity()),
        runtime=runtime,
        runtime_version=runtime_version,
        threads=target.threads,
        clock=target.family.clock,
        rate_hz=target.budget.rate_hz,
    )
    identity = empty.device.model_dump()
    key = digest(SCHEMA_VERSION, identity, runtime, runtime_version, target.threads, target.family.clock)[:16]
    name = f"{target.family.name}-{runtime}-{key}.json"
    own, *others = (folder / name for folder in _folders())
    found = next((path for path in (own, *others) if path.exists()), None)
    if found is None:
        return empty, own
    kept = read_profile(found)
    for what in ("family", "runtime", "runtime_version", "threads", "clock", "device"):
        theirs, ours = getattr(kept, what), getattr(empty, what)
        if theirs != ours:
            raise BadInput(
                f"is not what its name says: {_difference(what, theirs, ours)}",
                where=str(found),
                next="Delete it; the board is measured again.",
            )
    return kept.model_copy(update={"rate_hz": target.budget.rate_hz}), own


def stored_profile(target: Target, runtime: str, versions: tuple[str, ...]) -> Profile:
    """What is known of a target whose board is not at hand, with any of those versions of the runtime.

    Raises BadInput if nothing is, or only of another runtime version, thread count, clock, CPU or schema, or if it is
    damaged.
    """
    wanted = {"runtime_version": versions, "threads": (target.threads,), "clock": (target.family.clock,)}
    unfit: list[str] = []
    for path in stored_files():
        if not path.name.startswith(f"{target.family.name}-{runtime}-"):
            continue
        try:
            kept = read_profile(path)
        except OtherSchema as error:
            unfit.append(f"{path} {error.what}")
            continue
        if target.family.cpu not in (None, kept.device.cpu):
            unfit.append(f"{path} is of another CPU ({kept.device.cpu}, here {target.family.cpu})")
            continue
        differing = [key for key, values in wanted.items() if getattr(kept, key) not in values]
        if not differing:
            return kept
        unfit.append(f"{path} is of {_difference(differing[0], getattr(kept, differing[0]), wanted[differing[0]][0])}")
    raise BadInput(
        f"no profile of such a board with {runtime} {versions[0]} is stored" + (f"; {unfit[0]}" if unfit else ""),
        where=f"target {target.name}",
        next=f"Measure the board once: `deploy profile --target {target.name} --runtime {runtime}`.",
    )


def stored_files() -> list[Path]:
    """Every profile on this machine, the ones that count first."""
    return [path for folder in _folders() for path in sorted(folder.glob("*.json"))]


def _folders() -> tuple[Path, Path, Path]:
    return cache_folder() / "profiles", Path("profiles"), shipped_folder("profiles")


def _difference(what: str, theirs: object, ours: object) -> str:
    if isinstance(theirs, DeviceIdentity) and isinstance(ours, DeviceIdentity):
        other, here = theirs.model_dump(), ours.model_dump()
        key = next(key for key in here if here[key] != other[key])
        return f"measured on another board ({key} {other[key]}, here {here[key]})"
    return f"{what.replace('_', ' ')} {theirs}, here {ours}"
