"""Networks that nobody wrote go through load, compress, export and run, and answer what they did.

`EDGE_DEPLOY_RANDOM_MODULES=1000` draws so many.
"""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import loaded
from random_modules import Drawn, random_modules
from torch import nn

from tests.choices import ranks
from toolkit.compression import best_approximations, compact_layers, components_of, compress, matrix
from toolkit.devices.agent.release import fill_holes
from toolkit.inputs import inputs_of
from toolkit.plain import make_plain
from toolkit.runtimes import onnxruntime
from toolkit.runtimes.bundle import Served, export_inference, serving_tensors
from toolkit.stages.take_apart import take_apart

COUNT = int(os.environ.get("EDGE_DEPLOY_RANDOM_MODULES", "25"))
# Of the largest output: float32 in another order, through ten layers.
_DIFFERENCE = 1e-3


@pytest.mark.timeout(60 * max(COUNT, 25))
@settings(max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_modules(), st.integers(0, 2**16))
def test_a_network_that_nobody_wrote_is_deployed_as_it_answers(
    tmp_path_factory: pytest.TempPathFactory, drawn: Drawn, seed: int
) -> None:
    with torch.no_grad():
        expected = drawn.model(drawn.x)
    apart = take_apart(make_plain(drawn.model, "drawn"), inputs_of(drawn.x))
    network, layers = apart.network, apart.layers
    with torch.no_grad():
        answer = network.backbone(drawn.x)
        _assert_alike(answer if network.head is None else network.head(answer), expected)
    most = {name: components_of(layer) for name, layer in layers.items()}
    spectra = {name: best_approximations(matrix(layer), None, None, most[name]) for name, layer in layers.items()}
    chance = random.Random(seed)
    sizes = {name: chance.choice([None, 1, of]) for name, of in most.items()}
    backbone = compress(network.backbone, spectra, ranks(sizes)).eval()
    head = network.head or nn.Linear(network.feature_size, 3)
    _assert_that_the_program_answers(backbone, head, drawn.x, tmp_path_factory.mktemp("program"))


def _assert_that_the_program_answers(backbone: nn.Module, head: nn.Linear, x: torch.Tensor, folder: Path) -> None:
    program = export_inference(onnxruntime, backbone, head, inputs_of(x[:1]))
    folds = [
        {"hole": f"backbone.{n}.down.weight", "core": f"backbone.{n}.core.weight"} for n in compact_layers(backbone)
    ]
    manifest = {"infer": {"holes": program.holes}, "folds": folds}
    infer = loaded(onnxruntime, program, folder, fill_holes(manifest, serving_tensors(backbone, head)))
    with torch.no_grad():
        expected = Served(backbone, head)(x)
    found = zip(*(infer([example[None]]) for example in x.numpy()), strict=True)
    for outputs, wanted in zip(found, expected, strict=True):
        _assert_alike(torch.from_numpy(np.concatenate(outputs)), wanted)


def _assert_alike(found: torch.Tensor, expected: torch.Tensor) -> None:
    most = max(1e-3, float(expected.abs().max()))
    torch.testing.assert_close(found, expected, rtol=0, atol=_DIFFERENCE * most)
