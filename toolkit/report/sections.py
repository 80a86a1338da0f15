"""A figure with its sentence and its table: what a reader who cannot see the figure reads instead."""

from collections import Counter
from dataclasses import dataclass

import plotly.graph_objects as go

from toolkit.deployment import Adaptation, Deployment
from toolkit.report import plots, words
from toolkit.report.tables import Table


@dataclass(frozen=True)
class Section:
    """`name` is the element's id; `says` stands under the title and is the figure's alternative text."""

    name: str
    title: str
    says: str
    figure: go.Figure
    table: Table


def sections(deployment: Deployment) -> list[Section]:
    """The figures this result has data for, in the order of the page."""
    found: list[Section] = []
    if deployment.frontier:
        found.append(_accuracy(deployment))
    if deployment.allocation:
        found.append(_ranks(deployment))
    if deployment.adaptation is not None and deployment.adaptation.curve:
        found.append(_adaptation(deployment.adaptation))
    if deployment.frontier:
        found.append(_prediction(deployment))
    if deployment.stages:
        found.append(_stages(deployment))
    return found


def _accuracy(deployment: Deployment) -> Section:
    points = sorted(deployment.frontier, key=lambda point: point.latency_ms)
    on = "general" if deployment.accuracy and deployment.accuracy.general_dense else "task"
    classes = "task's or general" if deployment.accuracy is None else on
    says = (
        f"Whole models timed on {deployment.target}, with their accuracy on the {classes} classes:"
        " as factorised, and after their cores were trained."
    )
    rows = tuple(
        (
            point.label,
            words.milliseconds(point.latency_ms),
            words.share(point.accuracy),
            words.size(point.size_bytes),
            "yes" if point.recovered else "no",
        )
        for point in points
    )
    caption = words.with_clock("Models of the frontier, by measured median latency", deployment.latency_ms.clock)
    table = Table(caption + ".", ("Model", "Measured", "Accuracy", "Size", "Recovered"), rows)
    return Section("accuracy", "Accuracy against latency", says, plots.accuracy_plot(deployment), table)


def _ranks(deployment: Deployment) -> Section:
    kinds = Counter(choice.choice for choice in deployment.allocation)
    says = (
        f"{kinds['compact']} of {kinds['compact'] + kinds['dense']} layers are compact, the others dense"
        + (f"; residual blocks that are gone: {kinds['removed']}" if kinds["removed"] else "")
        + (f"; groups of channels that are cut: {kinds['channels']}" if kinds["channels"] else "")
        + ". Bars: rank kept, as share of the full rank. Diamonds: the layer's share of the loss that is expected"
        " before recovery."
    )
    rows = tuple(
        (
            choice.layer,
            "dense" if choice.rank is None else f"{choice.rank} of {choice.full_rank}",
            words.number(choice.loss_nats),
        )
        for choice in deployment.allocation
    )
    table = Table("Rank per layer, and what it is expected to cost.", ("Layer", "Rank", "Loss paid, nats"), rows)
    return Section("ranks", "Rank per layer", says, plots.rank_plot(deployment.allocation), table)


def _adaptation(adaptation: Adaptation) -> Section:
    outcome = "Accepted" if adaptation.accepted else "Not accepted, the installed cores stay"
    says = (
        f"{outcome}: {adaptation.reason}. {words.count(adaptation.trained_values)} values trained;"
        f" support examples held out in {adaptation.folds} folds."
    )
    rows = [(str(point.step), words.number(point.loss), words.share(point.accuracy)) for point in adaptation.curve]
    if (held_out := adaptation.held_out) is not None:
        rows.insert(0, ("before", words.number(held_out.loss_before), words.share(held_out.accuracy_before)))
    caption = f"Held-out examples by step; {adaptation.steps} steps chosen."
    table = Table(caption, ("Step", "Loss, nats", "Accuracy"), tuple(rows))
    return Section("adaptation", "Adaptation on the device", says, plots.adaptation_plot(adaptation), table)


def _prediction(deployment: Deployment) -> Section:
    latency = deployment.latency_ms
    rows = tuple(
        (
            point.label,
            words.milliseconds(point.predicted_ms),
            words.milliseconds(point.latency_ms),
            _error(point.predicted_ms, point.latency_ms),
        )
        for point in deployment.frontier
    )
    says = "Whole models: what the measured times of their layers predict, and what they took on the board."
    caption = words.with_clock("Median latency of whole models", latency.clock)
    table = Table(caption + ".", ("Model", "Predicted", "Measured", "Error"), rows)
    return Section("prediction", "Predicted against measured", says, plots.prediction_plot(deployment), table)


def _stages(deployment: Deployment) -> Section:
    total = sum(stage.seconds for stage in deployment.stages)
    says = f"The run took {words.seconds(total)} of wall time on the workstation and the board."
    rows = tuple(
        (stage.name, words.seconds(stage.seconds), "yes" if stage.cached else "no") for stage in deployment.stages
    )
    table = Table("Wall time of each stage.", ("Stage", "Took", "Cached"), rows)
    return Section("stages", "Where the time went", says, plots.stage_plot(deployment.stages), table)


def _error(predicted: float, measured: float) -> str:
    return f"{100 * (predicted / measured - 1):+.1f} %" if measured else "–"
