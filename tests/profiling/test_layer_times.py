"""A layer that was measured, one between two that were, one whose shape is new."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from toolkit.choice import DENSE, rank
from toolkit.profiling import Measurement
from toolkit.profiling.layer_times import layer_time
from toolkit.profiling.predictor import fit_predictor
from toolkit.profiling.signature import Signature, parse_signature, signature_of
from toolkit.shipped import shipped_folder


def row(ms: float) -> Measurement:
    return Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=10, warmups=1, load_ms=1.0)


def linear(size: int | None, outputs: int = 576) -> Signature:
    return signature_of(nn.Linear(192, outputs), (1, 16, 192), DENSE if size is None else rank(size))


ROWS = {str(linear(size)): row(ms) for size, ms in ((None, 1.2), (8, 0.2), (64, 0.6), (136, 1.2))}


def test_what_was_measured_is_taken_as_it_is() -> None:
    found = layer_time(ROWS, None, linear(64))
    assert found is not None
    assert (found.ms, found.std_ms, found.source) == (0.6, 0.0, "measured")


@given(st.integers(9, 135).filter(lambda size: size != 64))
def test_between_two_measured_ranks_time_lies_between_theirs(size: int) -> None:
    found = layer_time(ROWS, None, linear(size))
    assert found is not None
    assert found.source == "interpolated"
    low, high = (0.2, 0.6) if size < 64 else (0.6, 1.2)
    assert low <= found.ms <= high
    assert found.std_ms == pytest.approx((high - low) / 12**0.5)


@pytest.mark.parametrize("layer", [linear(144), linear(None, 577), linear(64, 577)])
def test_outside_nothing_is_claimed_without_a_predictor(layer: Signature) -> None:
    assert layer_time(ROWS, None, layer) is None


def test_a_longer_shape_is_another_layer() -> None:
    longer = Signature("linear", 192, 576, True, (1, 16, 1921), 32)
    assert layer_time(ROWS, None, longer) is None


def shipped_rows() -> dict[str, Measurement]:
    """What the package itself ships: layers of the digits transformer on the emulated board."""
    [file] = shipped_folder("profiles").glob("emulated-pi-onnxruntime-*.json")
    rows = {text: Measurement.model_validate(row) for text, row in json.loads(file.read_text())["rows"].items()}
    return {text: row for text, row in rows.items() if parse_signature(text)}


def test_a_layer_left_out_of_a_real_profile_is_predicted_within_a_twentieth() -> None:
    rows = shipped_rows()
    left_out = {text: row for text, row in rows.items() if text.startswith("linear 640->1280 ")}
    assert len(left_out) == 10  # dense and four ranks, each in fp32 and in int8
    predictor = fit_predictor({text: row for text, row in rows.items() if text not in left_out})
    assert predictor is not None
    for text, found in zip(left_out, predictor.predict(list(left_out)), strict=True):
        assert found.ms == pytest.approx(left_out[text].median_ms, rel=0.05)


def test_a_prediction_of_an_unseen_layer_knows_how_wrong_it_may_be() -> None:
    """Each layer is left out in turn; unstretched, the process is wrong by up to nine of its standard deviations."""
    rows = shipped_rows()
    wrong = []
    for family in {text.rpartition(":")[0] for text in rows}:
        left_out = {text: row for text, row in rows.items() if text.rpartition(":")[0] == family}
        predictor = fit_predictor({text: row for text, row in rows.items() if text not in left_out})
        assert predictor is not None
        for found, row in zip(predictor.predict(list(left_out)), left_out.values(), strict=True):
            wrong.append(abs(math.log(found.ms / row.median_ms)) / found.relative_std)
    assert sum(each < 2 for each in wrong) > 0.6 * len(wrong)
    assert max(wrong) < 5


def test_a_shape_far_from_all_that_was_measured_is_uncertain() -> None:
    rows = shipped_rows()
    narrow = [text for text in rows if text.startswith(("linear 640->8 ", "linear 8->640 "))]
    others = {text: row for text, row in rows.items() if text not in narrow}
    predictor = fit_predictor(others)
    assert predictor is not None
    inside, outside = ([each.relative_std for each in predictor.predict(texts)] for texts in (list(others), narrow))
    assert len(outside) == 4
    assert min(outside) > 5 * max(inside)


def test_too_few_rows_teach_nothing() -> None:
    assert fit_predictor(ROWS) is None
