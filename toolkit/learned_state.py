"""What a board has learned, as a file: brought back from it, and given to one that serves the same release."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from edge_runtime.classes import CLASSES, rows_of_classes
from edge_runtime.release import load_tensors
from edge_runtime.tensors import write_arrays
from toolkit.devices import journal
from toolkit.devices.device import check
from toolkit.devices.equip import equip
from toolkit.devices.home import Home, scratch
from toolkit.devices.releases import profiles
from toolkit.devices.releases.fetch import choose, fetch_learned, opened
from toolkit.devices.releases.generations import require_generation, serve_generation
from toolkit.devices.releases.inventory import adapted_file, read_releases
from toolkit.devices.releases.learned import kept_before
from toolkit.devices.releases.plain import follow
from toolkit.errors import BadInput, BoardError
from toolkit.plain_program import write_whole
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.bundle import TENSORS
from toolkit.targets import Target

_RELEASE = "release"


@dataclass(frozen=True)
class LearnedState:
    """Of a release: so many values, in a file of so many bytes."""

    release: str
    bytes: int
    values: int


def pull(home: Home, to: Path, *, release: str | None = None) -> LearnedState:
    """Write what the board has learned on top of what it serves, or of that release, as safetensors.

    Raises BadInput where that is nothing, or `to` cannot be written; BoardError for a damaged file.
    """
    if to.suffix != ".safetensors":
        raise BadInput("is no name for tensors", where=f"--to {to}", next="Give a name that ends with .safetensors.")
    with tempfile.TemporaryDirectory() as folder:
        digest = choose(home, read_releases(home), release)
        try:
            arrays = load(fetch_learned(home, digest, Path(folder)).read_bytes())
        except SafetensorError as error:
            raise BoardError(
                f"what it has learned on top of release {digest[:12]} is damaged: {error}",
                where=home.where,
                next=f"`deploy adapt --target {home.where} --undo` goes back to what was served before.",
            ) from None
    data = save(arrays, {_RELEASE: digest})
    write_whole(to, data)
    return _state(digest, data, arrays)


def give(home: Home, target: Target, file: Path, on_note: Callable[[str], None]) -> LearnedState:
    """Let the board serve what `pull` wrote, of the release that it serves; `learned.undo` goes back.

    Raises BadInput for a file of another release, or one that does not fit it.
    """
    data, of, arrays = _read(file)
    with opened(home, None, also=[TENSORS]) as found:
        if of != found.digest:
            raise BadInput(
                f"holds what was learned on top of release {of[:12]}; {home.where} serves {found.digest[:12]}",
                where=str(file),
                next=f"Deploy that release to {home.where}, or let it learn by itself: deploy adapt --support SOURCE.",
            )
        _require_fit(file, found.manifest, load_tensors(str(found.folder), None), arrays)
        digest, runtime = found.digest, RUNTIMES[found.manifest["runtime"]]
    agent = equip(home, target, runtime.name, runtime.agent, on_note).agent
    with scratch(home, "learned.safetensors") as aside, kept_before(home, digest):
        with tempfile.TemporaryDirectory() as folder:
            write_arrays(f"{folder}/learned", arrays)
            home.push(Path(folder, "learned"), aside)
        move = f"mv -f {home.within(aside)} {home.within(adapted_file(home, digest))}"
        check(home.run(f"{home.guard} || exit 1\nsync && {move} && sync"), "giving what was learned", home.where)
    journal.note(home, "given what was learned", release=digest, file=file.name)
    follow(agent, digest, on_note)
    return _state(digest, data, arrays)


def go_to(home: Home, target: Target, number: int, on_note: Callable[[str], None]) -> str:
    """Let the board serve that generation, 0: as it was installed; the release's digest. `learned.undo` goes back.

    Raises BadInput where the board has none of that number, BoardError where it is damaged.
    """
    with opened(home, None) as found:
        digest, runtime = found.digest, RUNTIMES[found.manifest["runtime"]]
    require_generation(home, digest, number)
    agent = equip(home, target, runtime.name, runtime.agent, on_note).agent
    serve_generation(home, digest, number)
    journal.note(home, "went to a generation", release=digest, generation=number)
    follow(agent, digest, on_note)
    return digest


def switch_to(home: Home, target: Target, profile: str, on_note: Callable[[str], None]) -> str:
    """Let the board serve what it learned for that profile, a new one: as it was installed; the release's digest.

    Raises BadInput for what is no name, BoardError.
    """
    with opened(home, None) as found:
        digest, runtime = found.digest, RUNTIMES[found.manifest["runtime"]]
    agent = equip(home, target, runtime.name, runtime.agent, on_note).agent
    profiles.switch(home, digest, profile)
    follow(agent, digest, on_note)  # of a switch that was cut before, too
    return digest


def _read(file: Path) -> tuple[bytes, str, dict[str, np.ndarray]]:
    try:
        data = file.read_bytes()
        with safe_open(file, "numpy") as opened_file:
            of = (opened_file.metadata() or {}).get(_RELEASE)
        arrays = load(data)
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=str(file), next="Give a file of deploy pull.") from None
    except SafetensorError as error:
        raise BadInput(f"is damaged: {error}", where=str(file), next="Pull it again.") from None
    if of is None:
        raise BadInput("does not say which release it belongs to", where=str(file), next="Give a file of deploy pull.")
    return data, of, arrays


def _require_fit(
    file: Path, manifest: dict[str, Any], tensors: dict[str, np.ndarray], arrays: dict[str, np.ndarray]
) -> None:
    learned = manifest["learn"]["trainables"] if manifest["learn"] else []
    _require_classes(file, manifest, arrays)
    for name, array in arrays.items():
        if name == CLASSES and array.dtype == np.float32:
            continue
        if name not in learned or array.shape != tensors[name].shape or array.dtype != np.float32:
            raise BadInput(f"{name} is nothing that the release learns", where=str(file), next="Pull it again.")
        if not np.isfinite(array).all():
            raise BadInput(f"{name} holds what is no number", where=str(file), next="Pull it again.")


def _require_classes(file: Path, manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """One name or none a row of the head."""
    try:
        rows_of_classes(manifest, arrays)
    except ValueError as error:
        raise BadInput(f"is damaged: {error}", where=str(file), next="Pull it again.") from None


def _state(digest: str, data: bytes, arrays: dict[str, np.ndarray]) -> LearnedState:
    return LearnedState(digest, len(data), sum(array.size for name, array in arrays.items() if name != CLASSES))
