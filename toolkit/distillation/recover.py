"""Train a compact model with the dense model as teacher."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from toolkit.compression import compact_layers
from toolkit.distillation.fit import fit
from toolkit.distillation.terms import Head, Seen, terms_of
from toolkit.distillation.weighing import weighing_of
from toolkit.recipe import DEFAULT_RECIPE, Recipe
from toolkit.tasks import Examples

_BATCH, _LEARNING_RATE, _WEIGHING_RATE = 64, 2e-3, 2e-2


def recover(
    student: nn.Module,
    teacher: nn.Module,
    head: Head,
    examples: Examples,
    *,
    steps: int,
    jitter: float,
    seed: int,
    on_progress: Callable[[int, int], None],
    recipe: Recipe = DEFAULT_RECIPE,
    learning_rate: float = _LEARNING_RATE,
    batch: int = _BATCH,
    narrowed: Callable[[torch.Generator], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> None:
    """Move what requires a gradient in the student, in place, towards the teacher by the losses of the recipe.

    Student and teacher are backbones (x -> features) read by the same `head`, which does not train. Inputs get Gaussian
    noise of `jitter` standard deviations of the data, so that a small set is not learned by heart. A recipe may also
    train the bases and biases of compact layers, which are then no longer orthonormal. The student runs
    inside `narrowed(generator)`: there, cores that are to be good at every prefix are cut to a random one. Raises
    BadInput where there are no examples or training diverges, with the step.
    """
    trained: list[torch.Tensor] = [parameter for parameter in student.parameters() if parameter.requires_grad]
    factors = [each for layer in compact_layers(student).values() for each in layer.parameters()]
    bases = [each for each in factors if not each.requires_grad] if recipe.trained == "factors" else []
    if not trained or steps == 0:
        return
    noise = jitter * float(examples.x.std()) if jitter and len(examples) > 1 else 0.0
    with torch.no_grad():
        feature_size = teacher(examples.x[:1]).shape[1] if len(examples) else 0
    weighing = weighing_of(recipe, feature_size)

    def loss(index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        x = examples.x[index]
        if noise:
            x = x + noise * torch.randn(x.shape, generator=generator)
        with torch.no_grad():
            taught = teacher(x)
            taught_logits = head(taught)
        with narrowed(generator):
            features = student(x)
        seen = Seen(features, head(features), taught, taught_logits, examples.y[index], head)
        return weighing(terms_of(recipe, seen), taught)

    for each in bases:
        each.requires_grad_(True)
    fit(
        [([*trained, *bases], learning_rate), (weighing.parameters, _WEIGHING_RATE)],
        loss,
        len(examples),
        steps=steps,
        batch=batch,
        seed=seed,
        where="training the cores",
        on_progress=on_progress,
    )
    for each in bases:
        each.requires_grad_(False)
