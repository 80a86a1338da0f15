"""Draw a run's result, or a frontier, as one self-contained HTML page."""

from toolkit.report.html import write_frontier, write_report

__all__ = ["write_frontier", "write_report"]
