"""One sentence in plain words: does it fit, is it active, did the board learn."""

from dataclasses import dataclass
from typing import Literal

from toolkit.deployment import Accuracy, Bytes, Deployment
from toolkit.report import words

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Verdict:
    """`tone` colours the sentence; the sentence says the same without colour."""

    sentence: str
    tone: Tone


def verdict(deployment: Deployment) -> Verdict:
    """What a reader who reads one line of the report must know."""
    if not was_measured(deployment):
        return Verdict(_plan(deployment), "plain")
    over = refused(deployment) or over_budget(deployment)
    learned = _learning(deployment)
    if over:
        first = "Active, but over budget" if deployment.active else "Not activated"
        return Verdict(_joined(f"{first}: {' and '.join(over)} on {deployment.target}", learned), "bad")
    fits = f"{_fit(deployment)} on {deployment.target}"
    if not deployment.active:
        return Verdict(_joined(f"Fits, but not activated: {fits}", learned), "bad")
    return Verdict(_joined(f"Fits: {fits}", learned), "good")


def was_measured(deployment: Deployment) -> bool:
    """Whether the deployed model itself ran on the board; a plan only predicts."""
    return deployment.latency_ms.p95 is not None


def refused(deployment: Deployment) -> list[str]:
    """Why the board's acceptance refused the release; latencies with their clock."""
    return [
        each.reason + (_clock(deployment, "p95") if each.missed == "latency" else "") for each in deployment.refusals
    ]


def over_budget(deployment: Deployment) -> list[str]:
    """Every budget that a measurement missed, and by how much."""
    latency = deployment.latency_ms
    checks = [
        ("p95", latency.p95, latency.budget, words.milliseconds),
        *(
            (name, quantity.measured, quantity.budget, words.size)
            for name, quantity in (
                ("peak memory", deployment.peak_memory_bytes),
                ("size", deployment.size_bytes),
            )
        ),
    ]
    return [
        f"{name} is {words.excess(value, budget)} ({say(value)} of {say(budget)}{_clock(deployment, name)})"
        for name, value, budget, say in checks
        if value is not None and budget is not None and value > budget
    ]


def _plan(deployment: Deployment) -> str:
    latency = deployment.latency_ms
    budget = "" if latency.budget is None else f" of {words.milliseconds(latency.budget)}"
    clock = _clock(deployment, "p95")
    return (
        f"Planned, nothing installed: {words.milliseconds(latency.predicted)} predicted{budget} on "
        f"{deployment.target}{clock}, {words.size(deployment.size_bytes.predicted)} instead of "
        f"{words.size(deployment.size_bytes.dense)}."
    )


def _fit(deployment: Deployment) -> str:
    latency = deployment.latency_ms
    budget = " (no latency budget)" if latency.budget is None else f" of {words.milliseconds(latency.budget)}"
    unchecked = "".join(
        f", {name} not measured"
        for name, quantity in (("peak memory", deployment.peak_memory_bytes), ("size", deployment.size_bytes))
        if _unchecked(quantity)
    )
    return f"p95 {words.milliseconds(latency.p95)}{budget}{_clock(deployment, 'p95')}{unchecked}"


def _unchecked(quantity: Bytes) -> bool:
    return quantity.budget is not None and quantity.measured is None


def _learning(deployment: Deployment) -> str:
    table, adaptation = deployment.accuracy, deployment.adaptation
    if adaptation is not None and adaptation.accepted:
        adapted = table.task_adapted if table else None
        tail = f": {_unseen(adapted)}" if adapted else ", not measured on unseen queries"
        return f"adapted on the device from {deployment.learned_from}{tail}"
    refused = "" if adaptation is None else f"adaptation on the device not accepted ({adaptation.reason})"
    installed = f"{_unseen(table.task_compact)} as installed" if table else ""
    return ", ".join(part for part in (refused, installed) if part)


def _unseen(accuracy: Accuracy) -> str:
    return f"{words.share(accuracy.value, 0)} on unseen queries"


def _clock(deployment: Deployment, name: str) -> str:
    note = words.clock_note(deployment.latency_ms.clock)
    return f" by the {note}" if note and name == "p95" else ""


def _joined(first: str, second: str) -> str:
    return f"{first}; {second}." if second else f"{first}."
