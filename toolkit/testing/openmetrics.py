"""What a session measured, in OpenMetrics' text format: one sample a regression and metric."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import BadInput
from toolkit.testing.compare import Comparison
from toolkit.testing.samples import Samples


@dataclass(frozen=True)
class Regression:
    """One regression test as it came out; without a baseline nothing was compared."""

    name: str
    now: Samples
    before: Samples | None
    found: Comparison | None


def openmetrics(regressions: list[Regression]) -> str:
    """The whole text. Seconds are those of the clock that the label says."""
    latency = {_labels(each): each.now.median_ms / 1e3 for each in regressions}
    baseline = {_labels(each): each.before.median_ms / 1e3 for each in regressions if each.before}
    change = {_labels(each): 1 + each.found.change for each in regressions if each.found}
    families = (
        ("edge_deploy_latency_seconds", "seconds", "Median latency of one inference.", latency),
        ("edge_deploy_baseline_latency_seconds", "seconds", "The same when the baseline was made.", baseline),
        ("edge_deploy_latency_change_ratio", "ratio", "Latency over the baseline's, drift cancelled.", change),
    )
    lines = []
    for name, unit, text, samples in families:
        lines += [f"# TYPE {name} gauge", f"# UNIT {name} {unit}", f"# HELP {name} {text}"]
        lines += [f"{name}{{{labels}}} {value!r}" for labels, value in samples.items()]
    return "\n".join((*lines, "# EOF", ""))


def write_openmetrics(path: Path, regressions: list[Regression]) -> None:
    """By one rename: who collects the file never reads half of it. Raises BadInput."""
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(openmetrics(regressions), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise BadInput(
            f"cannot be written: {error.strerror}", where=str(path), next="Choose another file with --openmetrics."
        ) from None


def _labels(regression: Regression) -> str:
    now = regression.now
    labels = {"target": now.target, "name": regression.name, "runtime": now.runtime, "clock": now.clock}
    return ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
