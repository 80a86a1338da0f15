"""Real bundles for the campaign: one small model, exported once, with something new in each that must travel."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from toolkit.devices.releases.manifest import NAME
from toolkit.inputs import inputs_of
from toolkit.objectives import Classification
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.bundle import export_inference, write_bundle
from toolkit.stages.learning import export_learning


def make_base(folder: Path) -> None:
    """A bundle that the native runner can verify and adapt."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    runtime = RUNTIMES["executorch"]
    backbone, head = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU()), nn.Linear(32, 3)
    x = torch.randn(4, 1, 8, 8)
    inference = export_inference(runtime, backbone, head, inputs_of(x[:1]))
    labels = torch.tensor([0, 1, 2, 0])
    learning = export_learning(runtime, backbone, head, "pretrained", inputs_of(x), labels, Classification())
    folder.mkdir()
    write_bundle(folder, runtime, "1", "aarch64", backbone, head, ("a", "b", "c"), inputs_of(x), inference, learning)


def make_variant(base: Path, folder: Path, ballast_bytes: int) -> str:
    """The same with fresh ballast: another release, of which only that and the manifest must travel. Its digest."""
    shutil.copytree(base, folder)
    ballast = os.urandom(ballast_bytes)
    (folder / "ballast.bin").write_bytes(ballast)
    manifest = json.loads((folder / NAME).read_text())
    manifest["files"]["ballast.bin"] = {"sha256": hashlib.sha256(ballast).hexdigest(), "bytes": ballast_bytes}
    text = json.dumps(manifest, indent=1, sort_keys=True).encode()
    (folder / NAME).write_bytes(text)
    return hashlib.sha256(text).hexdigest()
