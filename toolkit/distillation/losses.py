"""Losses as plain functions of outputs; the training loop adds them up."""

import torch
import torch.nn.functional as F


def kd(student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL from teacher to student, both softened, times T^2 (Hinton et al. 2015). (N, classes) -> ()."""
    student = F.log_softmax(student_logits / temperature, -1)
    teacher = F.log_softmax(teacher_logits / temperature, -1)
    return F.kl_div(student, teacher, log_target=True, reduction="batchmean") * temperature**2
