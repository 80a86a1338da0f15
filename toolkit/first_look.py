"""What a board makes of a file: for a first look, not for a loop."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.classes import names_of, rows_of_release
from toolkit.adaptation.on_device import infer_on_device
from toolkit.devices.equip import equip
from toolkit.devices.home import Home
from toolkit.devices.releases.classes import served_rows
from toolkit.devices.releases.fetch import has_learned, opened
from toolkit.inputs import Port
from toolkit.objectives import CLASSIFICATION
from toolkit.preprocessing import TOKENIZER, read_told
from toolkit.runtimes import RUNTIMES
from toolkit.targets import Target
from toolkit.tasks.again import inputs_from


@dataclass(frozen=True)
class Look:
    """`outputs` (N, ...) of what the board serves; `classes` that they are logits of, if they are."""

    release: str
    adapted: bool
    outputs: np.ndarray
    classes: tuple[str, ...]

    @property
    def shares(self) -> np.ndarray:
        """(N, classes): what the network gives each class, by softmax."""
        raised = np.exp(self.outputs - self.outputs.max(1, keepdims=True))
        shares: np.ndarray = raised / raised.sum(1, keepdims=True)
        return shares


def look(home: Home, target: Target, file: Path, *, as_installed: bool, on_note: Callable[[str], None]) -> Look:
    """Outputs for the examples in a file, with what the board has learned unless `as_installed`.

    Raises BadInput for a file that does not fit the release's inputs, BoardError for a damaged release.
    """
    with opened(home, None, also=[TOKENIZER]) as found:
        digest, manifest = found.digest, found.manifest
        said = manifest.get("preprocessing")  # releases of before say nothing of it
        ports = [Port(port["name"], tuple(port["shape"]), port["dtype"]) for port in manifest["inputs"]]
        inputs = inputs_from(file, read_told(said, found.folder) if said else None, ports)
        adapted = not as_installed and has_learned(home, digest)
        rows = served_rows(home, found) if adapted else rows_of_release(manifest)
    runtime = RUNTIMES[manifest["runtime"]]
    agent = equip(home, target, runtime.name, runtime.agent, on_note).agent
    outputs = infer_on_device(agent, digest, inputs, adapted=adapted, threads=target.threads).numpy()
    if manifest.get("measure") != CLASSIFICATION.measure or outputs.shape[1:] != (len(rows),):
        return Look(digest, adapted, outputs, ())
    named = [place for place, name in enumerate(rows) if name is not None]
    return Look(digest, adapted, outputs[:, named], tuple(names_of(rows)))
