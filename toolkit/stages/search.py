"""The allocator that tries models for real: what it is rewarded with, and what it remembers."""

from functools import partial

from toolkit.compression import Allocator, allocate_search
from toolkit.profiling.latency_model import Ranks
from toolkit.stages.accuracy import expected_accuracy, judged_on
from toolkit.stages.learn import Learned
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch


def searcher(job: Job, learned: Learned, seed: int, watch: Watch) -> Allocator:
    """`search` on this job: rewarded by accuracy before recovery on what a choice may be made by.

    A model that was judged once is not judged again, also when the allocator is asked under other limits.
    """
    known: dict[str, float] = {}

    def accuracy(ranks: Ranks) -> float:
        key = str(sorted(ranks.items()))
        if key not in known:
            known[key] = expected_accuracy(job, learned.worth.parts, ranks)
        return known[key]

    watch.progress.note(f"searching for ranks by the accuracy on {judged_on(job)}")
    return partial(allocate_search, accuracy=accuracy, seed=seed, on_progress=watch.progress.advance)
