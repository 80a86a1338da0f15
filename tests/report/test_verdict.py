"""The first line of the report says what became of the run."""

import pytest

from tests.report import sample
from toolkit.deployment import Deployment, Refusal
from toolkit.report.verdict import verdict


def fits() -> Deployment:
    return sample.deployment()


@pytest.mark.parametrize(
    ("deployment", "sentence"),
    [
        (
            sample.deployment(
                latency_ms=sample.latency(clock="instructions"),
                refusals=(
                    Refusal(missed="outputs", reason="outputs differ from the host's by 0.3, more than 0.001"),
                    Refusal(missed="latency", reason="p95 is 0.56 ms, 12% over"),
                ),
                active=False,
                adaptation=None,
                accuracy=None,
            ),
            "Not activated: outputs differ from the host's by 0.3, more than 0.001"
            " and p95 is 0.56 ms, 12% over by the instruction clock (2 ns an instruction),"
            " not wall time on host.",
        ),
        (
            fits(),
            "Fits: p95 0.41 ms of 0.5 ms on host;"
            " adapted on the device from 5 examples a class: 82 % on unseen queries.",
        ),
        (
            sample.deployment(latency_ms=sample.latency(p95=0.56), active=False, accuracy=None, adaptation=None),
            "Not activated: p95 is 12 % over budget (0.56 ms of 0.5 ms) on host.",
        ),
        (
            sample.deployment(
                latency_ms=sample.latency(p95=0.502, clock="instructions"),
                peak_memory_bytes=sample.memory(budget=60_000_000),
                active=False,
                accuracy=None,
                adaptation=None,
            ),
            "Not activated: p95 is 0.4 % over budget (0.502 ms of 0.5 ms by the instruction clock"
            " (2 ns an instruction), not wall time)"
            " and peak memory is 7.2 % over budget (64.3 MB of 60 MB) on host.",
        ),
        (
            sample.deployment(
                adaptation=sample.adaptation(accepted=False, reason="training diverged"),
                accuracy=sample.accuracy(task_adapted=None),
            ),
            "Fits: p95 0.41 ms of 0.5 ms on host; adaptation on the device not accepted (training diverged),"
            " 76 % on unseen queries as installed.",
        ),
        (
            sample.deployment(
                latency_ms=sample.latency(budget=None),
                adaptation=None,
                peak_memory_bytes=sample.memory(measured=None),
            ),
            "Fits: p95 0.41 ms (no latency budget), peak memory not measured on host;"
            " 76 % on unseen queries as installed.",
        ),
        (
            sample.deployment(active=False, adaptation=None, accuracy=None),
            "Fits, but not activated: p95 0.41 ms of 0.5 ms on host.",
        ),
        (
            sample.deployment(latency_ms=sample.latency(p95=1.5), adaptation=None, accuracy=None),
            "Active, but over budget: p95 is 200 % over budget (1.5 ms of 0.5 ms) on host.",
        ),
        (
            sample.deployment(shots=1, accuracy=None),
            "Fits: p95 0.41 ms of 0.5 ms on host;"
            " adapted on the device from 1 example a class, not measured on unseen queries.",
        ),
        (
            sample.plan(),
            "Planned, nothing installed: 0.39 ms predicted of 0.5 ms on host, 1.21 MB instead of 4.9 MB.",
        ),
    ],
    ids=[
        "refused by the board",
        "fits",
        "late",
        "late and big",
        "refused",
        "no budget",
        "inactive",
        "forced",
        "one shot",
        "plan",
    ],
)
def test_verdict_in_plain_words(deployment: Deployment, sentence: str) -> None:
    assert verdict(deployment).sentence == sentence


def test_only_what_fits_and_serves_is_good() -> None:
    assert verdict(fits()).tone == "good"
    assert verdict(sample.plan()).tone == "plain"
    assert verdict(sample.deployment(active=False)).tone == "bad"
