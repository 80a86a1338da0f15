"""One function a figure."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from toolkit.deployment import Adaptation, Deployment, LayerChoice, Stage
from toolkit.report import words
from toolkit.report.plot_style import (
    BAR_PX,
    BLUE,
    GREEN,
    GREY,
    NAMED,
    ORANGE,
    PINK,
    finished,
    latency_title,
    mark,
    name_rows,
    plain,
    title_axes,
)


def accuracy_plot(deployment: Deployment) -> go.Figure:
    """Accuracy (%) against measured median milliseconds, before and after recovery; budgets as lines."""
    figure = go.Figure()
    for recovered, name, colour in ((False, "as factorised", ORANGE), (True, "recovered", BLUE)):
        points = sorted(
            (p for p in deployment.frontier if p.recovered is recovered and p.label not in NAMED),
            key=lambda p: p.latency_ms,
        )
        if not points:
            continue
        figure.add_scatter(
            x=[p.latency_ms for p in points],
            y=[100 * p.accuracy for p in points],
            text=[f"{plain(p.label)}, {words.size(p.size_bytes)}" for p in points],
            mode="lines+markers",
            line={"color": colour, "dash": "solid" if recovered else "dot"},
            marker={"size": 9, "symbol": "circle" if recovered else "circle-open"},
            name=name,
            hovertemplate="%{text}<br>%{x:.3g} ms, %{y:.1f} %",
        )
    for point in deployment.frontier:
        if point.label in NAMED:
            mark(figure, point.label, point.latency_ms, 100 * point.accuracy)
    latency = deployment.latency_ms
    for value, dash, name in (
        (latency.budget, "solid", "budget of p95"),
        (latency.planned_median, "dash", "most planned for the median"),
    ):
        if value is not None:
            figure.add_vline(x=value, line={"color": PINK, "dash": dash, "width": 2})
            figure.add_scatter(  # a line of the layout has no legend of its own on every width
                x=[None], y=[None], mode="lines", line={"color": PINK, "dash": dash}, name=name
            )
    title_axes(figure, latency_title("measured median latency, ms", latency), "accuracy, %")
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(range=_accuracy_range([100 * p.accuracy for p in deployment.frontier]))
    return finished(figure, 400)


def rank_plot(allocation: tuple[LayerChoice, ...]) -> go.Figure:
    """Per choice: bar, the rank or the channels kept, as share of all; diamond, its share of the loss that all cost."""
    places = list(range(len(allocation)))
    names = [plain(c.layer) for c in allocation]
    figure = go.Figure()
    figure.add_bar(
        x=[100] * len(places),
        y=places,
        orientation="h",
        name="full rank",
        marker={"color": "rgba(138,143,152,0.22)"},
        hoverinfo="skip",
    )
    for kind, name, colour in (
        ("compact", "rank kept", BLUE),
        ("channels", "channels kept", GREEN),
        ("removed", "block removed", ORANGE),
        ("dense", "dense", GREY),
    ):
        rows = [(place, c) for place, c in enumerate(allocation) if c.choice == kind]
        shares = [100.0 if c.rank is None else 100 * c.rank / max(c.full_rank, 1) for _, c in rows]
        figure.add_bar(
            x=shares,
            y=[place for place, _ in rows],
            orientation="h",
            name=name,
            marker={"color": colour},
            text=["dense" if c.rank is None else f"{c.rank} of {c.full_rank}" for _, c in rows],
            textposition=["inside" if share > 60 else "outside" for share in shares],  # where there is room
            insidetextanchor="start",
            constraintext="none",
            textangle=0,
            customdata=[names[place] for place, _ in rows],
            hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
    paid = sum(c.loss_nats for c in allocation)
    if paid > 0:
        figure.add_scatter(
            x=[100 * c.loss_nats / paid for c in allocation],
            y=places,
            mode="markers",
            name="share of the loss paid",
            marker={"symbol": "diamond", "size": 10, "color": ORANGE},
            customdata=names,
            hovertemplate="%{customdata}: %{x:.1f} % of the loss<extra></extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0.25)
    title_axes(figure, "% of full rank, % of the loss paid", "")
    figure.update_xaxes(range=[0, 103])
    name_rows(figure, [c.layer for c in allocation])
    return finished(figure, 130 + BAR_PX * len(places))


def adaptation_plot(adaptation: Adaptation) -> go.Figure:
    """Held-out loss (nats) and accuracy (%) by step on the device; dashed, before the first step."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    steps = [point.step for point in adaptation.curve]
    line = {"mode": "lines+markers", "marker": {"size": 6}}
    figure.add_scatter(
        x=steps,
        y=[p.loss for p in adaptation.curve],
        name="held-out loss",
        line_color=BLUE,
        row=1,
        col=1,
        **line,
    )
    if adaptation.training_loss:
        figure.add_scatter(
            x=list(range(1, len(adaptation.training_loss) + 1)),
            y=list(adaptation.training_loss),
            name="training loss, final run",
            line={"color": GREY, "width": 1},
            mode="lines",
            row=1,
            col=1,
        )
    accuracies = [100 * p.accuracy for p in adaptation.curve]
    figure.add_scatter(x=steps, y=accuracies, name="held-out accuracy", line_color=GREEN, row=2, col=1, **line)
    if (held_out := adaptation.held_out) is not None:
        dash = {"dash": "dash", "width": 1.5}
        figure.add_hline(y=held_out.loss_before, line={"color": BLUE, **dash}, row=1, col=1)
        figure.add_hline(y=100 * held_out.accuracy_before, line={"color": GREEN, **dash}, row=2, col=1)
        figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": GREY, **dash}, name="before")
    if adaptation.accepted:
        figure.add_vline(x=adaptation.steps, line={"color": PINK, "width": 2})
        figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": PINK}, name="steps chosen")
    figure.update_yaxes(title={"text": "loss, nats"}, row=1, col=1)
    figure.update_yaxes(title={"text": "accuracy, %"}, row=2, col=1)
    figure.update_xaxes(title={"text": "step on the device"}, rangemode="tozero", row=2, col=1)
    return finished(figure, 460)


