"""The allocator `search` tries models for real: its reward is their accuracy, and it remembers each."""

from functools import partial

from toolkit.cache import digest
from toolkit.choice import Selection
from toolkit.compression import Allocator, allocate_search
from toolkit.kept import keep, open_kept
from toolkit.request import Request
from toolkit.sources import code_digest
from toolkit.stages.accuracy import expected_accuracy, judged_on
from toolkit.stages.learn import Learned
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch


def searcher(job: Job, learned: Learned, request: Request, watch: Watch) -> Allocator:
    """`search` on this job: rewarded by accuracy before recovery on what a choice may be made by.

    A model that was judged once is not judged again: not under other limits, nor after an interruption.
    """
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(*packages, "toolkit.stages.accuracy", "toolkit.stages.spectra", "toolkit.stages.worth")
    kept = open_kept("search", digest(job.key, job.groups, request.curve, request.seed, code))

    arithmetics = learned.profile.precisions.arithmetics

    def accuracy(chosen: Selection) -> float:
        return keep(kept, chosen.key, lambda: expected_accuracy(job, learned.worth.parts, chosen, arithmetics))

    watch.progress.note(f"searching for ranks by the accuracy on {judged_on(job)}")
    return partial(allocate_search, accuracy=accuracy, seed=request.seed, on_progress=watch.progress.advance)
