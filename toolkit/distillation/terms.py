"""The terms of a recipe: each loss, for every example of a batch that student and teacher have seen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from toolkit.distillation.losses import divergence, feature_error, misdirection
from toolkit.recipe import TASK, Recipe

_TEMPERATURE = 2.0

Head = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Seen:
    """One batch: features (N, F) and logits (N, classes) of both, labels `y` (N,), and the head that both share."""

    student_features: torch.Tensor
    student_logits: torch.Tensor
    teacher_features: torch.Tensor
    teacher_logits: torch.Tensor
    y: torch.Tensor
    head: Head


@dataclass(frozen=True)
class Term:
    """A loss of each example (N,), and how many values of the student it holds to something."""

    each: torch.Tensor
    values: int


def terms_of(recipe: Recipe, seen: Seen) -> dict[str, Term]:
    """The cross-entropy on the labels, and every loss of the recipe."""
    made = {TASK: Term(F.cross_entropy(seen.student_logits, seen.y, reduction="none"), seen.student_logits.shape[1])}
    if "kd" in recipe.losses:
        each = divergence(seen.student_logits, seen.teacher_logits, _TEMPERATURE)
        made["kd"] = Term(each, seen.student_logits.shape[1])
    if "features" in recipe.losses:
        each = feature_error(seen.student_features, seen.teacher_features)
        made["features"] = Term(each, seen.student_features.shape[1])
    if "gradient" in recipe.losses:
        made["gradient"] = Term(_misdirection(seen), seen.student_features.shape[1])
    return made


def _misdirection(seen: Seen) -> torch.Tensor:
    student = _task_gradient(seen.student_logits, seen.student_features, seen.y, create_graph=True)
    features = seen.teacher_features.detach().requires_grad_(True)
    teacher = _task_gradient(seen.head(features), features, seen.y, create_graph=False)
    return misdirection(student, teacher)


def _task_gradient(
    logits: torch.Tensor, features: torch.Tensor, y: torch.Tensor, *, create_graph: bool
) -> torch.Tensor:
    loss = F.cross_entropy(logits, y, reduction="sum")
    return torch.autograd.grad(loss, features, create_graph=create_graph, retain_graph=True)[0]
