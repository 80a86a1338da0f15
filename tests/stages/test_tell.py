"""A result hides neither a loss nor a rival."""

import pytest

from toolkit.deployment import Accuracy, AccuracyTable, FrontierPoint
from toolkit.progress import Silent
from toolkit.stages import Watch
from toolkit.stages.tell import (
    DEPLOYED,
    tell_of_a_loss,
    tell_of_a_prediction,
    tell_of_a_rival,
    tell_of_impossible_times,
)


def of(value: float, data: str = "queries") -> Accuracy:
    return Accuracy(value=value, examples=100, data=data, ran_on="host")


def table(dense: float, compact: float, general: tuple[float, float] | None) -> AccuracyTable:
    return AccuracyTable(
        general_dense=of(general[0], "general classes") if general else None,
        general_compact=of(general[1], "general classes") if general else None,
        task_dense=of(dense),
        task_compact=of(compact),
        task_adapted=None,
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (table(0.9, 0.5, (0.9, 0.88)), None),
        (table(0.9, 0.9, (0.9, 0.85)), "general classes"),
        (table(0.9, 0.86, None), "queries"),
        (table(0.9, 0.95, None), None),
    ],
)
def test_a_loss_of_more_than_three_points_is_told(found: AccuracyTable, said: str | None) -> None:
    watch = Watch(Silent())
    tell_of_a_loss(found, "accuracy", watch)
    assert len(watch.notes) == (said is not None)
    assert said is None or said in watch.notes[0]


def point(label: str, latency_ms: float, accuracy: float) -> FrontierPoint:
    times = {"latency_ms": latency_ms, "predicted_ms": latency_ms}
    return FrontierPoint(label=label, size_bytes=1, accuracy=accuracy, recovered=True, **times)


@pytest.mark.parametrize(
    ("rival", "is_told"),
    [
        (point("dense int8", 0.5, 0.9), True),
        (point("dense int8", 0.95, 0.9), False),  # as fast, or the very same network
        (point("dense int8", 0.5, 0.7), False),
        (point("exact at 15% of the way to dense", 0.5, 0.9), False),  # was not trained
    ],
)
def test_a_rival_that_is_faster_and_no_worse_is_told(rival: FrontierPoint, is_told: bool) -> None:
    watch = Watch(Silent())
    tell_of_a_rival((point("dense", 2.0, 0.91), rival, point(DEPLOYED, 1.0, 0.85)), None, watch)
    assert len(watch.notes) == is_told
    assert all("--precision int8" in note for note in watch.notes)


def test_a_network_is_no_rival_of_itself() -> None:
    watch = Watch(Silent())
    tell_of_a_rival((point("dense int8", 0.5, 0.9), point(DEPLOYED, 1.0, 0.9)), "dense int8", watch)
    assert watch.notes == []


@pytest.mark.parametrize(("lost_nats", "is_told"), [(0.1, False), (0.8, False), (0.95, True), (2.3, True)])
def test_a_plan_that_comes_near_guessing_is_told(lost_nats: float, is_told: bool) -> None:
    watch = Watch(Silent())
    tell_of_a_prediction(lost_nats, 6, watch)  # to guess among six classes loses 1.79 nats
    assert len(watch.notes) == is_told


def test_layers_that_take_less_than_no_time_are_told() -> None:
    watch = Watch(Silent())
    tell_of_impossible_times({"a": 0.0, "b": 0.1}, watch)
    assert watch.notes == []
    tell_of_impossible_times({"a": -0.3, "b": 0.1}, watch)
    assert watch.notes[0].startswith("1 of 2 layers")
