"""How much training and measuring a network is worth by default: what a small one takes, within minutes for a large."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from edge_runtime.learning import USUAL_STEPS
from toolkit.choice import DENSE, Choice, Precision
from toolkit.compression import choices_to_measure, matrix
from toolkit.compression.rows import input_rows
from toolkit.profiling import input_shapes
from toolkit.request import USUAL_RECOVERY_STEPS
from toolkit.stages.load import Job

_BATCH, _SMALL_BATCH, _FEWEST_STEPS = 64, 16, 20
# Passes through the network a step: the teacher's, and the student's forward and (twice as dear) backward.
_PASSES = 4
# A value that a layer puts out is normalised, rounded and put through its activation, there and back: on two cores with
# AVX-512, steps of a MobileNetV2 and of a ResNet-18 for 224 x 224 took as long as if that were so many multiplications.
_MACS_A_VALUE = 400
# Multiplications that recovery may take: a minute and a half of such cores. A ResNet-20 for 32 x 32 takes 1.2e13 in all
# of its 400 steps; a ResNet-18 for 224 x 224 would take 2.9e14. Of a large network all else takes minutes, too.
_RECOVERY_MACS, _LARGE_RECOVERY_MACS = 1.2e13, 6e12
# A board trains once for each fold and once on everything, all of its examples in each step.
_LEARNING_MACS, _TRAININGS, _FEWEST_LEARNING_STEPS = 4.5e12, 4, 5
# A true loss is measured on fewer examples than calibration takes, three compact models a layer are run on them: on so
# many multiplications, where a network is that large; with fewer examples one loss could not be told from another.
_LOSS_MACS, _FEWEST_LOSS_EXAMPLES, _LOSS_EXAMPLES = 10e9, 32, 256
# From so many multiplications on, each measurement takes seconds: fewer things are measured, each as well as before. A
# MobileNetV2 for 224 x 224 has 2.8e8 in its compressible layers, a ResNet-56 for 32 x 32 has 1.3e8.
_LARGE_MACS = 2.5e8
# Seconds for layers where a clock is noisy: a single layer is soon as well known by a prediction as by another
# measurement, and whole models, which are timed later, say more. All layers dense are timed whatever it takes.
_LAYERS_S, _FEW_LAYERS_S = 60.0, 20.0

# Nats an example that a network loses before it is trained: less is no reason to train it.
NOTICEABLE = 0.01

_Choices = dict[str, tuple[Choice, ...]]


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
    affordable = (_LARGE_RECOVERY_MACS if is_large(job) else _RECOVERY_MACS) / (_PASSES * max(1, _step_macs(job)))
    if affordable >= USUAL_EFFORT.steps * USUAL_EFFORT.batch:
        return USUAL_EFFORT
    steps = int(affordable / _SMALL_BATCH)
    return Effort(min(max(steps, _FEWEST_STEPS), USUAL_RECOVERY_STEPS), _SMALL_BATCH)


def wants_training(
    job: Job, chosen: Mapping[str, Choice], lost_nats: Callable[[Precision], float], asked: int | None
) -> bool:
    """Whether recovery pays for what was chosen: not for a network that is as it was.

    Nor, unless steps were asked for, for a large one that stays dense and loses nothing that is noticed.
    """
    if all(choice == DENSE for choice in chosen.values()):
        return False
    if asked is not None or not is_large(job) or any(choice.form != "dense" for choice in chosen.values()):
        return True
    return not loses_little(chosen, lost_nats)


def loses_little(dense: Mapping[str, Choice], lost_nats: Callable[[Precision], float]) -> bool:
    """Whether a network whose layers are all dense loses nothing that is noticed by their precisions."""
    return all(lost_nats(each) <= NOTICEABLE for each in {choice.precision for choice in dense.values()} - {"fp32"})


def learning_steps(job: Job, asked: int | None) -> int:
    """What was asked for, else as many steps on a board as a network of that size is given: fewer, if large."""
    if asked is not None or not is_large(job):
        return USUAL_STEPS if asked is None else asked
    runs = _TRAININGS * len(job.task.support)
    return min(max(int(_LEARNING_MACS / (_PASSES * runs * macs(job))), _FEWEST_LEARNING_STEPS), USUAL_STEPS)


def loss_examples(job: Job) -> int:
    """On how many examples a true loss is measured, where there are so many."""
    return min(max(int(_LOSS_MACS / max(1, macs(job))), _FEWEST_LOSS_EXAMPLES), _LOSS_EXAMPLES)


def is_large(job: Job) -> bool:
    """Whether every measurement of this network takes so long that only those are made which tell most."""
    return macs(job) >= _LARGE_MACS


def ranks_worth_a_loss(job: Job, offered: _Choices) -> _Choices:
    """Of each layer's choices: the smallest, a middle and the largest; of a large network no middle one.

    Fewer examples would tell less. On a ResNet-20 for CIFAR-10, logarithms of losses drawn through all three were 0.42
    off (standard deviation) from those of 512 examples when measured on 32 of them, 0.65 on 16; those drawn through the
    ends on 32 were 0.45 off, and estimates that nothing corrects 0.63.
    """
    measured = {name: choices_to_measure(choices) for name, choices in offered.items()}
    if not is_large(job):
        return measured
    return {name: tuple(dict.fromkeys((*choices[:1], *choices[-1:]))) for name, choices in measured.items()}


def counts_worth_a_loss(job: Job, offered: _Choices) -> _Choices:
    """Of each group's numbers of channels: every other and the most; of a large network the ends and a middle."""
    if is_large(job):
        return {name: choices_to_measure(counts) for name, counts in offered.items()}
    return {name: tuple(sorted({*sorted(counts)[::2], max(counts)})) for name, counts in offered.items()}


def layers_worth_s(job: Job) -> float:
    """Seconds for timing layers that can also be predicted: fewer of a large network."""
    return _FEW_LAYERS_S if is_large(job) else _LAYERS_S


def macs(job: Job) -> int:
    """Multiplications of the layers that may become compact, for one example."""
    return sum(of * matrix(job.layers[name]).numel() for name, of in rows_of(job).items())


def _step_macs(job: Job) -> int:
    """Multiplications of one pass in training, with what else it takes counted in multiplications."""
    return macs(job) + _MACS_A_VALUE * sum(of * len(matrix(job.layers[name])) for name, of in rows_of(job).items())


def rows_of(job: Job) -> dict[str, int]:
    """How many inputs of its matrix each layer sees in one example."""
    shapes = input_shapes(job.network.backbone, job.layers, job.example)
    return {name: sum(map(len, input_rows(layer, torch.zeros(shapes[name])))) for name, layer in job.layers.items()}
