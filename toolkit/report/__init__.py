"""Draw a run's result as one self-contained HTML page."""

from toolkit.report.html import write_report

__all__ = ["write_report"]
