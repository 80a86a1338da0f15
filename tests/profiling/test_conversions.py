"""What a change of precision costs where one layer reads what another computed."""

import pytest

from toolkit.choice import DENSE, Choice, rank
from toolkit.compression import Cost
from toolkit.profiling import Border, Measurement, conversions_of
from toolkit.profiling.conversions import between
from toolkit.profiling.signature import parse_signature
from toolkit.runtimes.arithmetic import FP32, Arithmetic

INT8 = Arithmetic("int8", "signed")
BOTH = {"fp32": FP32, "int8": INT8}
BORDER = Border("a", "b", (1, 16, 8, 8))
ROW = {choice: Cost(1.0, 1) for choice in (DENSE, rank(8), Choice(precision="int8"), rank(8, "int8"))}


def measured(ms: float) -> Measurement:
    return Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=9, warmups=1, load_ms=1.0)


def test_each_direction_of_each_shape_is_one_conversion() -> None:
    found = conversions_of([BORDER, Border("b", "c", BORDER.shape), Border("c", "d", (1, 4))], BOTH)
    assert set(found) == {
        "convert fp32 to int8 signed on 1x16x8x8",
        "convert int8 signed to fp32 on 1x16x8x8",
        "convert fp32 to int8 signed on 1x4",
        "convert int8 signed to fp32 on 1x4",
    }
    assert all(parse_signature(text) is None for text in found)  # a predictor of layers takes no notice


def test_where_all_is_fp32_nothing_is_converted() -> None:
    assert conversions_of([BORDER], {"fp32": FP32}) == {}


def test_a_change_costs_what_its_conversion_takes_beyond_a_call() -> None:
    rows = {
        "convert fp32 to int8 signed on 1x16x8x8": measured(0.05),
        "convert int8 signed to fp32 on 1x16x8x8": measured(0.008),
    }
    found = list(between([BORDER], {"a": ROW, "b": ROW}, BOTH, rows, call_ms=0.01))
    costs = {(pair.first, pair.second): ms for pair, ms in found}
    fp32, int8 = frozenset({DENSE, rank(8)}), frozenset({Choice(precision="int8"), rank(8, "int8")})
    assert costs == {(fp32, int8): pytest.approx(0.04), (int8, fp32): 0.0}
    assert all(pair.parts == ("a", "b") for pair, _ in found)


def test_a_conversion_that_was_not_timed_costs_nothing() -> None:
    assert list(between([BORDER], {"a": ROW, "b": ROW}, BOTH, {}, call_ms=0.0)) == []
