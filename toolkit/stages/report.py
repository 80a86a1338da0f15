"""Stage 10: result.json and report.html."""

from pathlib import Path

from toolkit.deployment import Deployment, save_deployment
from toolkit.report import write_report
from toolkit.stages.watch import Watch


def report(result: Deployment, folder: Path, watch: Watch) -> None:
    """Write both files into `folder`, which is created."""
    with watch.stage("report"):
        folder.mkdir(parents=True, exist_ok=True)
        save_deployment(result, folder / "result.json")
        write_report(result, folder / "report.html")
