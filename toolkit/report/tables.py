"""One function a table: what the page shows as rows of words."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from toolkit.deployment import Accuracy, Bytes, Deployment, LayerChoice
from toolkit.report import words
from toolkit.units import format_interval


@dataclass(frozen=True)
class Table:
    """`head` names the columns; the first cell of a row names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def budget_table(deployment: Deployment) -> Table:
    """Predicted beside measured beside budget, with the dense model's."""
    latency = deployment.latency_ms
    median = (
        "none" if latency.planned_median is None else f"{words.milliseconds(latency.planned_median)} (most planned)"
    )
    rows = [
        (
            words.with_clock("Latency, p95", latency.clock),
            _budget(latency.budget, words.milliseconds, latency.source),
            "as median below",
            words.milliseconds(latency.p95),
            _held(latency.p95, latency.budget),
            words.milliseconds(latency.dense_p95),
        ),
        (
            words.with_clock("Latency, median", latency.clock),
            median,
            format_interval(latency.predicted, latency.predicted_low, latency.predicted_high),
            words.milliseconds(latency.median),
            _held(latency.median, latency.planned_median),
            words.milliseconds(latency.dense_median),
        ),
        _bytes_row("Peak memory" + (", weights alone" if deployment.is_estimate else ""), deployment.peak_memory_bytes),
        _bytes_row("Model size", deployment.size_bytes),
    ]
    runs = "" if latency.runs is None else f" Latency over {words.count(latency.runs)} runs"
    attempts = "" if not runs or latency.attempts is None else f", attempt {latency.attempts}"
    fastest = "" if not runs or latency.min is None else f", fastest {words.milliseconds(latency.min)}"
    caption = f"Budget, prediction and measurement.{runs}{attempts}{fastest}{'.' if runs else ''}"
    return Table(caption, ("", "Budget", "Predicted", "Measured", "Held?", "Dense"), tuple(rows))


def accuracy_table(deployment: Deployment) -> Table | None:
    """Every accuracy with what it was measured on; None where none was measured."""
    table = deployment.accuracy
    if table is None:
        return None
    named = (
        ("General classes, dense", table.general_dense),
        ("General classes, compact", table.general_compact),
        ("Task, dense", table.task_dense),
        ("Task, compact", table.task_compact),
        ("Task, compact, adapted on the device", table.task_adapted),
    )
    measure, of_right = deployment.measure[0].upper() + deployment.measure[1:], deployment.measure == "accuracy"
    over_all = tuple(table.task_dense.over_all)
    head = ("", measure, *over_all, "95 % interval", "Measured on", "Examples", "Ran on")
    caption = f"{measure}, and what it was measured on."
    caption += " The interval takes the examples as independent (Wilson)." if of_right else ""
    caption += " mAP is of all these images together, as COCO counts it." if over_all else ""
    return Table(caption, head, tuple(_accuracy_row(name, accuracy, over_all, of_right) for name, accuracy in named))


def adaptation_table(deployment: Deployment) -> Table | None:
    """What learning on the board did and cost; None where it did not run."""
    adaptation = deployment.adaptation
    if adaptation is None:
        return None
    held_out = adaptation.held_out
    accuracy = loss = words.NOT_MEASURED
    if held_out is not None:
        accuracy = f"{words.share(held_out.accuracy_before)} → {words.share(held_out.accuracy_after)}"
        loss = f"{words.number(held_out.loss_before)} → {words.number(held_out.loss_after)} nats"
    known = words.NOT_MEASURED
    if (guard := adaptation.guard) is not None:
        known = f"{words.share(guard.score_before)} → {words.share(guard.score_after)} of {guard.examples}"
    rows = (
        ("Outcome", f"{'accepted' if adaptation.accepted else 'not accepted'}: {adaptation.reason}"),
        ("Held-out accuracy", accuracy),
        ("Held-out loss", loss),
        ("Known before, on general data", known),
        ("Steps", words.count(adaptation.steps)),
        ("Values trained", words.count(adaptation.trained_values)),
        (words.with_clock("One step", deployment.latency_ms.clock), words.milliseconds(adaptation.step_ms)),
        ("Peak memory", words.size(adaptation.peak_bytes)),
    )
    return Table("What learning did and cost.", ("", "Value"), rows)


