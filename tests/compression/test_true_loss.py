"""Gains corrected by measured losses: they meet what was measured, and stay non-decreasing whatever that was."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.compression import (
    GainCurve,
    break_even_rank,
    calibrate,
    corrected_gains,
    gain_curve,
    jactus_spectrum,
    matrix,
    measure_losses,
    ranks_to_measure,
)
from toolkit.distillation import kd

RANKS = (8, 16, 24, 32)
ESTIMATED = GainCurve("a", dict(zip(RANKS, (0.9, 0.99, 0.999, 0.9999), strict=True)), 1.0, {8: 0.5})


def losses_of(curve: GainCurve) -> dict[int, float]:
    return {rank: curve.dense - curve.of(rank) for rank in curve.by_rank}


def test_the_corrected_losses_are_those_measured_and_between_them_lie_the_others() -> None:
    found = losses_of(corrected_gains(ESTIMATED, {8: 3.0, 16: 0.2, 32: 1e-4}))
    assert [found[8], found[16], found[32]] == pytest.approx([3.0, 0.2, 1e-4])
    assert 1e-4 < found[24] < 0.2


def test_beyond_what_was_measured_losses_keep_the_proportion() -> None:
    found = corrected_gains(ESTIMATED, {16: 0.05, 24: 0.02})
    assert losses_of(found)[8] == pytest.approx(0.5)
    assert losses_of(found)[32] == pytest.approx(0.002)
    assert found.dense == pytest.approx(5.0)  # removing the layer, too, costs five times the estimate
    assert found.energy == ESTIMATED.energy


@given(st.dictionaries(st.sampled_from(RANKS), st.floats(-1e-6, 20), min_size=1), st.lists(st.floats(0, 5), min_size=5))
def test_a_gain_never_falls_with_rank(losses: dict[int, float], amounts: list[float]) -> None:
    rising = list(itertools.accumulate(amounts))
    curve = corrected_gains(GainCurve("a", dict(zip(RANKS, rising, strict=False)), rising[4]), losses)
    gains = [curve.of(rank) for rank in (*RANKS, None)]
    assert all(above >= below - 1e-12 * abs(gains[-1]) for below, above in itertools.pairwise(gains))


def test_few_ranks_of_a_layer_are_measured() -> None:
    assert ranks_to_measure(()) == ()
    assert ranks_to_measure((8,)) == (8,)
    assert ranks_to_measure((32, 8, 16, 24, 40)) == (8, 24, 40)


def test_the_true_loss_is_that_of_one_compact_layer_at_a_time() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12)), torch.randn(64, 12)
    layers: dict[str, nn.Linear | nn.Conv2d] = {"0": model[0], "2": model[2]}  # type: ignore[dict-item]
    statistics = calibrate(model, layers, [(x, nn.Identity())])
    spectra = {
        name: jactus_spectrum(matrix(layer), statistics[name], break_even_rank(layer)) for name, layer in layers.items()
    }
    seen = []

    def loss(compact: nn.Module) -> float:
        seen.append([type(layer).__name__ for layer in compact])  # type: ignore[attr-defined]
        return float(kd(compact(x), model(x), 1.0))

    steps = []
    found = measure_losses(model, spectra, {"0": (1, 5), "2": (1,)}, loss, lambda *step: steps.append(step))
    assert seen == [["CompactLinear", "ReLU", "Linear"]] * 2 + [["Linear", "ReLU", "CompactLinear"]]
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert found["0"][1] > found["0"][5] > 0
    curve = corrected_gains(gain_curve("0", matrix(layers["0"]), spectra["0"], (1, 3, 5)), found["0"])
    assert losses_of(curve)[1] == pytest.approx(found["0"][1])
    assert curve.of(1) < curve.of(3) < curve.of(5) < curve.of(None)
