"""Examples that a release carries of what its network knew before: by these a board tells what learning costs."""

import torch

from toolkit.runtimes.learning import Guard
from toolkit.stages.load import Job

# As few as these tell little of a share; more take longer than what a board learns from, or its disk.
_FEWEST, _MOST, _MOST_BYTES = 32, 128, 2**20


def guard(job: Job, max_forgetting: float) -> Guard | None:
    """Some of the general data, of the part that nothing is trained on; where the board's head is the network's own.

    A head that starts from a task's examples says nothing of the classes that the network knew.
    """
    general = job.task.general_query
    if general is None or job.start != "pretrained":
        return None
    most = min(_MOST, _MOST_BYTES // sum(each[:1].nbytes for each in general.x))
    if min(most, len(general)) < _FEWEST:
        return None
    drawn = torch.randperm(len(general), generator=torch.Generator().manual_seed(0))[:most]
    return Guard(general.x[drawn], general.y[drawn], max_forgetting)
