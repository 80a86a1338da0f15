"""A default gives way to what the board measured; nothing else does."""

from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.choice import Selection
from toolkit.compression import Allocation, CostTable, Limits
from toolkit.profiling import Accepted, Budget, Limit, Measurement, MemoryModel, Profile, WholeModel, judged
from toolkit.profiling.latency_model import Interval
from toolkit.progress import Silent
from toolkit.stages import Watch, give_way
from toolkit.stages.planned import Planned
from toolkit.stages.profile import Profiled

TOOK = Measurement(median_ms=1.0, p95_ms=1.23456, min_ms=0.9, runs=1, warmups=0, load_ms=0.0)
DEFAULT, ASKED = Limit(1.0, "65% of dense", is_default=True), Limit(1.0, "--latency")
LITTLE = Limit(1_000, "25% of RAM", is_default=True)


def planned(budget: Budget) -> Planned:
    profile = Profiled(Profile.model_construct(), Path(), WholeModel(TOOK, 1, 1), MemoryModel(0.0, 1.0), {})
    allocation = Allocation(Selection(), 0.0, 0.0, 1.0, 1, 1)
    return Planned(profile, budget, {}, {}, CostTable({}, 0.0, 0), allocation, Interval(1.0, 1.0, 1.0), Limits(), ())


def refused(budget: Budget, difference: float = 0.0) -> Accepted:
    return judged(Accepted(TOOK, 2_000, difference, difference, 1e-3, 1, {}, ()), 10, budget)


@pytest.mark.parametrize(
    "budget", [Budget(DEFAULT, None, None), Budget(DEFAULT, LITTLE, None), Budget(None, LITTLE, None)]
)
def test_defaults_become_what_was_measured_and_say_so(budget: Budget) -> None:
    watch, said = Watch(Silent()), refused(budget)
    found = give_way(planned(budget), said, watch)
    assert judged(said, 10, found.budget).refusals == ()
    assert len(watch.notes) == len(said.refusals)
    assert all("default" in note for note in watch.notes)


@pytest.mark.parametrize(
    "budget",
    [Budget(ASKED, None, None), Budget(ASKED, LITTLE, None), Budget(DEFAULT, None, Limit(1, "--size"))],
)
def test_what_was_asked_for_stands_and_so_does_all_else(budget: Budget) -> None:
    watch = Watch(Silent())
    assert give_way(planned(budget), refused(budget), watch).budget == budget
    assert watch.notes == []


def test_outputs_that_differ_are_no_matter_of_a_default() -> None:
    budget = Budget(DEFAULT, None, None)
    assert give_way(planned(budget), refused(budget, difference=1.0), Watch(Silent())).budget == budget


def test_what_was_accepted_changes_nothing() -> None:
    roomy = Budget(replace(DEFAULT, value=5.0), None, None)
    assert give_way(planned(roomy), refused(roomy), Watch(Silent())).budget == roomy
