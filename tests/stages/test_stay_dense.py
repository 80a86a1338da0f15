"""The dense model in int8 is taken where it fits as it was measured and compact layers lose noticeably more."""

from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.adaptation.heads import HeadStart
from toolkit.choice import Choice, Selection, rank
from toolkit.compression import Allocation, Cost, CostTable, GainCurve, Limits
from toolkit.profiling import Accepted, Budget, Limit, Measurement, MemoryModel, Part, Profile, WholeModel
from toolkit.profiling.latency_model import Interval
from toolkit.profiling.pieces import Piece
from toolkit.progress import Silent
from toolkit.runtimes.arithmetic import FP32, Arithmetic
from toolkit.stages import Watch
from toolkit.stages.allocate import as_slow
from toolkit.stages.planned import Planned
from toolkit.stages.precisions import Precisions
from toolkit.stages.profile import Profiled
from toolkit.stages.stay_dense import rather_dense
from toolkit.targets import Clock

INT8, RANK = Choice(precision="int8"), rank(8, "int8")
INT8_MS, INT8_BYTES = 4.0, 500


def whole(milliseconds: float, size: int) -> WholeModel:
    took = Measurement(median_ms=milliseconds, p95_ms=milliseconds, min_ms=milliseconds, runs=9, warmups=1, load_ms=1.0)
    return WholeModel(took, 1_000, size)


def planned(budget: Budget, lost_by_rank: float) -> Planned:
    """One layer: dense it gains 1 nat, in int8 0.001 less; rank 8 was chosen."""
    pieces: dict[Choice, dict[str, Piece]] = {choice: {} for choice in (Choice(), INT8, RANK)}
    precisions = Precisions({"fp32": FP32, "int8": Arithmetic("int8", "signed")}, whole(INT8_MS, INT8_BYTES))
    profile = Profiled(
        Profile.model_construct(),
        Path(),
        whole(10.0, 2_000),
        MemoryModel(0.0, 1.0),
        {},
        parts={"layer": Part("layer", pieces)},
        precisions=precisions,
    )
    costs = CostTable({"layer": {Choice(): Cost(9.0, 1_900), INT8: Cost(3.2, 400), RANK: Cost(2.8, 90)}}, 1.0, 100)
    gains = {"layer": GainCurve("layer", {INT8: 0.999, RANK: 1 - lost_by_rank}, 1.0)}
    allocation = Allocation(Selection({"layer": RANK}), 1 - lost_by_rank, 1.0, 3.8, 190, 1_000)
    return Planned(profile, budget, {}, gains, costs, allocation, Interval(3.8, 3.8, 3.8), Limits(), ())


def within(latency_ms: float, size_bytes: int | None = None) -> Budget:
    return Budget(Limit(latency_ms, "--latency"), None, None if size_bytes is None else Limit(size_bytes, "--size"))


def test_what_loses_less_and_fits_is_taken_with_what_was_measured() -> None:
    watch = Watch(Silent())
    found = rather_dense(planned(within(INT8_MS), 0.05), "pretrained", "instructions", watch)
    assert found.allocation.selection == {"layer": INT8}
    assert (found.allocation.latency_ms, found.allocation.size_bytes) == (INT8_MS, INT8_BYTES)
    assert found.allocation.gain == 0.999
    assert found.predicted == Interval(INT8_MS, INT8_MS, INT8_MS)
    assert len(watch.notes) == 1


@pytest.mark.parametrize(
    ("budget", "lost_by_rank", "start", "clock"),
    [
        (within(INT8_MS), 0.01, "pretrained", "instructions"),  # compact layers lose hardly more, and their cores learn
        (within(INT8_MS), 0.05, "fitted", "instructions"),  # what the network does not know, cores learn
        (within(INT8_MS - 0.01), 0.05, "pretrained", "instructions"),
        (within(INT8_MS), 0.05, "pretrained", "wall"),  # the next measurement may take more
        (within(INT8_MS, INT8_BYTES - 1), 0.05, "pretrained", "instructions"),
        (replace(within(INT8_MS), keep_accuracy=0.98), 0.05, "pretrained", "instructions"),  # the fastest was asked for
    ],
)
def test_else_what_was_chosen_stands(budget: Budget, lost_by_rank: float, start: HeadStart, clock: Clock) -> None:
    before, watch = planned(budget, lost_by_rank), Watch(Silent())
    assert rather_dense(before, start, clock, watch) is before
    assert watch.notes == []


@pytest.mark.parametrize(("chosen", "fp32_ms", "int8_ms"), [(Choice(), 12.0, 6.0), (INT8, 20.0, 8.0)])
def test_a_refused_form_is_what_the_board_said_and_all_else_as_much_slower(
    chosen: Choice, fp32_ms: float, int8_ms: float, tmp_path: Path
) -> None:
    """The dense model took 10 ms in fp32 and 4 ms in int8; now it takes 12 ms for the one, or 8 for the other."""
    before = planned(within(5.0), 0.05)
    took = whole(fp32_ms if chosen == Choice() else int8_ms, 1).measurement
    latency_ms = 10.0 if chosen == Choice() else INT8_MS
    allocation = replace(before.allocation, selection=Selection({"layer": chosen}), latency_ms=latency_ms)
    profile = before.profile.profile.with_rows({"a": took}, {})
    refused = replace(before, allocation=allocation, profile=replace(before.profile, profile=profile))
    accepted = Accepted(took, 1, 0.0, 0.0, None, 1, {}, ())
    now = as_slow(refused, accepted, tmp_path / "profile.json")
    rival = now.precisions.rival
    assert rival is not None
    if chosen == Choice():
        assert (now.dense.measurement, rival.measurement.median_ms) == (took, pytest.approx(INT8_MS * 1.2))
    else:
        assert (now.dense.measurement.median_ms, rival.measurement) == (pytest.approx(20.0), took)
    slower = took.median_ms / latency_ms
    assert now.profile.rows["a"].median_ms == pytest.approx(slower * took.median_ms)
