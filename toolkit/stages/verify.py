"""Stage 8: prove on the board that the release computes what the host does and fits its budget; then activate it."""

from toolkit import profiling
from toolkit.devices import journal
from toolkit.devices.applications import offer, offer_reader
from toolkit.devices.python_agent import board_python
from toolkit.devices.releases import release
from toolkit.devices.releases.plain import write_plain
from toolkit.profiling import Accepted, Budget
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.probe import Board
from toolkit.stages.watch import Watch


def verify(board: Board, bundle: Bundle, budget: Budget, watch: Watch) -> Accepted:
    """What the board measured of an installed release, and every reason to refuse it."""
    with watch.stage("verify"):
        return profiling.accept(
            board.agent,
            bundle.digest,
            bundle.inference_bytes,
            budget,
            tolerance=bundle.tolerance,
            threads=board.target.threads,
            clock=board.target.family.clock,
        )


def conclude(board: Board, bundle: Bundle, accepted: Accepted, watch: Watch) -> None:
    """Activate the release by one rename if it is accepted, else take it off the board."""
    if accepted.refusals:
        for refusal in accepted.refusals:
            watch.progress.note(f"refused: {refusal.reason}")
        release.remove(board.home, bundle.digest)
        reasons = [refusal.reason for refusal in accepted.refusals]
        journal.note(board.home, "refused", release=bundle.digest, reasons=reasons)
    else:
        offer(board.agent)
        made = bundle.manifest["preprocessing"] or {}
        if "tokenizer" in made or made.get("kind") == "images":
            offer_reader(board.agent, made["kind"], board_python(board.target), board.facts, watch.note)
        write_plain(board.agent, bundle.digest)
        release.activate(board.home, bundle.digest)
        measured = {"p95_ms": accepted.measurement.p95_ms, "bytes": bundle.inference_bytes}
        journal.note(board.home, "activated", release=bundle.digest, **measured)
        release.collect(board.home, board.target.keep_releases)
