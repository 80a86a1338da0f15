"""How little latency keeps how much accuracy: the answer keeps it, and a refusal names what can be had."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from workplace import MODEL, PLAIN, TASK, inside, make_workplace

from tests.choices import by_size
from toolkit import stages
from toolkit.choice import DENSE, Choice, all_dense
from toolkit.compression import Cost, CostTable, Limits, allocate_exact, allocate_uniform, matrix
from toolkit.errors import BudgetError
from toolkit.profiling import Measurement, MemoryModel, Profile, WholeModel
from toolkit.profiling.latency_model import fit_latency_model
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.accuracy import accuracy_before_recovery, expected_accuracy, judged_on, shown_on
from toolkit.stages.frontier import draw_frontier
from toolkit.stages.keep_accuracy import keeps, least_latency
from toolkit.stages.learn import Learned
from toolkit.stages.load import Job
from toolkit.stages.profile import Profiled
from toolkit.stages.search import searcher
from toolkit.stages.worth import weigh
from toolkit.units import parse_milliseconds

RANKS = (1, 2, 4, 8)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A small network and a small task without general data."""
    place = make_workplace(tmp_path_factory.mktemp("place"))
    with inside(place):
        yield stages.load(Request(model=MODEL, task=TASK, shots=10, **PLAIN), place.target, Watch(Silent()))


@pytest.fixture(scope="module")
def learned(job: Job) -> Learned:
    """True worth; times in proportion to weights, as if each were a nanosecond."""
    layers: dict[str, dict[Choice, Cost]] = {}
    for name, layer in job.layers.items():
        m, n = matrix(layer).shape
        weights = {None: m * n, **{size: size * (m + n) for size in RANKS if size * (m + n) < m * n}}
        layers[name] = by_size({size: Cost(1e-6 * count, 4 * count) for size, count in weights.items()})
    costs = CostTable(layers, 1e-4, 0)
    model = fit_latency_model(costs, dict.fromkeys(layers, "linear"), "instructions", [])
    smaller = {name: tuple(choice for choice in row if choice != DENSE) for name, row in layers.items()}
    worth = weigh(job, smaller, "jactus", 0, Watch(Silent()))
    took = Measurement(median_ms=1.0, p95_ms=1.0, min_ms=1.0, runs=1, warmups=0, load_ms=0.0)
    unmeasured = Profiled(Profile.model_construct(), Path(), WholeModel(took, 1, 1), MemoryModel(0.0, 1.0), {})
    return Learned(worth, model, [], 1.0, unmeasured)


def kept(job: Job, learned: Learned, limits: Limits) -> float:
    dense = expected_accuracy(job, learned.worth.spectra, all_dense(job.layers))
    chosen = allocate_exact(learned.worth.gains, learned.model.costs, limits).selection
    return expected_accuracy(job, learned.worth.spectra, chosen) / dense


@pytest.mark.parametrize("share", [0.7, 0.9, 0.98])
def test_the_least_latency_keeps_the_accuracy_that_was_asked_for(job: Job, learned: Learned, share: float) -> None:
    watch = Watch(Silent())
    found = least_latency(job, learned, allocate_exact, Limits(), share, watch)
    assert found.latency_ms is not None
    assert kept(job, learned, found) >= share
    assert found.latency_ms < learned.model.costs.latency_ms(all_dense(job.layers))
    assert "30 support examples, cross-validated (no general data is held out)" in watch.notes[0]


def test_more_accuracy_takes_more_latency(job: Job, learned: Learned) -> None:
    found = [least_latency(job, learned, allocate_exact, Limits(), share, Watch(Silent())) for share in (0.4, 0.7, 1.0)]
    taken = [each.latency_ms or 0.0 for each in found]
    assert taken == sorted(taken)
    assert taken[0] < taken[2]


def test_other_limits_stay(job: Job, learned: Learned) -> None:
    found = least_latency(job, learned, allocate_exact, Limits(size_bytes=20_000), 0.5, Watch(Silent()))
    assert found.size_bytes == 20_000


def test_a_latency_that_is_too_short_is_answered_with_one_that_is_not(job: Job, learned: Learned) -> None:
    costs = learned.model.costs
    fastest = costs.rest_latency_ms + sum(min(cost.latency_ms for cost in row.values()) for row in costs.parts.values())
    with pytest.raises(BudgetError, match=r"within --latency keeps 100.0% of the dense accuracy") as caught:
        least_latency(job, learned, allocate_exact, Limits(latency_ms=fastest * 1.001), 1.0, Watch(Silent()))
    advice = re.fullmatch(r"Give --latency (\S+), or --keep-accuracy (\S+)\.", str(caught.value.next))
    assert advice, caught.value.next
    assert kept(job, learned, Limits(latency_ms=parse_milliseconds(advice[1]))) >= 1.0
    assert kept(job, learned, Limits(latency_ms=fastest * 1.001)) >= float(advice[2])


