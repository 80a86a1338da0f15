"""How a network leaves fp32 under some choices: which of its layers do, which examples tell their ranges, and how."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import get_args

import torch
from torch import nn

from toolkit.adaptation import features_of
from toolkit.cache import digest
from toolkit.choice import Choice, Precision
from toolkit.distillation.fake_quantise import fake_quantised
from toolkit.distillation.ranges import read_ranges
from toolkit.inputs import Inputs, join
from toolkit.kept import keep, open_kept
from toolkit.profiling import Arithmetics
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation, Ranges
from toolkit.runtimes.clipping import wild
from toolkit.sources import code_digest
from toolkit.stages.effort import loss_examples
from toolkit.stages.load import Job

# Of the general data; the task's support is read whole.
_GENERAL = 256
# A network for large images takes seconds for all of them, and a dozen programs are timed.
_TIMED_WITH = 8
_TINY = 1e-30
# Nats an example: a network that loses no more in int8 predicts the same.
NEGLIGIBLE = 1e-3
_METHODS: tuple[Ranges, ...] = get_args(Ranges)


def quantisation_of(job: Job, chosen: Mapping[str, Choice], arithmetics: Arithmetics) -> Quantisation | None:
    """Of the backbone, by the names of its modules; None where all of it stays fp32."""
    removed = {name for name, choice in chosen.items() if choice.form == "removed"}
    gone = {layer for name in removed for layer in job.blocks[name].layers}
    layers = {name: chosen[name].precision for name in (*job.layers, *job.fixed) if name in chosen.keys() - gone}
    precisions = set(layers.values()) - {"fp32"}
    if not precisions:
        return None
    [precision] = precisions  # a board is offered one besides fp32
    fp32 = frozenset(name for name, each in layers.items() if each == "fp32")
    arithmetic = arithmetics[precision]
    return Quantisation(arithmetic, calibration_examples(job), best_ranges(job, arithmetic), fp32)


def only_timed(quantisation: Quantisation) -> Quantisation:
    """For a program that nobody reads the outputs of: how ranges are read changes neither its time nor its bytes."""
    return replace(quantisation, examples=quantisation.examples[:_TIMED_WITH], ranges="minmax")


def calibration_examples(job: Job) -> Inputs:
    """The task's support, and some of what the model was trained on."""
    general = job.task.general
    if general is None:
        return job.task.support.x
    return join([job.task.support.x, general.x[_order(len(general))[:_GENERAL]]])


def has_ranges(arithmetic: Arithmetic) -> bool:
    """Whether its programs know the ranges of activations beforehand."""
    return arithmetic.activations in ("signed", "unsigned")


def best_ranges(job: Job, arithmetic: Arithmetic) -> Ranges:
    """How ranges are read for that arithmetic: as the whole dense network then loses least, min-max where it ties."""
    if not has_ranges(arithmetic):
        return "minmax"
    losses = losses_by_ranges(job, arithmetic)
    return min(losses, key=lambda each: losses[each] if math.isfinite(losses[each]) else math.inf)


def least_loss(job: Job, arithmetic: Arithmetic) -> float:
    """What the whole dense network loses in that arithmetic, nats an example, its ranges read as suits it best."""
    return losses_by_ranges(job, arithmetic)[best_ranges(job, arithmetic)]


def lost_in(job: Job, arithmetics: Arithmetics, precision: Precision) -> float:
    """What the whole dense network loses in that precision, nats an example."""
    return least_loss(job, arithmetics[precision])


def losses_by_ranges(job: Job, arithmetic: Arithmetic) -> dict[Ranges, float]:
    """True loss of the whole dense network in that arithmetic, nats an example, by how its ranges are read; kept.

    It is that of other examples than those that ranges are read from, as far as the general data has such. Arithmetic
    without ranges is under `minmax`.
    """
    methods = _METHODS if has_ranges(arithmetic) else _METHODS[:1]
    code = code_digest("toolkit.distillation", "toolkit.adaptation.heads", "toolkit.stages.effort", __name__)
    kept = open_kept("ranges", digest(job.key, str(arithmetic), code))
    missing = not kept.known.keys() >= set(methods)
    loss = _true_loss(job) if missing else None

    def measure(ranges: Ranges) -> float:
        assert loss is not None
        with computing_as(job.network.backbone, Quantisation(arithmetic, calibration_examples(job), ranges)):
            return loss(job.network.backbone)

    return {ranges: keep(kept, ranges, partial(measure, ranges)) for ranges in methods}


def _true_loss(job: Job) -> Callable[[nn.Module], float]:
    """Backbone -> how far its predictions are from those of the dense one as it is, in nats an example.

    Examples with the farthest values are left out, as many as may be wild: what becomes of those does not count.
    """
    general = job.task.general
    order = _order(len(general or job.task.support))[-loss_examples(job) :]
    x = (general or job.task.support).x[order]
    logits = job.dense_head if general is None else job.general_logits
    x = x[_farthest(x).argsort()[: len(x) - wild(len(x))]]

    @torch.no_grad()
    def answers(backbone: nn.Module) -> torch.Tensor:
        return logits(features_of(backbone, x))

    taught = answers(job.network.backbone)
    return lambda backbone: float(job.objective.divergence(answers(backbone), taught, 1.0).mean())


def _farthest(x: Inputs) -> torch.Tensor:
    """Of each example the value farthest from zero, for what is usual among the values of its port: (N,)."""
    farthest = [each.flatten(1).abs().amax(1) for each in x.floats().values()]
    return torch.stack([each / each.mean().clamp_min(_TINY) for each in farthest] or [torch.zeros(len(x))]).amax(0)


def _order(examples: int) -> torch.Tensor:
    """Always the same: ranges are read from the first, and judged by the last."""
    return torch.randperm(examples, generator=torch.Generator().manual_seed(0))


@contextmanager
def computing_as(backbone: nn.Module, quantisation: Quantisation | None) -> Iterator[None]:
    """Inside, the backbone computes as it will on the board; as it is, where nothing leaves fp32."""
    if quantisation is None:
        yield
        return
    with fake_quantised(backbone, quantisation, read_ranges(backbone, quantisation)):
        yield
