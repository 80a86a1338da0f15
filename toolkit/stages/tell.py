"""What a result must not hide: that it lost much, or that something simpler does better."""

import math

from toolkit.deployment import AccuracyTable, FrontierPoint
from toolkit.stages.watch import Watch
from toolkit.units import format_milliseconds

# Points of accuracy that a user should hear of, whatever the budget was.
_MUCH = 0.03
_MUCH_OF_GUESSING = 0.5
# Of what was deployed, what a rival must take less than: two measurements of one network differ, too.
_FASTER = 0.9
DEPLOYED = "deployed"


def tell_of_a_loss(accuracy: AccuracyTable, measure: str, watch: Watch) -> None:
    """Of the general classes, if the task has them, else of the task's, before the board learns."""
    dense, compact = accuracy.general_dense, accuracy.general_compact
    if dense is None or compact is None:
        dense, compact = accuracy.task_dense, accuracy.task_compact
    lost = dense.value - compact.value
    if lost > _MUCH:
        watch.note(
            f"the compact model lost {100 * lost:.1f} points of {measure} ({dense.value:.1%} to {compact.value:.1%} on "
            f"{compact.data}): give it more latency or bytes, or more steps of training (--set recovery.steps=N)"
        )


def tell_of_a_prediction(lost_nats: float, outputs: int, watch: Watch) -> None:
    """Of a plan, of which no accuracy is known: to guess among as many classes costs the logarithm of their number."""
    if lost_nats > _MUCH_OF_GUESSING * math.log(outputs):
        watch.note(
            f"the chosen network is predicted to lose {lost_nats:.2g} nats an example before it is trained, where "
            f"guessing among {outputs} classes loses {math.log(outputs):.2g}: give it more latency or bytes"
        )


def tell_of_impossible_times(layers_ms: dict[str, float], watch: Watch) -> None:
    """Of layers, each by itself: times of single layers and of whole networks that do not fit together."""
    if wrong := [name for name, milliseconds in layers_ms.items() if milliseconds < 0]:
        watch.note(
            f"{len(wrong)} of {len(layers_ms)} layers seem to take less than no time: the board was busy while "
            "single layers or whole networks were timed. Trust no layer's time, and run again once it is calm"
        )


def tell_of_a_rival(points: tuple[FrontierPoint, ...], itself: str | None, watch: Watch) -> None:
    """A dense network in another precision that is faster than what was deployed, and no less accurate.

    `itself` is what the deployed one is called among them: two measurements of one network are no advice.
    """
    for chosen in (each for each in points if each.label == DEPLOYED):
        for rival in (each for each in points if each.label.startswith("dense ") and each.label != itself):
            if rival.latency_ms < _FASTER * chosen.latency_ms and rival.accuracy >= chosen.accuracy:
                watch.note(
                    f"{rival.label} takes {format_milliseconds(rival.latency_ms)} and keeps {rival.accuracy:.1%}, what "
                    f"was deployed {format_milliseconds(chosen.latency_ms)} and {chosen.accuracy:.1%}: it would do "
                    f"better (--precision {rival.label.removeprefix('dense ')})"
                )
