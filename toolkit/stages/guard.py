"""Examples that a release carries of what its network knew before: by these a board tells what learning costs."""

import torch

from toolkit.adaptation import features_of
from toolkit.runtimes.learning import Guard
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch
from toolkit.units import format_bytes

# A hundred tell a share of one in a hundred. More take longer than what a board learns from, or its disk.
_FEWEST, _MOST, _MOST_BYTES = 100, 128, 2_000_000


def guard(job: Job, max_forgetting: float, watch: Watch) -> Guard | None:
    """Some of the general data, of the part that nothing is trained on; where the board's head is the network's own.

    A head that starts from a task's examples says nothing of the classes that the network knew, and a score that is no
    share has no share that may be lost. None, too, where all may be forgotten; a note says where there could be some.
    """
    general = job.task.general_query
    if general is None or job.start != "pretrained" or max_forgetting >= 1:
        return None
    each = sum(tensor[:1].nbytes for tensor in general.x)
    most = min(_MOST, _MOST_BYTES // each, len(general))
    if most < _FEWEST:
        why = f"an example is {format_bytes(each)}" if len(general) >= _FEWEST else f"there are {len(general)}"
        watch.note_once(
            f"the board cannot tell what learning forgets: {_FEWEST} general examples that nothing is trained on, of "
            f"{format_bytes(_MOST_BYTES)} together, would go there, and {why}"
        )
        return None
    drawn = general[torch.randperm(len(general), generator=torch.Generator().manual_seed(0))[:most]]
    scores = job.objective.score(job.general_logits(features_of(job.network.backbone, drawn.x)), drawn.y)
    if not ((scores >= 0) & (scores <= 1)).all():
        return None
    return Guard(drawn.x, drawn.y, max_forgetting)
