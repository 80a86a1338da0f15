"""What all figures of the report share.

Colours of text and grid come from the page's CSS: it knows light, dark and print. Plotly reads `<b>` and
`<a href>` inside its texts, so every string of the user goes through `plain`.
"""

import html

import plotly.graph_objects as go

from toolkit.deployment import Latency
from toolkit.report import words

# distinguishable to colour-blind eyes (Okabe and Ito), and on white as on near-black
BLUE, ORANGE, GREEN, PINK, GREY = "#2f86c9", "#e08a1e", "#12a37a", "#cc79a7", "#8a8f98"
NAMED = {"dense": ("star", GREY), "deployed": ("diamond", GREEN)}  # points of the frontier with a name
BAR_PX = 24
_NAME_LETTERS = 22


def mark(figure: go.Figure, name: str, x: float, y: float) -> None:
    """One of the NAMED models, with its own symbol in the legend."""
    symbol, colour = NAMED[name]
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers",
        marker={"symbol": symbol, "size": 14, "color": colour},
        name=name,
        hovertemplate="%{x:.3g}, %{y:.3g}",
    )


def name_rows(figure: go.Figure, names: list[str]) -> None:
    """Row i is called names[i], first on top: by place, because two layers may be shortened to one name."""
    own = _without_shared_parent(names)
    short = [name if len(name) <= _NAME_LETTERS else "…" + name[1 - _NAME_LETTERS :] for name in own]
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[plain(name) for name in short],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        ticks="outside",
        ticklen=6,
        tickcolor="rgba(0,0,0,0)",  # a gap between name and bar
    )


def latency_title(text: str, latency: Latency) -> str:
    """An axis title that says which clock it is, where it is not the wall's."""
    note = words.clock_note(latency.clock)
    if not note:
        return text
    lines = note.replace(", ", ",<br>")  # a phone is 40 letters wide
    return f"{text}<br><span style='font-size:11px'>{lines}</span>"


def title_axes(figure: go.Figure, x: str, y: str) -> None:
    """Titles of both axes."""
    figure.update_xaxes(title={"text": x})
    figure.update_yaxes(title={"text": y})


def plain(text: str) -> str:
    """The text as Plotly must be given it to show just that."""
    return html.escape(text, quote=False)


def finished(figure: go.Figure, height_px: int) -> go.Figure:
    """The figure as wide as its place, without colours that only suit one background."""
    figure.update_xaxes(automargin=True, zeroline=False, fixedrange=True)
    figure.update_yaxes(automargin=True, zeroline=False, fixedrange=True)
    figure.update_layout(
        template="none",
        height=height_px,
        autosize=True,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        font={"family": "system-ui, sans-serif", "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )
    return figure


def _without_shared_parent(names: list[str]) -> list[str]:
    """`backbone.` before every name tells nothing: leave out the parents that all names share."""
    parents = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = 0
    for level in parents:
        if len(set(level)) > 1:
            break
        shared += 1
    return [".".join(name.split(".")[shared:]) for name in names]