def test_limits_keep_an_accuracy_or_do_not(job: Job, learned: Learned) -> None:
    smallest = sum(min(cost.weight_bytes for cost in row.values()) for row in learned.model.costs.parts.values())
    for limits, wanted in ((Limits(), True), (Limits(size_bytes=smallest), False), (Limits(size_bytes=1), False)):
        assert keeps(job, learned, allocate_exact, 1.0, limits) == wanted


def test_a_size_that_is_too_small_is_named(job: Job, learned: Learned) -> None:
    smallest = sum(min(cost.weight_bytes for cost in row.values()) for row in learned.model.costs.parts.values())
    with pytest.raises(BudgetError, match=r"within the budget keeps 100.0%") as caught:
        least_latency(job, learned, allocate_exact, Limits(size_bytes=smallest), 1.0, Watch(Silent()))
    assert re.fullmatch(r"Raise --size, or give --keep-accuracy \S+\.", str(caught.value.next))


def test_an_allocator_that_finds_nothing_at_the_fast_end_is_asked_further_on(job: Job, learned: Learned) -> None:
    found = least_latency(job, learned, allocate_uniform, Limits(), 0.7, Watch(Silent()))
    assert found.latency_ms is not None


def test_queries_are_shown_but_choose_nothing(job: Job, learned: Learned) -> None:
    dense = all_dense(job.layers)
    assert judged_on(job).startswith("30 support examples")
    assert shown_on(job) == "12 queries of blobs"
    for accuracy in (expected_accuracy, accuracy_before_recovery):
        assert 0.5 < accuracy(job, learned.worth.spectra, dense) <= 1.0


def test_a_frontier_has_every_allocator_at_every_limit_and_none_above_it(job: Job, learned: Learned) -> None:
    dense, points = draw_frontier(job, learned, Limits(), {"[]": 1.0}, 0, Watch(Silent()))
    limits = sorted({point.limit_ms for point in points})
    assert len(limits) == 6
    assert {point.allocator for point in points if point.limit_ms == limits[-1]} == {
        "exact",
        "greedy",
        "uniform",
        "magnitude",
        "random",
    }
    assert all(point.predicted_ms <= point.limit_ms * (1 + 1e-9) for point in points)
    assert dense.compact_layers == 0
    assert dense.measured_ms is None
    best = {point.limit_ms: point.gain_gap for point in points if point.allocator == "exact"}
    assert all(point.gain_gap >= best[point.limit_ms] - 1e-9 for point in points)


def test_a_search_takes_the_most_accurate_of_what_it_tried(
    job: Job, learned: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = learned.model.costs
    half = Limits(size_bytes=costs.size_bytes(all_dense(costs.parts)) // 2)
    search = searcher(job, learned, Request(), Watch(Silent()))
    found = search(learned.worth.gains, costs, half)
    assert found.size_bytes <= half.size_bytes
    blind = allocate_uniform(learned.worth.gains, costs, half).selection
    spectra = learned.worth.spectra
    assert expected_accuracy(job, spectra, found.selection) >= expected_accuracy(job, spectra, blind)
    monkeypatch.setattr("toolkit.stages.search.expected_accuracy", lambda *_: pytest.fail("judged again"))
    assert search(learned.worth.gains, costs, half) == found


def test_an_interrupted_search_goes_on(job: Job, learned: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    costs, judged = learned.model.costs, []

    def interrupted(*asked: object) -> float:
        judged.append(asked)
        if len(judged) == 5:
            raise KeyboardInterrupt
        return 0.1 * len(judged)

    request, limits = Request(seed=1), Limits(size_bytes=costs.size_bytes(all_dense(costs.parts)) // 2)
    monkeypatch.setattr("toolkit.stages.search.expected_accuracy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        searcher(job, learned, request, Watch(Silent()))(learned.worth.gains, costs, limits)
    monkeypatch.setattr("toolkit.stages.search.expected_accuracy", lambda *_: 0.0)
    found = searcher(job, learned, request, Watch(Silent()))(learned.worth.gains, costs, limits)
    assert found.selection == judged[3][2]  # the best of those that were judged before
