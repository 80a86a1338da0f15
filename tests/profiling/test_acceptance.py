"""What this machine, as a board, says of releases with small and large outputs, and with one wrong weight."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import build
from safetensors.numpy import load_file, save_file
from torch import nn
from workplace import Workplace, local_agent

from toolkit.devices.digests import sha256_of
from toolkit.devices.releases import release
from toolkit.models import split_head
from toolkit.profiling import Accepted, Budget, accept, judged
from toolkit.runtimes import Program, onnxruntime
from toolkit.runtimes.bundle import export_inference, read_bundle, write_bundle

NO_LIMITS = Budget(None, None, None)


def make_bundle(folder: Path, largest_logit: float) -> Path:
    """A small residual network whose largest acceptance logit is that; it trains nothing on the board."""
    model, x = build("resnet")
    network = split_head(model, x[:1])
    backbone, head = network.backbone.eval(), network.head
    assert head is not None
    with torch.no_grad():
        scale = largest_logit / head(backbone(x[:4])).abs().max()
        head.weight.mul_(scale)
        head.bias.mul_(scale)
    _write(folder, backbone, head, x)
    return folder


def _write(folder: Path, backbone: nn.Module, head: nn.Linear, x: torch.Tensor) -> None:
    program = export_inference(onnxruntime, backbone, head, x[:1])
    nothing = Program(b"", program.nodes)
    folder.mkdir()
    write_bundle(
        folder, onnxruntime, "1", "any", backbone, head, "pretrained", ("a", "b", "c"), x[:4], program, nothing
    )


def accepted(folder: Path, place: Workplace) -> Accepted:
    agent = local_agent(place)
    bundle = read_bundle(folder)
    release.install(agent.home, bundle.folder)
    return accept(
        agent,
        bundle.digest,
        bundle.inference_bytes,
        NO_LIMITS,
        tolerance=bundle.tolerance,
        threads=1,
        clock="instructions",
    )


@pytest.mark.parametrize("largest_logit", [1e-3, 1.0, 1000.0])
def test_rounding_is_accepted_whatever_the_size_of_logits(place: Workplace, largest_logit: float) -> None:
    said = accepted(make_bundle(place.folder / "bundle", largest_logit), place)
    assert said.refusals == ()
    assert said.max_relative_difference < 1e-5
    assert said.max_abs_difference < 1e-5 * max(1.0, largest_logit)


@pytest.mark.parametrize("largest_logit", [1e-3, 1000.0])
def test_one_wrong_weight_is_refused(place: Workplace, largest_logit: float) -> None:
    """The absolute limit of before would let it pass at the smaller size: no logit there is above 0.001."""
    folder = make_bundle(place.folder / "bundle", largest_logit)
    tensors = load_file(folder / "tensors.safetensors")
    weight = tensors["head.weight"]
    weight[np.unravel_index(np.abs(weight).argmax(), weight.shape)] *= 0.5
    save_file(tensors, folder / "tensors.safetensors")
    _sign_anew(folder)
    said = accepted(folder, place)
    assert [refusal.missed for refusal in said.refusals] == ["outputs"]
    assert "of their size, more than 0.001" in said.refusals[0].reason


def test_a_manifest_without_a_tolerance_is_held_to_the_absolute_limit(place: Workplace) -> None:
    folder = make_bundle(place.folder / "bundle", 1.0)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["acceptance"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = accepted(folder, place)
    assert said.tolerance is None
    assert judged(said, 1, NO_LIMITS).refusals == ()


def _sign_anew(folder: Path) -> None:
    """The manifest says of the altered file what it is now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    altered = folder / "tensors.safetensors"
    manifest["files"][altered.name] = {"sha256": sha256_of(altered), "bytes": altered.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))
