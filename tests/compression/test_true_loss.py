"""Gains corrected by measured losses: they meet what was measured, and stay non-decreasing whatever that was."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.choices import by_size, curve
from toolkit.choice import DENSE, rank
from toolkit.compression import (
    GainCurve,
    break_even_rank,
    calibrate,
    choices_to_measure,
    corrected_gains,
    gain_curve,
    jactus_spectrum,
    matrix,
    measure_losses,
)
from toolkit.distillation import kd
from toolkit.inputs import inputs_of

RANKS = (8, 16, 24, 32)
ESTIMATED = curve("a", dict(zip(RANKS, (0.9, 0.99, 0.999, 0.9999), strict=True)), 1.0, {8: 0.5})


def losses_of(gains: GainCurve) -> dict[int, float]:
    return {choice.size or 0: gains.dense - gains.of(choice) for choice in gains.by_choice}


def test_the_corrected_losses_are_those_measured_and_between_them_lie_the_others() -> None:
    found = losses_of(corrected_gains(ESTIMATED, by_size({8: 3.0, 16: 0.2, 32: 1e-4})))
    assert [found[8], found[16], found[32]] == pytest.approx([3.0, 0.2, 1e-4])
    assert 1e-4 < found[24] < 0.2


def test_beyond_what_was_measured_losses_keep_the_proportion() -> None:
    found = corrected_gains(ESTIMATED, by_size({16: 0.05, 24: 0.02}))
    assert losses_of(found)[8] == pytest.approx(0.5)
    assert losses_of(found)[32] == pytest.approx(0.002)
    assert found.dense == pytest.approx(5.0)  # removing the layer, too, costs five times the estimate
    assert found.energy == ESTIMATED.energy


@given(st.dictionaries(st.sampled_from(RANKS), st.floats(-1e-6, 20), min_size=1), st.lists(st.floats(0, 5), min_size=5))
def test_a_gain_never_falls_with_rank(losses: dict[int, float], amounts: list[float]) -> None:
    rising = list(itertools.accumulate(amounts))
    corrected = corrected_gains(curve("a", dict(zip(RANKS, rising, strict=False)), rising[4]), by_size(losses))
    gains = [corrected.of(choice) for choice in (*map(rank, RANKS), DENSE)]
    assert all(above >= below - 1e-12 * abs(gains[-1]) for below, above in itertools.pairwise(gains))


def test_few_ranks_of_a_layer_are_measured() -> None:
    assert choices_to_measure(()) == ()
    assert choices_to_measure((rank(8),)) == (rank(8),)
    assert choices_to_measure(tuple(map(rank, (32, 8, 16, 24, 40)))) == (rank(8), rank(24), rank(40))


def test_the_true_loss_is_that_of_one_compact_layer_at_a_time() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12)), torch.randn(64, 12)
    layers: dict[str, nn.Linear | nn.Conv2d] = {"0": model[0], "2": model[2]}  # type: ignore[dict-item]
    statistics = calibrate(model, layers, [(inputs_of(x), nn.Identity())])
    spectra = {
        name: jactus_spectrum(matrix(layer), statistics[name], break_even_rank(layer)) for name, layer in layers.items()
    }
    seen = []

    def loss(compact: nn.Module) -> float:
        seen.append([type(layer).__name__ for layer in compact])  # type: ignore[attr-defined]
        return float(kd(compact(x), model(x), 1.0))

    steps = []
    found = measure_losses(
        model, spectra, {"0": (rank(1), rank(5)), "2": (rank(1),)}, loss, lambda *step: steps.append(step)
    )
    assert seen == [["CompactLinear", "ReLU", "Linear"]] * 2 + [["Linear", "ReLU", "CompactLinear"]]
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert found["0"][rank(1)] > found["0"][rank(5)] > 0
    estimated = gain_curve("0", matrix(layers["0"]), spectra["0"], map(rank, (1, 3, 5)))
    corrected = corrected_gains(estimated, found["0"])
    assert losses_of(corrected)[1] == pytest.approx(found["0"][rank(1)])
    assert corrected.of(rank(1)) < corrected.of(rank(3)) < corrected.of(rank(5)) < corrected.of(DENSE)
