"""Losses as plain functions of what student and teacher say; the training loop adds them up."""

import torch
import torch.nn.functional as F

from toolkit.objectives import CLASSIFICATION

# Features whose squares add up to less say nothing that a head could read. A share of so little has no use: a first
# step of training changes them by many times what they are, and gradients beyond float32 follow.
_NOTHING = 1e-20


def kd(student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL from teacher to student, both softened, times T^2 (Hinton et al. 2015). (N, classes) -> ()."""
    return CLASSIFICATION.divergence(student_logits, teacher_logits, temperature).mean()


def feature_error(student_features: torch.Tensor, teacher_features: torch.Tensor) -> torch.Tensor:
    """Squared error of each example's features, as a share of the teacher's variance in the batch. (N, ...) -> (N,).

    A hint from the layer before the head (Romero et al. 2015, FitNets, section 2.2): it asks for no class, so that it
    serves a head that is made anew of a few examples, as ours is on the board. Dead features err by 0.
    """
    student_features, teacher_features = student_features.flatten(1), teacher_features.flatten(1)
    spread = teacher_features.var(0, correction=0).sum()
    # Of one example, or of equal ones, there is no variance: then a share of what they are.
    scale = torch.where(spread > 0, spread, teacher_features.square().sum(1).mean())
    each = (student_features - teacher_features).square().sum(1) / scale.clamp_min(_NOTHING)
    return torch.where(scale > _NOTHING, each, torch.zeros_like(each))


def misdirection(student_gradient: torch.Tensor, teacher_gradient: torch.Tensor) -> torch.Tensor:
    """1 - cos between two gradients of the task loss at the shared features. (N, features) -> (N,), 0..2.

    Keeps the directions that few-shot adaptation will use (AdaCompact, abstract; where the gradients are taken is our
    reading). An example whose task the teacher has solved has no direction, and counts 0.
    """
    each = 1 - F.cosine_similarity(student_gradient, teacher_gradient, dim=-1, eps=1e-12)
    return torch.where(teacher_gradient.norm(dim=-1) > 1e-9, each, torch.zeros_like(each))
