"""The page of `deploy plan --frontier`: one figure and its table."""

import plotly.graph_objects as go

from toolkit.frontier import Frontier
from toolkit.report import words
from toolkit.report.plot_style import BLUE, GREEN, GREY, ORANGE, PINK, finished, mark, title_axes
from toolkit.report.sections import Section
from toolkit.report.tables import Table

# the allocator that is proved in the strongest line, those to compare with broken ones
_LINES = {
    "exact": (BLUE, "solid", "circle"),
    "greedy": (GREEN, "solid", "square"),
    "uniform": (ORANGE, "dash", "triangle-up"),
    "magnitude": (PINK, "dash", "diamond"),
    "random": (GREY, "dot", "x"),
}


def frontier_section(frontier: Frontier) -> Section:
    """Accuracy against predicted latency, with what was measured, and every number."""
    says = (
        f"What each allocator chooses for {frontier.target} under the same limits of the predicted median, and the true"
        f" accuracy of that on {frontier.judged_on}, before any core is trained. Rings: measured on the board."
    )
    rows = tuple(
        (
            point.allocator,
            words.milliseconds(point.limit_ms),
            words.milliseconds(point.predicted_ms),
            words.milliseconds(point.measured_ms),
            words.share(point.accuracy),
            words.size(point.size_bytes),
            words.share(point.gain_gap, 2),
            f"{point.compact_layers} of {frontier.layers}",
        )
        for point in (frontier.dense, *frontier.points)
    )
    head = ("Allocator", "Limit", "Predicted", "Measured", "Accuracy", "Size", "Gain missing", "Compact layers")
    caption = words.with_clock("Every allocator at every limit of the median latency", frontier.clock)
    return Section("frontier", "Accuracy against latency", says, _plot(frontier), Table(f"{caption}.", head, rows))


def _plot(frontier: Frontier) -> go.Figure:
    figure = go.Figure()
    for name, (colour, dash, symbol) in _LINES.items():
        points = sorted((p for p in frontier.points if p.allocator == name), key=lambda p: p.predicted_ms)
        if points:
            figure.add_scatter(
                x=[p.predicted_ms for p in points],
                y=[100 * p.accuracy for p in points],
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                marker={"symbol": symbol, "size": 8},
                name=name,
                hovertemplate="%{x:.3g} ms, %{y:.1f} %",
            )
    measured = [p for p in frontier.points if p.measured_ms is not None]
    if measured:
        figure.add_scatter(
            x=[p.measured_ms for p in measured],
            y=[100 * p.accuracy for p in measured],
            mode="markers",
            marker={"symbol": "circle-open", "size": 15, "color": GREY},
            name="measured",
            hovertemplate="measured %{x:.3g} ms, %{y:.1f} %",
        )
    mark(figure, "dense", frontier.dense.predicted_ms, 100 * frontier.dense.accuracy)
    title_axes(figure, words.with_clock("predicted median, ms", frontier.clock), "accuracy before recovery, %")
    return finished(figure, 460)
