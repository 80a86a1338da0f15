"""The allocator `search` tries models for real: its reward is their accuracy, and it remembers each."""

import json
from functools import partial
from pathlib import Path

from toolkit.cache import cache_folder, digest
from toolkit.compression import Allocator, allocate_search
from toolkit.profiling.latency_model import Ranks
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
    kept = _file(job, request)
    known = _judged(kept)

    def accuracy(ranks: Ranks) -> float:
        key = str(sorted(ranks.items()))
        if key not in known:
            known[key] = expected_accuracy(job, learned.worth.parts, ranks)
            with kept.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps([key, known[key]]) + "\n")
        return known[key]

    watch.progress.note(f"searching for ranks by the accuracy on {judged_on(job)}")
    return partial(allocate_search, accuracy=accuracy, seed=request.seed, on_progress=watch.progress.advance)


def _file(job: Job, request: Request) -> Path:
    """Named by all that an accuracy depends on beside the ranks."""
    code = code_digest("toolkit.compression", "toolkit.distillation", "toolkit.stages.accuracy")
    folder = cache_folder() / "search"
    folder.mkdir(exist_ok=True)
    return folder / f"{digest(job.key, job.groups, request.curve, request.seed, code)}.jsonl"


def _judged(file: Path) -> dict[str, float]:
    """By the ranks; a line that an interruption cut short is judged again."""
    known: dict[str, float] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            key, accuracy = json.loads(line)
        except ValueError:
            continue
        known[key] = accuracy
    return known
