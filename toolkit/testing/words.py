"""What a regression test says: slower, faster, or nothing to compare with."""

from pathlib import Path

from toolkit.testing.baselines import Baseline
from toolkit.testing.compare import Comparison
from toolkit.testing.samples import Samples
from toolkit.units import format_milliseconds


def slower(baseline: Baseline, now: Samples, found: Comparison) -> str:
    """Why the test fails, and what to do if that is intended."""
    return "\n".join(
        (
            f"{baseline.name} on {now.target} is {_percent(found.change)} slower than its baseline.",
            *_both(baseline, now, found),
            "If that is intended, run again with --update-baselines and commit the new baseline.",
        )
    )


def faster(baseline: Baseline, now: Samples, found: Comparison) -> str:
    """A warning: until the baseline is new, the gain can be lost unseen."""
    return "\n".join(
        (
            f"{baseline.name} on {now.target} is {_percent(-found.change)} faster than its baseline.",
            *_both(baseline, now, found),
            "Keep the gain: run again with --update-baselines and commit the new baseline.",
        )
    )


def missing(name: str, now: Samples, found: list[str], path: Path) -> str:
    """Nothing was compared, and why."""
    same = f" There are others, not for this device or version: {', '.join(found)}." if found else ""
    return (
        f"NO BASELINE of {name} for {now.target} ({now.runtime} {now.runtime_version}): "
        f"{format_milliseconds(now.median_ms)} were measured and NOT compared.{same} "
        f"Run again with --update-baselines and commit {path}."
    )


def disturbed(name: str, samples: Samples) -> str:
    """A warning: the figures are those of a board in an unusual state."""
    return (
        f"{name} was disturbed on {samples.target} ({'; '.join(samples.disturbed)}), also when it was repeated: "
        "let the board cool down or finish its other work, then run again."
    )


def _both(baseline: Baseline, now: Samples, found: Comparison) -> tuple[str, ...]:
    then = baseline.samples
    return (
        f"  measured  {_times(now)}, release {now.release[:12]}",
        f"  baseline  {_times(then)}, release {then.release[:12]}, made {then.measured_at} "
        f"by toolkit {baseline.toolkit_version} with {then.runtime} {then.runtime_version}",
        *([f"  disturbed {'; '.join(now.disturbed)}"] if now.disturbed else []),
        *([f"  disturbed {'; '.join(then.disturbed)} (the baseline)"] if then.disturbed else []),
        f"  change    {found.change:+.1%} [{found.low:+.1%}, {found.high:+.1%}], {found.how}",
    )


def _times(samples: Samples) -> str:
    clock = "wall clock" if samples.clock == "wall" else "instruction clock"
    return f"{format_milliseconds(samples.median_ms)} ({clock}, median of {len(samples.release_ms)} rounds)"


def _percent(change: float) -> str:
    return f"{change:.1%}"
