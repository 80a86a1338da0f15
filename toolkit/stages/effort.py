"""How much training and measuring a network is worth by default: what a small one takes, within minutes for a large."""

from dataclasses import dataclass

import torch

from toolkit.compression import matrix
from toolkit.compression.rows import input_rows
from toolkit.profiling import input_shapes
from toolkit.request import USUAL_RECOVERY_STEPS
from toolkit.stages.load import Job

_BATCH, _SMALL_BATCH, _FEWEST_STEPS = 64, 16, 20
# Passes through the network a step: the teacher's, and the student's forward and (twice as dear) backward.
_PASSES = 4
# Multiplications that recovery may take: some two minutes of two cores. A ResNet-20 for 32 x 32 takes 4.2e12 in all of
# its 400 steps; a ResNet-18 for 224 x 224 would take 1.8e14.
_RECOVERY_MACS = 4.5e12
# A true loss is measured on fewer examples than calibration takes, three compact models a layer are run on them: on so
# many multiplications, where a network is that large; with fewer examples one loss could not be told from another.
_LOSS_MACS, _FEWEST_LOSS_EXAMPLES, _LOSS_EXAMPLES = 10e9, 32, 256


@dataclass(frozen=True)
class Effort:
    """Steps of recovery, and the examples of each."""

    steps: int
    batch: int


USUAL_EFFORT = Effort(USUAL_RECOVERY_STEPS, _BATCH)


def recovery_effort(job: Job, asked: int | None) -> Effort:
    """What was asked for, else as many steps as a network of that size is given: fewer, of fewer examples, if large."""
    if asked is not None:
        return Effort(asked, _BATCH)
    affordable = _RECOVERY_MACS / (_PASSES * max(1, macs(job)))
    if affordable >= USUAL_EFFORT.steps * USUAL_EFFORT.batch:
        return USUAL_EFFORT
    steps = int(affordable / _SMALL_BATCH)
    return Effort(min(max(steps, _FEWEST_STEPS), USUAL_RECOVERY_STEPS), _SMALL_BATCH)


def loss_examples(job: Job) -> int:
    """On how many examples a true loss is measured, where there are so many."""
    return min(max(int(_LOSS_MACS / max(1, macs(job))), _FEWEST_LOSS_EXAMPLES), _LOSS_EXAMPLES)


def macs(job: Job) -> int:
    """Multiplications of the layers that may become compact, for one example."""
    return sum(of * matrix(job.layers[name]).numel() for name, of in rows_of(job).items())


def rows_of(job: Job) -> dict[str, int]:
    """How many inputs of its matrix each layer sees in one example."""
    shapes = input_shapes(job.network.backbone, job.layers, job.example)
    return {name: sum(map(len, input_rows(layer, torch.zeros(shapes[name])))) for name, layer in job.layers.items()}