def model_table(deployment: Deployment) -> Table:
    """What became of the parameters, the program and its agreement with the host's outputs."""
    nodes = deployment.nodes
    counted = (
        (words.NOT_MEASURED,) * 3
        if nodes is None
        else (words.count(nodes.total), _of_all(nodes.delegated, nodes.total), _of_all(nodes.fallback, nodes.total))
    )
    rows = (
        (
            "Parameters",
            f"{words.count(deployment.parameters_compact)} of {words.count(deployment.parameters_dense)}",
        ),
        (
            "of compressible layers",
            f"{words.count(deployment.compressible_parameters_compact)}"
            f" of {words.count(deployment.compressible_parameters_dense)}",
        ),
        ("Release on the board", words.size(deployment.release_bytes)),
        ("Nodes of the program", counted[0]),
        ("… run by the accelerated backend", counted[1]),
        ("… fallen back", counted[2]),
        (
            "Largest difference, host and device outputs",
            words.number(deployment.host_device_max_abs_difference),
        ),
        ("… as a share of the largest output", words.number(deployment.host_device_max_relative_difference)),
    )
    return Table("The model and its program.", ("", "Value"), rows)


def allocation_table(deployment: Deployment) -> Table:
    """What each layer, and each group of channels, became and what it costs; why its precision, where there are two."""
    mixed = any(choice.alternative or choice.unable for choice in deployment.allocation)
    clock = deployment.latency_ms.clock
    rows = tuple(
        (
            choice.layer,
            choice.choice,
            f"{'–' if choice.rank is None else choice.rank} of {choice.full_rank}",
            choice.precision,
            words.milliseconds(choice.predicted_ms),
            words.milliseconds(choice.dense_ms),
            words.milliseconds(choice.dense_ms - choice.predicted_ms),
            words.number(choice.loss_nats),
            words.size(choice.weight_bytes),
            *((_why(choice),) if mixed else ()),
        )
        for choice in deployment.allocation
    )
    gap = f"at most {words.share(deployment.bound_gap, 2)} below the best possible gain"
    bound = gap if math.isfinite(deployment.bound_gap) else "distance from the best possible gain unknown"
    caption = f"Allocation: {deployment.allocator}, {bound}"
    if any(choice.choice == "channels" for choice in deployment.allocation):
        caption += "; channels: the difference that removing them makes to the layers that share them, listed as dense"
    if any(choice.choice == "removed" for choice in deployment.allocation):
        caption += "; removed: a residual block, in place of its layers"
    if mixed:
        layers = [choice for choice in deployment.allocation if choice.alternative or choice.unable]
        left = sum(choice.precision != "fp32" for choice in layers)
        caption += f"; {left} of {len(layers)} layers leave fp32"
    head: tuple[str, ...] = (
        "Layer",
        "Choice",
        "Rank",
        "Precision",
        "Predicted",
        "Dense",
        "Gained",
        "Loss paid, nats",
        "Weights",
    )
    head += ("Why this precision",) if mixed else ()
    return Table(words.with_clock(caption, clock) + ".", head, rows)


def facts_table(facts: dict[str, Any]) -> Table:
    """What the live board said of itself."""
    rows = tuple(
        (key, words.fact(key, value)) for key, value in flat(facts).items() if not key.startswith("conditions ")
    )
    return Table("The board, as it described itself.", ("Fact", "Value"), rows)


