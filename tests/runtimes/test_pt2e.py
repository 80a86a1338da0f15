"""How ranges of activations are read, in the graph that PT2E makes: it computes what the program will."""

import numpy as np
import pytest
import torch
from torch import nn

from toolkit.inputs import inputs_of
from toolkit.quiet import quiet
from toolkit.runtimes import pt2e
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation, Ranges

pytestmark = pytest.mark.usefixtures("compiler")


def _error(examples: torch.Tensor, ranges: Ranges, x: torch.Tensor) -> float:
    """How far int8 is from fp32 on `x`, as a share of the size of the outputs."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten()).eval()
    with torch.no_grad():
        module = torch.export.export(model, (x[:1],)).module()
        nodes = {node.name for node in pt2e.weighted_nodes(module)}
        with quiet():
            converted = pt2e.quantise(
                module, nodes, Quantisation(Arithmetic("int8", "signed"), inputs_of(examples), ranges)
            )
        found, expected = torch.cat([converted(each[None]) for each in x]), model(x)
    assert found.isfinite().all()
    return float((found - expected).norm() / expected.norm())


RANGES: tuple[Ranges, ...] = ("minmax", "percentile", "entropy")


@pytest.mark.parametrize("ranges", RANGES)
def test_ranges_of_usual_examples_and_of_one(ranges: Ranges) -> None:
    torch.manual_seed(1)
    x = torch.randn(24, 3, 8, 8)
    assert _error(x, ranges, x) < 0.05  # 26 dB
    assert _error(x[:1], ranges, x) < 0.2  # what is larger than in that one is clipped


@pytest.mark.parametrize("ranges", RANGES)
def test_constant_examples_give_finite_outputs(ranges: Ranges) -> None:
    x = torch.randn(2, 3, 8, 8)
    for constant in (0.0, -1e6):
        assert np.isfinite(_error(torch.full((3, 3, 8, 8), constant), ranges, x))


def test_wild_examples_count_for_nothing_in_a_percentile() -> None:
    torch.manual_seed(1)
    x = torch.randn(40, 3, 8, 8)
    wild = x.clone()
    wild[7, 1, 2, 3], wild[9] = 1e6, -1e6
    assert _error(wild, "percentile", x) < 0.05
    assert _error(wild, "minmax", x) > 0.5


def test_no_pattern_of_training_is_traced_before_a_layer_is_quantised(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each takes a quarter of a second, and there are twelve: half of what the export of one layer took.
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer_utils

    def trace(*arguments: object) -> None:
        raise AssertionError("a pattern of batch normalisation in training was traced")

    monkeypatch.setattr(xnnpack_quantizer_utils, "_get_aten_graph_module_for_pattern", trace)
    x = torch.randn(4, 3, 8, 8)
    assert _error(x, "minmax", x) < 0.05


class _Placed(nn.Module):
    """Reads rows of a table by their number, as GPT-2 reads positions, and joins keys to none that it knew before."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(10, 6), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        placed = x + self.table(2 * torch.arange(4) + 1)
        return self.layer(torch.cat([torch.tensor([]), placed], -2))


def test_positions_stay_integers_and_a_cache_may_be_empty() -> None:
    torch.manual_seed(0)
    model, x = _Placed().eval(), torch.randn(8, 4, 6)
    with torch.no_grad():
        module = torch.export.export(model, (x[:1],)).module()
        nodes = {node.name for node in pt2e.weighted_nodes(module)}
        with quiet():
            converted = pt2e.quantise(module, nodes, Quantisation(Arithmetic("int8", "signed"), inputs_of(x)))
        found, expected = converted(x[:1]), model(x[:1])
    assert float((found - expected).norm() / expected.norm()) < 0.05
