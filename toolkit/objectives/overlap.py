"""How far two boxes cover each other."""

import torch

_LEAST = 1e-9


def overlap(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection over union of boxes (..., 4) that broadcast: centre x, centre y, width, height."""
    both, either = _areas(a, b)
    return both / either.clamp_min(_LEAST)


def generalised_overlap(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The same less the share that neither covers of the least box round both: -1 to 1 (Rezatofighi et al. 2019)."""
    both, either = _areas(a, b)
    (low_a, high_a), (low_b, high_b) = _corners(a), _corners(b)
    round_both = _area(torch.minimum(low_a, low_b), torch.maximum(high_a, high_b))
    return both / either.clamp_min(_LEAST) - (round_both - either) / round_both.clamp_min(_LEAST)


def _areas(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    (low_a, high_a), (low_b, high_b) = _corners(a), _corners(b)
    both = _area(torch.maximum(low_a, low_b), torch.minimum(high_a, high_b))
    return both, _area(low_a, high_a) + _area(low_b, high_b) - both


def _corners(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    centre, sides = boxes[..., :2], boxes[..., 2:]
    return centre - sides / 2, centre + sides / 2


def _area(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    sides = (high - low).clamp_min(0)
    return sides[..., 0] * sides[..., 1]
