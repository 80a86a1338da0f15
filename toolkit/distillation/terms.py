"""The terms of a recipe: each loss, for every example of a batch that student and teacher have seen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from toolkit.distillation.losses import feature_error, misdirection
from toolkit.objectives import CLASSIFICATION, Objective
from toolkit.recipe import TASK, Recipe

_TEMPERATURE = 2.0

Head = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Seen:
    """One batch: features (N, ...) and outputs (N, ...) of both, targets `y` (N, ...), and the head that both share."""

    student_features: torch.Tensor
    student_logits: torch.Tensor
    teacher_features: torch.Tensor
    teacher_logits: torch.Tensor
    y: torch.Tensor
    head: Head
    objective: Objective = CLASSIFICATION


@dataclass(frozen=True)
class Term:
    """A loss of each example (N,), and how many values of the student it holds to something."""

    each: torch.Tensor
    values: int


def terms_of(recipe: Recipe, seen: Seen) -> dict[str, Term]:
    """The loss on the targets, and every loss of the recipe."""
    made = {TASK: Term(seen.objective.loss(seen.student_logits, seen.y), seen.student_logits.shape[1])}
    if "kd" in recipe.losses:
        each = seen.objective.divergence(seen.student_logits, seen.teacher_logits, _TEMPERATURE)
        made["kd"] = Term(each, seen.student_logits.shape[1])
    if "features" in recipe.losses:
        each = feature_error(seen.student_features, seen.teacher_features)
        made["features"] = Term(each, seen.student_features.shape[1])
    if "gradient" in recipe.losses:
        made["gradient"] = Term(_misdirection(seen), seen.student_features.shape[1])
    return made


def _misdirection(seen: Seen) -> torch.Tensor:
    student = _task_gradient(seen, seen.student_logits, seen.student_features, create_graph=True)
    features = seen.teacher_features.detach().requires_grad_(True)
    teacher = _task_gradient(seen, seen.head(features), features, create_graph=False)
    return misdirection(student.flatten(1), teacher.flatten(1))


def _task_gradient(seen: Seen, logits: torch.Tensor, features: torch.Tensor, *, create_graph: bool) -> torch.Tensor:
    loss = seen.objective.loss(logits, seen.y).sum()
    return torch.autograd.grad(loss, features, create_graph=create_graph, retain_graph=True)[0]
