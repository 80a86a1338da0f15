"""A board learns from further examples what it serves, without the model that it came from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_runtime.classes import Rows, names_of, rows_for, rows_of_release
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.learning import JITTER, USUAL_STEPS
from edge_runtime.methods import what_hinders
from edge_runtime.support import classifies
from toolkit.adaptation.on_device import Training, adapt_from, adapt_on_device
from toolkit.devices.equip import equip
from toolkit.devices.home import Home
from toolkit.devices.releases.classes import served_rows
from toolkit.devices.releases.fetch import Fetched, opened
from toolkit.errors import BadInput
from toolkit.inputs import Port
from toolkit.preprocessing import TOKENIZER, read_told
from toolkit.runtimes import RUNTIMES
from toolkit.targets import Target
from toolkit.tasks import Examples
from toolkit.tasks.doubts import doubts
from toolkit.tasks.labelled_again import labelled_from


@dataclass(frozen=True)
class Learnt:
    """`accepted` only if examples that were held out gained; `held_out` has their loss and score before and after.

    `guard` has the score of examples of what it knew before, before and after, where the release carries such.
    """

    release: str
    examples: int
    measure: str
    accepted: bool
    reason: str
    method: str
    steps: int
    held_out: dict[str, float] | None
    step_ms: float | None
    guard: dict[str, float] | None = None


@dataclass(frozen=True)
class ClassesAsked:
    """Names of classes that are new, and of those that go."""

    add: Sequence[str] = ()
    remove: Sequence[str] = ()


@dataclass(frozen=True)
class OnBoard:
    """Examples in an .npz on the board, which they never leave."""

    path: str


def learn_on_board(
    home: Home,
    target: Target,
    source: Path | OnBoard,
    *,
    classes: ClassesAsked,
    method: str,
    steps: int | None,
    seconds: float | None,
    max_forgetting: float | None,
    memory_bytes: int | None,
    seed: int,
    on_note: Callable[[str], None],
    on_progress: Callable[[int, int], None],
) -> Learnt:
    """Let the board learn what it serves anew, from these examples alone, by one of `edge_runtime.methods`.

    It learns as much as `seconds` of the board's own work allow, in `memory_bytes` or not at all, and forgets no more
    than `max_forgetting` of the score of what it knew before; None: than the release says. `on_progress` hears steps
    done and in all. Raises BadInput for examples that do not fit, and where the release does not learn; BoardError for
    a damaged one, and for examples on the board that do not fit.
    """
    with opened(home, None, also=[TOKENIZER]) as found:
        digest, manifest = found.digest, found.manifest
        _require_learning(source, found)
        if why := what_hinders(method, manifest["learn"], manifest["hindrance"]):
            raise BadInput(why, where=f"--method {method}", next="Leave it out: the board then learns as it can.")
        if max_forgetting is not None and manifest["learn"].get("guard") is None:
            raise BadInput(
                f"release {digest[:12]} carries no examples of what its network knew before",
                where="--max-forgetting",
                next="Leave it out; docs/on-the-board.md (Learning there) says which releases carry some.",
            )
        rows = _rows(home, found, classes)
        examples = _examples(source, found, rows) if isinstance(source, Path) else None
        named = names_of(rows) if classifies(manifest) else []
        for doubt in doubts(examples, named, "examples") if examples else []:
            on_note(doubt)
    runtime, usual = RUNTIMES[manifest["runtime"]], manifest["learn"].get("usual", {})
    agent = equip(home, target, runtime.name, runtime.agent, on_note).agent
    wanted = steps or usual.get("steps") or USUAL_STEPS
    folds = 0

    def on_event(event: dict[str, Any]) -> None:
        nonlocal folds
        if event["event"] == "folds":
            folds = event["folds"]
        elif event["event"] in ("curve", "step"):
            done = event["step"] * folds if event["event"] == "curve" else folds * wanted + event["step"]
            on_progress(done, (folds + 1) * wanted)

    jitter = usual.get("jitter") or _jitter(manifest)
    own = None if rows == rows_of_release(manifest) else rows
    how = Training(wanted, jitter, target.threads, seed, seconds, max_forgetting, memory_bytes, method, own)
    if examples is None:
        assert isinstance(source, OnBoard)
        said = adapt_from(agent, digest, source.path, how, on_event=on_event, on_note=on_note)
    else:
        y, strata = examples.y, torch.zeros(len(examples), dtype=torch.int64)
        if named:
            y = strata = torch.tensor([rows.index(name) for name in named])[examples.y]
        said = adapt_on_device(agent, digest, examples.x, y, strata, how, on_event=on_event, on_note=on_note)
    return Learnt(
        digest,
        said["examples"],
        manifest.get("measure") or "score",
        said["accepted"],
        said["reason"],
        said["method"],
        said["steps"],
        said["held_out"],
        said["step_ms"],
        said.get("guard"),
    )


def _require_learning(source: Path | OnBoard, found: Fetched) -> None:
    """Raises BadInput where the release does not learn, or its agent cannot read what lies on the board."""
    manifest, where = found.manifest, f"--support {source if isinstance(source, Path) else f'board:{source.path}'}"
    if manifest["learn"] is None:
        raise BadInput(
            f"release {found.digest[:12]} does not learn: {manifest['hindrance'] or 'it was made without'}",
            where=where,
            next="Deploy a model of which something can be trained: docs/your-model.md.",
        )
    if isinstance(source, Path):
        return
    if not source.path.endswith(".npz") or not source.path.startswith(("/", "~/")):
        raise BadInput(
            "is no .npz at an absolute path of the board",
            where=where,
            next="Name one as board:/data/examples.npz or board:~/examples.npz, with arrays x and y.",
        )
    if RUNTIMES[manifest["runtime"]].agent != "python":
        raise BadInput(
            f"the native agent, which runs release {found.digest[:12]}, reads no .npz on a board",
            where=where,
            next="Give a file of this machine, or deploy with --runtime onnxruntime.",
        )


def _rows(home: Home, found: Fetched, asked: ClassesAsked) -> Rows:
    """Which class each row of the head is to be of. Raises BadInput."""
    rows = served_rows(home, found)
    if not asked.add and not asked.remove:
        return rows
    manifest, names = found.manifest, names_of(rows)
    where = " ".join(
        [*(f"--add-class {name}" for name in asked.add), *(f"--remove-class {name}" for name in asked.remove)]
    )
    if not classifies(manifest) or not manifest["learn"]["starts"] or "spare_classes" not in manifest:
        raise BadInput(
            f"release {found.digest[:12]} tells apart what it came with",
            where=where,
            next="Deploy a --task that has the classes which there are to be.",
        )
    if unknown := [name for name in asked.remove if name not in names]:
        raise BadInput(f"{unknown[0]} is none of its classes: {', '.join(names[:8])}", where=where, next="Name one.")
    if known := [name for name in asked.add if name in names]:
        raise BadInput(f"{known[0]} is one of its classes", where=where, next="Leave it out.")
    try:
        return rows_for(rows, [*(name for name in names if name not in asked.remove), *asked.add], where)
    except EdgeRuntimeError as error:
        raise BadInput(error.what, where=where, next=error.next) from None


def _examples(source: Path, found: Fetched, rows: Rows) -> Examples:
    manifest = found.manifest
    said = manifest.get("preprocessing")
    ports = [_port(each) for each in manifest["inputs"]]
    classes = names_of(rows) if classifies(manifest) else []
    made = read_told(said, found.folder) if said else None
    room = rows.count(None)
    examples = labelled_from(source, made, ports, _port(manifest["learn"]["target"]), classes, room)
    if manifest["learn"]["starts"] and len(examples) > manifest["learn"]["most"]:
        raise BadInput(
            f"has {len(examples)} examples; release {found.digest[:12]} takes {manifest['learn']['most']} at most",
            where=f"--support {source}",
            next="Give fewer.",
        )
    return examples


def _port(said: dict[str, Any]) -> Port:
    return Port(said["name"], tuple(said["shape"]), said["dtype"])


def _jitter(manifest: dict[str, Any]) -> dict[str, float]:
    """Of a release that does not say it."""
    return {port["name"]: JITTER if port["dtype"] == "float32" else 0.0 for port in manifest["inputs"]}
