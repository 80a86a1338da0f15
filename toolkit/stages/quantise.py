"""How a network leaves fp32 under some choices: which of its layers do, and which examples tell their ranges."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from toolkit.choice import REMOVED, Choice
from toolkit.distillation.fake_quantise import fake_quantised
from toolkit.distillation.ranges import read_ranges
from toolkit.profiling import Arithmetics
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.stages.load import Job

# Of the general data; the task's support is read whole.
_GENERAL = 256


def quantisation_of(job: Job, chosen: Mapping[str, Choice], arithmetics: Arithmetics) -> Quantisation | None:
    """Of the backbone, by the names of its modules; None where all of it stays fp32."""
    gone = {layer for name, block in job.blocks.items() if chosen.get(name) == REMOVED for layer in block.layers}
    layers = {name: chosen[name].precision for name in (*job.layers, *job.fixed) if name in chosen.keys() - gone}
    precisions = set(layers.values()) - {"fp32"}
    if not precisions:
        return None
    [precision] = precisions  # a board is offered one besides fp32
    fp32 = frozenset(name for name, each in layers.items() if each == "fp32")
    return Quantisation(arithmetics[precision], calibration_examples(job), fp32_layers=fp32)


def calibration_examples(job: Job) -> torch.Tensor:
    """The task's support, and some of what the model was trained on."""
    general = job.task.general
    if general is None:
        return job.task.support.x
    drawn = torch.randperm(len(general), generator=torch.Generator().manual_seed(0))[:_GENERAL]
    return torch.cat([job.task.support.x, general.x[drawn]])


@contextmanager
def computing_as(backbone: nn.Module, quantisation: Quantisation | None) -> Iterator[None]:
    """Inside, the backbone computes as it will on the board; as it is, where nothing leaves fp32."""
    if quantisation is None:
        yield
        return
    with fake_quantised(backbone, quantisation, read_ranges(backbone, quantisation)):
        yield
