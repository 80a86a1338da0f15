"""Classes of the places of an example: of one, of its pixels, of its tokens."""

import torch
import torch.nn.functional as F


def members(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Labels (...) as rows of the identity, (..., classes): a comparison, which every runtime has."""
    return (targets[..., None] == torch.arange(classes)).float()


def softened_divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL from teacher to student along the last axis, both softened, times T^2 (Hinton et al. 2015)."""
    log_student, log_teacher = (F.log_softmax(each / temperature, -1) for each in (student, teacher))
    return F.kl_div(log_student, log_teacher, log_target=True, reduction="none").sum(-1) * temperature**2


def wrong_labels(
    targets: torch.Tensor, classes: int, places: tuple[int, ...], ignored: int | None = None
) -> str | None:
    """What keeps targets from being labels of `classes` classes for those places."""
    if targets.dtype != torch.int64 or tuple(targets.shape[1:]) != places:
        of_places = " x ".join(map(str, places))
        wanted = f"labels of {of_places} places" if places else "one label each"
        return f"targets are {targets.dtype} {tuple(targets.shape)}, {wanted} of torch.int64 are expected"
    known = targets[targets != ignored] if ignored is not None else targets
    if len(known) and not 0 <= int(known.min()) <= int(known.max()) < classes:
        return f"labels are {int(known.min())}..{int(known.max())}, of {classes} classes"
    return None
