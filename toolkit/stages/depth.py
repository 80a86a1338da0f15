"""Stage 4, with compression.depth: what each residual block is worth beside components and channels."""

from dataclasses import replace

from toolkit.cache import digest
from toolkit.choice import REMOVED, Choice
from toolkit.compression import GainCurve
from toolkit.kept import open_kept
from toolkit.sources import code_digest
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch
from toolkit.stages.worth import Worth, recall_losses


def with_blocks(job: Job, worth: Worth, seed: int, watch: Watch) -> Worth:
    """`worth` with what each block gains: the true loss of the network without that block alone, nats an example.

    Losses are kept one by one.
    """
    if not job.blocks:
        return worth
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(*packages, "toolkit.stages.worth", "toolkit.stages.statistics", __name__)
    kept = open_kept("true-loss", digest(job.key, job.blocks, seed, code))
    choices: dict[str, tuple[Choice, ...]] = dict.fromkeys(job.blocks, (REMOVED,))
    losses, known_before = recall_losses(kept, job, dict(job.blocks), choices, seed, watch)
    watch.was_cached = watch.was_cached and known_before
    gains = {name: GainCurve(name, {REMOVED: 0.0}, max(0.0, of_block[REMOVED])) for name, of_block in losses.items()}
    return replace(worth, blocks=job.blocks, gains={**worth.gains, **gains})
