"""Put a page together: one file that asks nothing of any network."""

import base64
import gzip
import math
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import plotly

from toolkit.deployment import Deployment
from toolkit.frontier import Frontier
from toolkit.report import tables
from toolkit.report.frontier import frontier_section
from toolkit.report.sections import sections
from toolkit.report.verdict import verdict
from toolkit.report.words import clock_note

_FOLDER = Path(__file__).parent


def write_report(deployment: Deployment, path: Path) -> None:
    """Write `report.html`: everything in the result, readable offline, in light, dark and print."""
    path.write_text(render(deployment), encoding="utf-8")


def render(deployment: Deployment) -> str:
    """The page. Plotly is left out where there is nothing to draw."""
    drawn = sections(deployment)
    template = _environment().get_template("report.html.j2")
    return template.render(
        deployment=deployment,
        verdict=verdict(deployment),
        budgets=tables.budget_table(deployment),
        accuracies=tables.accuracy_table(deployment),
        sections=drawn,
        figures=_finite({section.name: section.figure.to_plotly_json() for section in drawn}),
        adaptation_facts=tables.adaptation_table(deployment),
        allocation=tables.allocation_table(deployment),
        model=tables.model_table(deployment),
        facts=tables.facts_table(deployment.device_facts),
        conditions=tables.conditions_table(deployment.conditions),
        run=tables.run_table(deployment),
        raw=deployment.model_dump_json(indent=2),
        plotly=_packed_plotly() if drawn else "",
        clock=clock_note(deployment.latency_ms.clock),
    )


def write_frontier(frontier: Frontier, path: Path) -> None:
    """Write `frontier.html`, as self-contained as the report."""
    section = frontier_section(frontier)
    page = (
        _environment()
        .get_template("frontier.html.j2")
        .render(
            frontier=frontier,
            section=section,
            figures=_finite({section.name: section.figure.to_plotly_json()}),
            plotly=_packed_plotly(),
            clock=clock_note(frontier.clock),
        )
    )
    path.write_text(page, encoding="utf-8")


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,  # for every name: select_autoescape does not know `.j2`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _packed_plotly() -> str:
    """plotly.js (4.8 MB) as base64 of gzip (2 MB): browsers unpack it themselves, and mail takes it."""
    source = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return base64.b64encode(gzip.compress(source.read_bytes(), mtime=0)).decode("ascii")


def _finite(value: Any) -> Any:
    """The same tree with null for NaN and infinity, which JSON does not know: Plotly leaves a gap."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
