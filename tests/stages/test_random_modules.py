"""Networks that nobody wrote go through load, compress, export and run, answer what they did, and learn.

`EDGE_DEPLOY_RANDOM_MODULES=1000` draws so many.
"""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learning import learning_of, loaded_program, whole_of
from networks import loaded
from random_modules import Drawn, random_modules
from torch import nn

from edge_runtime.release import fill_holes
from tests.choices import ranks
from toolkit.compression import best_approximations, compact_layers, components_of, compress, matrix
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
    backbone, head = _compact(drawn, seed)
    _assert_that_the_program_answers(backbone, head, drawn.x, tmp_path_factory.mktemp("program"))


@pytest.mark.timeout(60 * max(COUNT, 25))
@settings(max_examples=max(COUNT // 10, 1), deadline=None, suppress_health_check=list(HealthCheck))
@given(random_modules(), st.integers(0, 2**16))
def test_a_network_that_nobody_wrote_learns_by_the_gradients_that_torch_finds(
    tmp_path_factory: pytest.TempPathFactory, drawn: Drawn, seed: int
) -> None:
    backbone, head = _compact(drawn, seed)
    learning = learning_of(onnxruntime, backbone, head, drawn.x)
    whole, y = whole_of(backbone, head), torch.arange(len(drawn.x)) % 3
    values = [whole.get_parameter(name) for name in learning.trainables]
    for value in values:
        value.requires_grad_(True)
    expected = F.cross_entropy(whole(drawn.x), y, reduction="none")
    wanted = torch.autograd.grad(expected.sum(), values, allow_unused=True)
    gradient = loaded_program(learning.gradient, tmp_path_factory.mktemp("gradient"))
    given_ = [drawn.x.numpy(), y.numpy(), np.ones(len(y), np.float32)]
    losses, _, *found = gradient([*given_, *(value.detach().numpy() for value in values)])
    _assert_alike(torch.from_numpy(losses), expected.detach())
    for mine, theirs in zip(found, wanted, strict=True):
        _assert_alike(torch.from_numpy(mine), torch.zeros(mine.shape) if theirs is None else theirs)


def _compact(drawn: Drawn, seed: int) -> tuple[nn.Module, nn.Linear]:
    """Backbone, of which each layer is dense, of one component or of all, and head; both answer as they were drawn."""
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
    return backbone, network.head or nn.Linear(network.feature_size, 3)


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