def conditions_table(conditions: dict[str, Any]) -> Table:
    """What moves latencies, before and after they were measured."""
    sides = [flat(part) if isinstance(part := conditions.get(side), dict) else {} for side in ("before", "after")]
    keys = dict.fromkeys(key for side in sides for key in side)
    rows = [
        (key, *(words.fact(key, side[key]) if key in side else words.NOT_MEASURED for side in sides)) for key in keys
    ]
    rest = {key: value for key, value in conditions.items() if key not in ("before", "after")}
    rows += [(key, words.fact(key, value), "") for key, value in flat(rest).items()]
    return Table("Conditions of the measurement.", ("Condition", "Before", "After"), tuple(rows))


def run_table(deployment: Deployment) -> Table:
    """What is needed to do this run again."""
    verified = "deployed to by this project's tests" if deployment.target_verified else "not verified"
    rows = (
        ("Made", deployment.created_at),
        ("Toolkit", deployment.toolkit_version),
        ("Target", f"{deployment.target} ({verified})"),
        ("Runtime", f"{deployment.runtime} {deployment.runtime_version}"),
        ("Seed", str(deployment.seed)),
        ("Model", deployment.model),
        ("Task", f"{deployment.task}, {deployment.learned_from}"),
        ("Classes", ", ".join(deployment.classes)),
        ("Release", (deployment.release or "none") + (" (active)" if deployment.active else " (not active)")),
        ("Schema", str(deployment.schema_version)),
    )
    return Table("Versions and seed.", ("", "Value"), rows)


def flat(facts: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"runtimes": {"a": 1}}` -> `{"runtimes a": 1}`."""
    out: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            out.update(flat(value, f"{prefix}{key} "))
        else:
            out[f"{prefix}{key}"] = value
    return out


def _bytes_row(name: str, quantity: Bytes) -> tuple[str, ...]:
    return (
        name,
        _budget(quantity.budget, words.size, quantity.source),
        words.size(quantity.predicted),
        words.size(quantity.measured),
        _held(quantity.measured, quantity.budget),
        words.size(quantity.dense),
    )


def _accuracy_row(name: str, accuracy: Accuracy | None, over_all: Iterable[str], of_right: bool) -> tuple[str, ...]:
    if accuracy is None:
        return (name, words.NOT_MEASURED, *("" for _ in over_all), "", "", "", "")
    interval = words.wilson(accuracy.value, accuracy.examples) if of_right else ""
    counted = words.count(accuracy.examples)
    measured = (words.share(each) if each is not None else "" for each in map(accuracy.over_all.get, over_all))
    return (name, words.share(accuracy.value), *measured, interval, accuracy.data, counted, accuracy.ran_on)


def _of_all(nodes: int, total: int) -> str:
    return f"{words.count(nodes)} ({words.share(nodes / total)})" if total else words.count(nodes)


def _why(choice: LayerChoice) -> str:
    """What the other precision would take and lose, beside what was chosen."""
    other = choice.alternative
    if choice.unable:
        return "the runtime has nothing else for it"
    if other is None:
        return "–"
    saved_ms = choice.predicted_ms - other.predicted_ms
    lost = "" if other.loss_nats is None else words.number(abs(other.loss_nats - choice.loss_nats))
    if choice.precision != "fp32":
        said = "less" if saved_ms < 0 else "more"
        return f"{words.milliseconds(abs(saved_ms))} {said} than in fp32" + (f", for {lost} nats" if lost else "")
    if saved_ms <= 0:
        return f"no gain: {other.precision} takes {words.milliseconds(-saved_ms)} more"
    return f"{other.precision} takes {words.milliseconds(saved_ms)} less" + (f", but loses {lost} nats" if lost else "")


def _budget(value: float | None, say: Any, source: str) -> str:
    return "none" if value is None else f"{say(value)} ({source})"


def _held(value: float | None, budget: float | None) -> str:
    if value is None or budget is None:
        return "–"
    return "yes" if value <= budget else words.excess(value, budget)
