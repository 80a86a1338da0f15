"""A board learns from further examples what it serves, without the model that it came from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_runtime.learning import JITTER, USUAL_STEPS
from toolkit.adaptation.on_device import adapt_on_device
from toolkit.devices.equip import equip
from toolkit.devices.home import Home
from toolkit.devices.releases.fetch import Fetched, opened
from toolkit.errors import BadInput
from toolkit.inputs import Inputs, Port
from toolkit.objectives import CLASSIFICATION
from toolkit.preprocessing import TOKENIZER, read_told
from toolkit.runtimes import RUNTIMES
from toolkit.targets import Target
from toolkit.tasks import Examples
from toolkit.tasks.labelled_again import labelled_from


@dataclass(frozen=True)
class Learnt:
    """`accepted` only if examples that were held out gained; `held_out` has their loss and score before and after."""

    release: str
    examples: int
    measure: str
    accepted: bool
    reason: str
    steps: int
    held_out: dict[str, float] | None
    step_ms: float | None


def learn_on_board(
    home: Home,
    target: Target,
    source: Path,
    *,
    steps: int | None,
    seconds: float | None,
    seed: int,
    on_note: Callable[[str], None],
    on_progress: Callable[[int, int], None],
) -> Learnt:
    """Let the board learn what it serves anew, from these examples alone.

    It learns as much as `seconds` of the board's own work allow. `on_progress` hears steps done and in all. Raises
    BadInput for examples that do not fit, and where the release does not learn; BoardError for a damaged one.
    """
    with opened(home, None, also=[TOKENIZER]) as found:
        digest, manifest = found.digest, found.manifest
        examples = _examples(source, found)
    runtime, usual = RUNTIMES[manifest["runtime"]], manifest["learn"].get("usual", {})
    classifies = _classifies(manifest)
    strata = examples.y if classifies else torch.zeros(len(examples), dtype=torch.int64)
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

    said = adapt_on_device(
        agent,
        digest,
        examples.x,
        examples.y,
        strata,
        steps=wanted,
        jitter=usual.get("jitter") or _jitter(examples.x),
        threads=target.threads,
        seed=seed,
        seconds=seconds,
        on_event=on_event,
        on_note=on_note,
    )
    return Learnt(
        digest,
        len(examples),
        manifest.get("measure") or "score",
        said["accepted"],
        said["reason"],
        said["steps"],
        said["held_out"],
        said["step_ms"],
    )


def _examples(source: Path, found: Fetched) -> Examples:
    manifest = found.manifest
    if manifest["learn"] is None:
        raise BadInput(
            f"release {found.digest[:12]} does not learn: {manifest['hindrance'] or 'it was made without'}",
            where=f"--support {source}",
            next="Deploy a model of which something can be trained: docs/your-model.md.",
        )
    said = manifest.get("preprocessing")
    ports = [_port(each) for each in manifest["inputs"]]
    classes = manifest["classes"] if _classifies(manifest) else []
    made = read_told(said, found.folder) if said else None
    examples = labelled_from(source, made, ports, _port(manifest["learn"]["target"]), classes)
    if manifest["learn"]["starts"] and len(examples) > manifest["learn"]["most"]:
        raise BadInput(
            f"has {len(examples)} examples; release {found.digest[:12]} takes {manifest['learn']['most']} at most",
            where=f"--support {source}",
            next="Give fewer.",
        )
    return examples


def _classifies(manifest: dict[str, Any]) -> bool:
    """Releases of before do not say what they are judged by: those with labels classified."""
    target = manifest["learn"]["target"]
    labels = not target["shape"] and target["dtype"] == "int64"
    return labels and manifest.get("measure") in (None, CLASSIFICATION.measure)


def _port(said: dict[str, Any]) -> Port:
    return Port(said["name"], tuple(said["shape"]), said["dtype"])


def _jitter(inputs: Inputs) -> dict[str, float]:
    """Of a release that does not say it."""
    return {name: JITTER if tensor.is_floating_point() else 0.0 for name, tensor in inputs.tensors.items()}
