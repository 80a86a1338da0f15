"""What a result must not hide: that it lost much, or that something simpler does better."""

from toolkit.deployment import AccuracyTable, FrontierPoint
from toolkit.stages.watch import Watch
from toolkit.units import format_milliseconds

# Points of accuracy that a user should hear of, whatever the budget was.
_MUCH = 0.03
# Of what was deployed, what a rival must take less than: two measurements of one network differ, too.
_FASTER = 0.9
DEPLOYED = "deployed"


def tell_of_a_loss(accuracy: AccuracyTable, watch: Watch) -> None:
    """Of the general classes, if the task has them, else of the task's, before the board learns."""
    dense, compact = accuracy.general_dense, accuracy.general_compact
    if dense is None or compact is None:
        dense, compact = accuracy.task_dense, accuracy.task_compact
    lost = dense.value - compact.value
    if lost > _MUCH:
        watch.note(
            f"the compact model lost {100 * lost:.1f} points of accuracy ({dense.value:.1%} to {compact.value:.1%} on "
            f"{compact.data}): give it more latency or bytes, or --precision auto"
        )


def tell_of_a_rival(points: tuple[FrontierPoint, ...], watch: Watch) -> None:
    """A dense network in another precision that is faster than what was deployed, and no less accurate."""
    for chosen in (each for each in points if each.label == DEPLOYED):
        for rival in (each for each in points if each.label.startswith("dense ")):
            if rival.latency_ms < _FASTER * chosen.latency_ms and rival.accuracy >= chosen.accuracy:
                watch.note(
                    f"{rival.label} takes {format_milliseconds(rival.latency_ms)} and keeps {rival.accuracy:.1%}, what "
                    f"was deployed {format_milliseconds(chosen.latency_ms)} and {chosen.accuracy:.1%}: it would do "
                    f"better (--precision {rival.label.removeprefix('dense ')})"
                )
