"""Nothing is run twice: the file that EDGE_DEPLOY_PROVEN names lists tests that passed, and takes in those that now do.

CI runs `make test` where hardly a program is installed, and then `make test-all` for what that left out or skipped.
"""

import os
from pathlib import Path

import pytest


def file() -> Path | None:
    """The list, if one is kept."""
    name = os.environ.get("EDGE_DEPLOY_PROVEN")
    return Path(name) if name else None


def part(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those to run, and those that passed before."""
    path = file()
    known = set(path.read_text(encoding="utf-8").splitlines()) if path and path.exists() else set()
    return [item for item in items if item.nodeid not in known], [item for item in items if item.nodeid in known]


def record(report: pytest.TestReport) -> None:
    """Remember a test that passed."""
    in_part = "PYTEST_XDIST_WORKER" in os.environ  # whoever shares out the tests hears of it, too
    if (path := file()) and not in_part and report.when == "call" and report.passed:
        with path.open("a", encoding="utf-8") as kept:
            kept.write(report.nodeid + "\n")
