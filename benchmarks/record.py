"""The form of a benchmark's result: figures with their goals, every row, and the conditions they were made under."""

import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("torch", "onnxruntime", "executorch", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Figure:
    """One claim: what came out, what was hoped for, and how it was made."""

    value: float
    goal: str
    met: bool
    how: str


def write(
    name: str, figures: dict[str, Figure], rows: list[dict[str, Any]], *, seeds: list[int], started: float
) -> None:
    """Print the figures and write `results/<name>.json`. `started` is `time.monotonic()` at the beginning."""
    versions = {package: _version(package) for package in _PACKAGES}
    conditions = {
        "versions": {"python": platform.python_version(), **versions},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_cpu()}",
        "seeds": seeds,
        "wall_seconds": round(time.monotonic() - started, 1),
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(_text(figures, rows, conditions), encoding="utf-8")
    table = Table(title=f"{name}: {conditions['machine']}, {conditions['wall_seconds']} s")
    for column in ("figure", "value", "goal", "met"):
        table.add_column(column)
    for key, figure in figures.items():
        table.add_row(key, f"{figure.value:.4g}", figure.goal, "yes" if figure.met else "NO")
    Console().print(table)


def _text(figures: dict[str, Figure], rows: list[dict[str, Any]], conditions: dict[str, Any]) -> str:
    """JSON with a line a row: hundreds of them are read, and compared, by line."""
    head = {"figures": {key: vars(figure) for key, figure in figures.items()}, "rows": [], "conditions": conditions}
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    return json.dumps(head, indent=1).replace('"rows": []', f'"rows": [\n{lines}\n ]') + "\n"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown CPU"
