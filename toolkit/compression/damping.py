"""Covariances that a small set estimates are singular: damp them before they are inverted."""

import torch

# Share of the mean eigenvalue added to a covariance: a small set leaves null directions.
_DAMPING = 1e-2
# What a layer that saw nothing is left with, so that it can still be factored.
_FLOOR = 1e-30


def damped(covariance: torch.Tensor) -> torch.Tensor:
    """The covariance (n, n) plus a hundredth of its mean eigenvalue added to its diagonal: never singular."""
    result = covariance.clone()
    result.diagonal().add_(_DAMPING * float(covariance.diagonal().mean()) + _FLOOR)
    return result
