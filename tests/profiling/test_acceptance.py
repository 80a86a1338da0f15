"""What this machine, as a board, says of releases with small and large outputs, and with one wrong weight."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import build
from safetensors.numpy import load_file, save_file
from workplace import Workplace, local_agent

from toolkit.devices.digests import sha256_of
from toolkit.devices.releases import release
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.profiling import Accepted, Budget, accept, judged
from toolkit.runtimes import onnxruntime
from toolkit.runtimes.arithmetic import FP32, Arithmetic, Quantisation
from toolkit.runtimes.bundle import inference_graph, read_bundle, write_bundle

NO_LIMITS = Budget(None, None, None)


def make_bundle(folder: Path, largest_logit: float, arithmetic: Arithmetic = FP32) -> Path:
    """A small residual network whose largest acceptance logit is that; it trains nothing on the board."""
    model, x = build("resnet")
    network = split_head(model, inputs_of(x[:1]))
    backbone, head = network.backbone.eval(), network.head
    assert head is not None
    with torch.no_grad():
        scale = largest_logit / head(backbone(x[:4])).abs().max()
        head.weight.mul_(scale)
        head.bias.mul_(scale)
    graph, holes = inference_graph(backbone, head, inputs_of(x[:1]))
    program = onnxruntime.export(graph, holes, Quantisation(arithmetic, inputs_of(x)))
    folder.mkdir()
    made = (onnxruntime, "1", "any", backbone, head, ("a", "b", "c"), inputs_of(x[:4]), program, None)
    write_bundle(folder, *made, arithmetic.precision)
    return folder


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
    _halve_the_largest_weight_of_the_head(folder)
    said = accepted(folder, place)
    assert [refusal.missed for refusal in said.refusals] == ["outputs"]
    assert "of their size, more than 0.001" in said.refusals[0].reason


@pytest.mark.parametrize(
    "arithmetic", [Arithmetic("int8", "signed"), Arithmetic("int8", "unsigned"), Arithmetic("fp16")], ids=str
)
def test_a_coarser_program_is_held_to_the_same_arithmetic(place: Workplace, arithmetic: Arithmetic) -> None:
    """This machine rounds as this machine does, and by far more than fp32 does."""
    folder = make_bundle(place.folder / "bundle", 1.0, arithmetic)
    said = accepted(folder, place)
    assert said.refusals == ()
    assert said.max_relative_difference < 1e-5
    _halve_the_largest_weight_of_the_head(folder)
    wrong = accepted(folder, place)
    assert [refusal.missed for refusal in wrong.refusals] == ["outputs"]


def test_a_manifest_without_a_tolerance_is_held_to_the_absolute_limit(place: Workplace) -> None:
    folder = make_bundle(place.folder / "bundle", 1.0)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["acceptance"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = accepted(folder, place)
    assert said.tolerance is None
    assert judged(said, 1, NO_LIMITS).refusals == ()


def _halve_the_largest_weight_of_the_head(folder: Path) -> None:
    """In the file and, so that it does not pass for damaged, in what the manifest says of it."""
    altered = folder / "tensors.safetensors"
    tensors = load_file(altered)
    weight = tensors["head.weight"]
    weight[np.unravel_index(np.abs(weight).argmax(), weight.shape)] *= 0.5
    save_file(tensors, altered)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][altered.name] = {"sha256": sha256_of(altered), "bytes": altered.stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))
