"""Stage 7: put the bundle on the board and verify every digest there. Nothing is activated yet."""

from toolkit.devices import release
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.probe import Board
from toolkit.stages.watch import Watch


def install(board: Board, bundle: Bundle, watch: Watch) -> None:
    """Push what the board does not have. Raises BoardError; the board then serves what it served before."""
    with watch.stage("install"):
        pushed = release.install(board.agent, bundle.folder, bundle.digest, watch.progress.advance)
        watch.was_cached = not pushed
