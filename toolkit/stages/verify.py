"""Stage 8: prove on the board that the release computes what the host does and fits its budget; then activate it."""

from toolkit import profiling
from toolkit.devices.releases import release
from toolkit.profiling import Accepted, Budget
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.probe import Board
from toolkit.stages.watch import Watch


def verify(board: Board, bundle: Bundle, budget: Budget, watch: Watch) -> Accepted:
    """Activate the release by one rename if it is accepted, else take it off the board."""
    with watch.stage("verify"):
        accepted = profiling.accept(
            board.agent,
            bundle.digest,
            bundle.inference_bytes,
            budget,
            threads=board.target.threads,
            clock=board.target.family.clock,
        )
        if accepted.refusals:
            for refusal in accepted.refusals:
                watch.progress.note(f"refused: {refusal.reason}")
            release.remove(board.home, bundle.digest)
        else:
            release.activate(board.home, bundle.digest)
            release.collect(board.home, board.target.keep_releases)
        return accepted
