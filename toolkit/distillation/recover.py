"""Train a compact model with the dense model as teacher."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from toolkit.compression import compact_layers
from toolkit.distillation.augment import Augment
from toolkit.distillation.batch_norm import ENOUGH, batch_statistics, estimate_statistics
from toolkit.distillation.checkpoint import Checkpoint
from toolkit.distillation.fit import fit
from toolkit.distillation.rates import relative_rates
from toolkit.distillation.rounding import as_deployed, count_step, rounded, start_rounding
from toolkit.distillation.terms import Head, Seen, terms_of
from toolkit.distillation.weighing import weighing_of
from toolkit.inputs import Inputs, join
from toolkit.objectives import CLASSIFICATION, Objective
from toolkit.recipe import DEFAULT_RECIPE, Recipe
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.tasks import Examples

_BATCH, _LEARNING_RATE, _WEIGHING_RATE = 64, 2e-3, 2e-2
_SOME = 512  # examples that statistics are estimated on, and of the support besides


def recover(
    student: nn.Module,
    teacher: nn.Module,
    head: Head,
    examples: Examples,
    *,
    support: Examples | None = None,
    support_share: float = 0.5,
    steps: int,
    seed: int,
    on_progress: Callable[[int, int], None],
    recipe: Recipe = DEFAULT_RECIPE,
    augment: Augment = lambda x, _: x,
    learning_rate: float | None = _LEARNING_RATE,
    batch: int = _BATCH,
    narrowed: Callable[[torch.Generator], AbstractContextManager[None]] | None = None,
    checkpoint: Checkpoint | None = None,
    seen_as: Callable[[Inputs], Inputs] = lambda x: x,
    quantised: Quantisation | None = None,
    objective: Objective = CLASSIFICATION,
) -> None:
    """Move what requires a gradient in the student, in place, towards the teacher by the losses of the recipe.

    Student and teacher are backbones (x -> features) read by the same `head`, which does not train; both see what
    `augment(x, generator)` makes of a batch. A recipe may also train the bases and biases of compact layers, or all of
    the network; compact layers are then no longer orthonormal. Of enough examples, batch normalisation learns its
    statistics too, at last of what `seen_as` makes of some: as its teacher saw them in training. With `support`, that
    share of every batch is drawn there: this task's own inputs, whose classes `head` may not know; its labels are not
    read, the teacher's answers stand for them. With None for the highest `learning_rate`, each tensor has one by its
    size (`relative_rates`). The student runs inside
    `narrowed(generator)`: there, cores that are to be good at every prefix are cut to a random one. With a
    `checkpoint`, a recovery that was interrupted goes on from there. With `quantised`, the student computes as its int8
    program will (`fake_quantised`; `fp32_layers` are names in the student, or of what holds them), so that its weights,
    which stay fp32, learn to be rounded; its compact layers end orthonormal. Raises BadInput where there are no
    examples or training diverges, with the step, and ValueError for both `narrowed` and `quantised`: a core that runs
    folded has no prefix.
    """
    if narrowed and quantised:
        raise ValueError("a core that runs folded has no prefix")
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    if not trained or steps == 0:
        return
    also = [parameter for parameter in _also_trained(student, recipe) if not parameter.requires_grad]
    with torch.no_grad():
        feature_size = teacher(*examples.x[:1]).shape[1] if len(examples) else 0
    weighing = weighing_of(recipe, feature_size)
    statistics = batch_statistics(student) if len(examples) >= ENOUGH else nullcontext()
    train_bases = recipe.trained != "cores"
    rounding = start_rounding(student, quantised, steps, batch, orthonormal=train_bases) if quantised else None

    def loss(index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if rounding:
            count_step(rounding)
        own = int(len(index) * support_share) if support is not None and len(support) else 0
        x, y = examples.x[index[own:]], examples.y[index[own:]]
        if support is not None and own:
            x = join([x, support.x[torch.randint(len(support), (own,), generator=generator)]])
        x = augment(x, generator)
        with torch.no_grad():
            taught = teacher(*x)
            taught_logits = head(taught)
        y = torch.cat([y, objective.answers(taught_logits[len(y) :])])
        with narrowed(generator) if narrowed else rounded(rounding):
            features = student(*x)
        seen = Seen(features, head(features), taught, taught_logits, y, head, objective)
        return weighing(terms_of(recipe, seen), taught)

    every: list[torch.Tensor] = [*trained, *also]
    rates = relative_rates(every) if learning_rate is None else [(every, learning_rate)]
    for each in also:
        each.requires_grad_(True)
    with statistics:
        fit(
            [*rates, (weighing.parameters, _WEIGHING_RATE)],
            loss,
            len(examples),
            steps=steps,
            batch=batch,
            seed=seed,
            where="training the compact model",
            on_progress=on_progress,
            checkpoint=checkpoint,
            buffers=[*student.buffers(), *(rounding.buffers if rounding else [])],
        )
    for each in also:
        each.requires_grad_(False)
    if rounding:
        as_deployed(rounding)
    with rounded(rounding):
        seen = _mixture(examples.x, support.x, support_share) if support and len(examples) >= ENOUGH else examples.x
        estimate_statistics(student, seen_as(seen))


def _mixture(x: Inputs, support: Inputs, share: float) -> Inputs:
    """What batches were drawn from: as much of the support as is its share."""
    some = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:_SOME]]
    own = int(len(some) * share / (1 - share))
    return join([some, support[torch.arange(own) % len(support)]]) if len(support) else x


def _also_trained(student: nn.Module, recipe: Recipe) -> list[nn.Parameter]:
    """What the recipe names beside what requires gradients."""
    if recipe.trained == "network":
        return list(student.parameters())
    if recipe.trained == "factors":
        return [each for layer in compact_layers(student).values() for each in layer.parameters()]
    return []
