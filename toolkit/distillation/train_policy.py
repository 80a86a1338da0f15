"""Meta-train a policy: over few-shot tasks, so that what its thresholds keep serves queries that they never saw.

Source: AdaCompact (abstract: unified meta-learning of compression policies). Our reading: first-order MAML (Finn et al.
2017, section 5.2). For each task the inner step adapts the cores of the softly thresholded model on the support; the
outer step moves the policy by the query loss of that model, through the soft thresholds and not through the inner step.
Ours: tasks that did not train it then say how far the policy is to be followed.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from toolkit.choice import DENSE, rank
from toolkit.compression import GainCurve, Spectrum
from toolkit.compression.layers import Dense
from toolkit.compression.policy import (
    Policy,
    PolicyNetwork,
    TaskEmbedding,
    components,
    compress_nested,
    embed_task,
    fingerprint,
    masked,
    soft_masks,
)
from toolkit.distillation.batch_norm import batch_statistics
from toolkit.distillation.losses import kd
from toolkit.distillation.policy_strength import STRENGTHS, strength_that_pays
from toolkit.inputs import join
from toolkit.tasks import Task

_WARM_UP = 24  # tasks whose embeddings set the scale of all
_INNER_RATE, _OUTER_RATE = 0.05, 1e-2
# Soft thresholds end nearly hard: in units of log(gain / cost).
_TEMPERATURES = (1.0, 0.2)
_TASK_WEIGHT = 0.3
_HELD_OUT, _HARD = 32, 1e-3
_SPREAD = 2.0  # standard deviation of the dense model's logits over the support, as the heads that are served have it


def train_policy(
    backbone: nn.Module,
    layers: dict[str, Dense],
    spectra: dict[str, Spectrum],
    gains: dict[str, GainCurve],
    tasks: Iterator[Task],
    *,
    steps: int,
    room: tuple[float, float],
    seed: int,
    on_progress: Callable[[int, int], None],
) -> Policy:
    """A policy for that backbone, from `steps` tasks; each gets a share of the dense weights drawn from `room`.

    `gains` hold the ranks up to which components may be kept; costs are weights. Prototypes tell a task's classes.
    Where what it learned does not pay beyond chance on further tasks, its strength is 0 and the gains alone decide.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = PolicyNetwork()
    own = fingerprint(layers)
    shapes = list(own.shapes.values())
    parts = [components(gains[name], float(sum(shape))) for name, shape in own.shapes.items()]
    largest = {
        name: rank(len(part.log_worth)) if len(part.log_worth) else DENSE
        for name, part in zip(own.shapes, parts, strict=True)
    }
    student = compress_nested(backbone, spectra, largest)
    always_dense = sum(m * n for (m, n), choice in zip(shapes, largest.values(), strict=True) if choice == DENSE)
    weights = sum(m * n for m, n in shapes)

    def embedded(task: Task) -> TaskEmbedding:
        return embed_task(
            backbone, layers, task.support, _prototypes(backbone, task), len(task.classes), seed=seed, seen=own
        )

    _standardise(network, [embedded(task) for task in islice(tasks, _WARM_UP)])
    optimizer = torch.optim.Adam(network.parameters(), lr=_OUTER_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    low, high = room

    def loss_at(task: Task, thresholds: torch.Tensor, share: float, temperature: float) -> torch.Tensor:
        kept = soft_masks(parts, thresholds, share * weights - always_dense, temperature)
        with batch_statistics(student):  # those of the dense model would blame early layers for what recovery mends
            return _query_loss(student, backbone, task, dict(zip(layers, kept, strict=True)))

    def drawn_share() -> float:
        return low * (high / low) ** float(torch.rand((), generator=generator))

    for step, task in enumerate(islice(tasks, steps)):
        share, embedding = drawn_share(), embedded(task)
        temperature = _TEMPERATURES[0] * (_TEMPERATURES[1] / _TEMPERATURES[0]) ** (step / steps)
        loss = loss_at(task, network(embedding.layers, embedding.task, shapes, share), share, temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        on_progress(step + 1, steps)
    losses = []
    for task in islice(tasks, _HELD_OUT):
        share, embedding = drawn_share(), embedded(task)
        with torch.no_grad():
            said = network(embedding.layers, embedding.task, shapes, share)
        losses.append([loss_at(task, each * said, share, _HARD).item() for each in (0.0, *STRENGTHS)])
    network.strength.fill_(strength_that_pays(torch.tensor(losses)))
    return Policy(own, network.eval())


def _query_loss(student: nn.Module, teacher: nn.Module, task: Task, masks: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of the softly thresholded student, after one inner step of its cores on the support."""
    shots, classes = len(task.support), len(task.classes)
    x = join([task.support.x, task.query.x])
    with torch.no_grad():
        taught = _logits(teacher(*x), task.support.y, classes)
        spread = taught[:shots].std().clamp_min(1e-6) / _SPREAD
        taught = taught / spread
    cores = {name: core for name, core in student.named_parameters() if core.requires_grad}
    with masked(student, {name: mask.detach() for name, mask in masks.items()}):
        logits = _logits(student(*task.support.x), task.support.y, classes) / spread
        moved = torch.autograd.grad(kd(logits, taught[:shots], 1.0), list(cores.values()))
    adapted = {
        name: (core - _INNER_RATE * step).detach() for (name, core), step in zip(cores.items(), moved, strict=True)
    }
    with masked(student, masks):
        logits = _logits(functional_call(student, adapted, tuple(x)), task.support.y, classes)[shots:] / spread
    return kd(logits, taught[shots:], 1.0) + _TASK_WEIGHT * F.cross_entropy(logits, task.query.y)


def _logits(features: torch.Tensor, y: torch.Tensor, classes: int) -> torch.Tensor:
    """Of all examples, by the class means of the first `len(y)`, the support: negative squared distances, centred."""
    members = F.one_hot(y, classes).to(features.dtype)
    means = (members.T @ features[: len(y)]) / members.sum(0)[:, None]
    distances = torch.cdist(features, means, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    return distances.mean(1, keepdim=True) - distances


def _prototypes(backbone: nn.Module, task: Task) -> Callable[[torch.Tensor], torch.Tensor]:
    """Logits of features by the support's class means, spread as those of the heads that are served."""
    with torch.no_grad():
        support = backbone(*task.support.x)
    classes, count = len(task.classes), len(support)

    def classify(features: torch.Tensor) -> torch.Tensor:
        return _logits(torch.cat([support, features]), task.support.y, classes)[count:]

    spread = classify(support).std().clamp_min(1e-6) / _SPREAD
    return lambda features: classify(features) / spread


def _standardise(network: PolicyNetwork, embeddings: list[TaskEmbedding]) -> None:
    rows = torch.cat([torch.cat([each.layers, each.task.expand(len(each.layers), -1)], 1) for each in embeddings])
    network.mean.copy_(rows.mean(0))
    network.std.copy_(rows.std(0).clamp_min(1e-3))
