"""The frontier's page holds every number and asks nothing of any network."""

import re
from pathlib import Path

from toolkit.frontier import Chosen, Frontier
from toolkit.report import write_frontier


def chosen(allocator: str, predicted_ms: float, measured_ms: float | None = None) -> Chosen:
    return Chosen(
        allocator=allocator,
        limit_ms=2.0,
        predicted_ms=predicted_ms,
        measured_ms=measured_ms,
        size_bytes=40_000,
        peak_bytes=9_000_000,
        accuracy=0.873,
        gain_gap=0.0123,
        compact_layers=3,
    )


def test_every_allocator_is_drawn_and_said(tmp_path: Path) -> None:
    frontier = Frontier(
        target="emulated-pi",
        runtime="onnxruntime",
        runtime_version="1.31.1",
        model="m",
        task="digits <7-9>",
        seed=0,
        clock="instructions",
        judged_on="316 held-out examples of the general classes",
        layers=17,
        dense=chosen("dense", 4.0, 4.0),
        points=(chosen("exact", 1.9, 1.95), chosen("greedy", 1.8), chosen("random", 1.7)),
    )
    write_frontier(frontier, tmp_path / "frontier.html")
    page = (tmp_path / "frontier.html").read_text()
    for said in ("exact", "greedy", "random", "1.95 ms", "not measured", "87.3 %", "1.23 %", "3 of 17"):
        assert said in page
    assert "digits &lt;7-9&gt;" in page
    assert "not wall time" in page
    assert not re.search(r"""(?:src|href)=["']https?:""", page)