def prediction_plot(deployment: Deployment) -> go.Figure:
    """Whole models: measured against predicted median milliseconds; on the diagonal they agree."""
    latency, points = deployment.latency_ms, deployment.frontier
    others = [p for p in points if p.label not in NAMED]
    figure = go.Figure()
    figure.add_scatter(
        x=[p.predicted_ms for p in others],
        y=[p.latency_ms for p in others],
        text=[plain(p.label) for p in others],
        mode="markers",
        marker={"size": 9, "color": BLUE},
        name="model of the frontier",
        hovertemplate="%{text}<br>predicted %{x:.3g} ms, measured %{y:.3g} ms<extra></extra>",
    )
    for point in points:
        if point.label in NAMED:
            mark(figure, point.label, point.predicted_ms, point.latency_ms)
    top = 1.08 * max(max(p.predicted_ms, p.latency_ms) for p in points)
    figure.add_scatter(x=[0, top], y=[0, top], mode="lines", line={"color": GREY, "dash": "dash"}, name="as predicted")
    title_axes(figure, latency_title("predicted median, ms", latency), latency_title("measured median, ms", latency))
    figure.update_xaxes(range=[0, top])
    figure.update_yaxes(range=[0, top])
    return finished(figure, 400)


def stage_plot(stages: tuple[Stage, ...]) -> go.Figure:
    """Wall seconds of each stage on the workstation; grey where an earlier run's work was used again."""
    figure = go.Figure()
    figure.add_bar(
        x=[stage.seconds for stage in stages],
        y=list(range(len(stages))),
        orientation="h",
        marker={"color": [GREY if stage.cached else BLUE for stage in stages]},
        text=[words.seconds(stage.seconds) + (", cached" if stage.cached else "") for stage in stages],
        textposition="auto",
        hoverinfo="skip",
        showlegend=False,
    )
    title_axes(figure, "seconds", "")
    name_rows(figure, [stage.name for stage in stages])
    return finished(figure, 90 + BAR_PX * len(stages))


def _accuracy_range(percents: list[float]) -> list[float]:
    """Room around the points, and never less than 10 points of accuracy: noise must not look like a trend."""
    low, high = min(percents) - 2, max(percents) + 2
    missing = max(0.0, 10 - (high - low)) / 2
    high = min(high + missing, 101.0)
    return [min(low - missing, high - 10), high]
