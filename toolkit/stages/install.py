"""Stage 7: put the bundle on the board and verify every digest there. Nothing is activated yet."""

from pathlib import Path

from toolkit.devices.releases import release
from toolkit.devices.releases.signature import signed
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.probe import Board
from toolkit.stages.watch import Watch
from toolkit.units import format_bytes


def install(board: Board, bundle: Bundle, key: Path | None, watch: Watch) -> None:
    """Send what the board does not have, signed by `key` if one is given.

    Raises BoardError; the board then serves what it served before.
    """
    with watch.stage("install"):
        if key:
            with signed(bundle.folder, key) as signature:
                done = release.install(board.home, bundle.folder, watch.progress.advance, signature)
        else:
            done = release.install(board.home, bundle.folder, watch.progress.advance)
        watch.was_cached = done.was_there
        if not done.was_there:
            watch.progress.note(f"{format_bytes(done.sent_bytes)} sent")
