"""A small residual network on this machine, cut by channels and by ranks in one deployment: nothing in it is faked."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from workplace import PLAIN, ROOMY_MS, TASK, TWO_BLOCKS, Workplace, inside, make_workplace

from toolkit import pipeline, stages
from toolkit.choice import keep, rank
from toolkit.deployment import Deployment
from toolkit.errors import BadInput
from toolkit.frontier import Frontier
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.stages import Watch

REQUEST = Request(TWO_BLOCKS, TASK, recovery_steps=3, adapt_steps=5, **PLAIN | {"channels": True})
GROUPS = ["channels of 2.first", "channels of 3.first"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    with inside(made):
        yield made


@pytest.fixture(scope="module")
def tight(place: Workplace) -> Overrides:
    """Less than ranks alone can save, and more than channels alone can."""
    dense = pipeline.plan(REQUEST, place.target, Overrides(latency_ms=ROOMY_MS), Silent(), place.folder / "dense")
    assert {each.choice for each in dense.allocation} == {"dense"}
    return Overrides(latency_ms=ROOMY_MS, size_bytes=dense.size_bytes.dense - 13_000)


@pytest.fixture(scope="module")
def deployed(place: Workplace, tight: Overrides) -> Deployment:
    return pipeline.deploy(REQUEST, place.target, tight, Silent(), place.folder / "run")


def test_channels_and_ranks_meet_a_budget_that_ranks_alone_cannot(deployed: Deployment, tight: Overrides) -> None:
    kinds = {each.layer: each.choice for each in deployed.allocation}
    assert kinds["5"] == "compact"
    assert any(kinds.get(group) == "channels" for group in GROUPS)
    assert deployed.refusals == ()
    assert deployed.active
    assert deployed.size_bytes.measured is not None
    assert deployed.size_bytes.measured <= tight.size_bytes
    assert deployed.size_bytes.predicted == pytest.approx(deployed.size_bytes.measured, rel=0.05)


def test_a_group_is_listed_with_what_is_kept_and_what_it_saves(deployed: Deployment) -> None:
    for each in deployed.allocation:
        if each.choice == "channels":
            assert each.rank in (2, 4, 6)
            assert each.full_rank == 8
            assert each.weight_bytes == -4 * (8 - each.rank) * 2 * 72
            assert each.dense_ms == 0


def test_parameters_are_those_of_the_network_that_was_deployed(deployed: Deployment) -> None:
    ranks = {each.layer: each.rank for each in deployed.allocation if each.choice != "dense"}
    lost = sum((8 - ranks[group]) * (2 * 72 + 2) for group in GROUPS if group in ranks)
    assert deployed.parameters_dense - deployed.parameters_compact == lost + 128 * 32 - ranks["5"] * (128 + 32)
    convolutions = deployed.compressible_parameters_dense - deployed.compressible_parameters_compact
    assert convolutions == lost * 72 // 73 + 128 * 32 - ranks["5"] * (128 + 32)


def test_the_board_trains_cores_and_head_alone(deployed: Deployment) -> None:
    rank = next(each.rank for each in deployed.allocation if each.layer == "5")
    assert deployed.adaptation is not None
    assert deployed.adaptation.trained_values == rank**2 + 3 * (32 + 1)
    assert deployed.host_device_max_abs_difference is not None
    assert deployed.host_device_max_abs_difference <= 1e-4


def test_the_host_trains_what_lost_channels_and_freezes_it_again(place: Workplace, deployed: Deployment) -> None:
    watch = Watch(Silent())
    job = stages.load(REQUEST, place.target, watch)
    forms = {"compact": rank, "channels": keep}
    kept = {each.layer: forms[each.choice](each.rank) for each in deployed.allocation if each.choice != "dense"}
    board = stages.recall(place.target, job, watch)
    profile = stages.profile(board, job, watch)
    budget = stages.budget(board, profile, Overrides(latency_ms=ROOMY_MS), watch)
    planned = stages.allocate(board, job, profile, replace(budget, size_bytes=None), REQUEST, watch)
    learned = stages.learn.learn(board, job, profile, "jactus", 0, watch)
    selection = planned.allocation.selection.but(kept)
    allocation = replace(planned.allocation, selection=selection)
    planned = replace(planned, spectra=learned.worth.parts, allocation=allocation)
    untrained = stages.compress(job, planned, replace(REQUEST, recovery_steps=0), watch).backbone
    trained = stages.compress(job, planned, REQUEST, watch).backbone
    before, after = dict(untrained.named_parameters()), dict(trained.named_parameters())
    moved = {name for name, value in after.items() if not value.equal(before[name])}
    group = next(each for each in GROUPS if each in kept).removeprefix("channels of ").removesuffix(".first")
    assert {
        f"{group}.first.weight",
        f"{group}.second.weight",
        f"{group}.norm1.weight",
        "5.core.weight",
        "5.down.weight",
        "5.up.weight",
    } <= moved
    assert not moved & {"0.weight", f"{group}.norm2.weight"}
    assert not any(value.requires_grad for value in after.values())


def test_without_the_board_the_same_is_planned(place: Workplace, deployed: Deployment, tight: Overrides) -> None:
    folder = place.folder / "offline"
    offline = pipeline.plan_offline(REQUEST, place.target, tight, Silent(), folder)
    assert [(each.layer, each.rank) for each in offline.allocation] == [
        (each.layer, each.rank) for each in deployed.allocation
    ]
    assert "channels kept" in (folder / "report.html").read_text()


def test_a_frontier_is_drawn_by_all_allocators_whatever_they_can_choose(place: Workplace, deployed: Deployment) -> None:
    drawn: Frontier = pipeline.frontier_offline(REQUEST, place.target, Overrides(), Silent())
    assert {"exact", "greedy", "uniform"} <= {point.allocator for point in drawn.points}
    fastest = {name: min(p.predicted_ms for p in drawn.points if p.allocator == name) for name in ("exact", "uniform")}
    assert fastest["exact"] <= fastest["uniform"]
    assert drawn.layers == 6
    exact = [point for point in drawn.points if point.allocator == "exact"]
    assert all(point.predicted_ms <= point.limit_ms * (1 + 1e-9) for point in exact)


@pytest.mark.parametrize("allocator", ["uniform", "search", "policy"])
def test_other_allocators_are_refused_before_anything_is_loaded(place: Workplace, allocator: str) -> None:
    watch = Watch(Silent())
    with pytest.raises(BadInput, match=f"compression.channels: .*{allocator}"):
        stages.load(replace(REQUEST, allocator=allocator), place.target, watch)
    assert watch.stages == []
