"""How hard a few-shot task looks before anything is trained: from its support's features alone."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Complexity:
    """`separability`: distance of a class mean to the nearest other one, over the mean distance between class means:
    1 where all are equally far, near 0 where some coincide. `scatter`: distance of examples to their class mean, over
    the same; 0 where every class has one example. `intrinsic_dimension`: participation ratio of the class means'
    covariance, between 1 and the lesser of features and classes.
    """

    ways: int
    shots: float
    separability: float
    scatter: float
    intrinsic_dimension: float


def complexity_of(features: torch.Tensor, y: torch.Tensor, classes: int) -> Complexity:
    """Of support features (N, d) with labels (N,) in 0..classes-1, at least one example each and two classes.

    The participation ratio is `(sum of eigenvalues)^2 / sum of their squares` (Gao et al. 2017).
    """
    features = features.double()
    members = torch.nn.functional.one_hot(y, classes).double()
    means = (members.T @ features) / members.sum(0)[:, None]
    between = torch.cdist(means, means)
    apart = float(between.sum() / (classes * (classes - 1)))
    nearest = (between + torch.diag(torch.full((classes,), torch.inf, dtype=torch.float64))).min(1).values
    within = float((features - means[y]).norm(dim=1).mean())
    centred = means - means.mean(0)
    gram = centred @ centred.T
    return Complexity(
        ways=classes,
        shots=len(y) / classes,
        separability=float(nearest.mean()) / apart if apart > 0 else 0.0,
        scatter=within / apart if apart > 0 else 0.0,
        intrinsic_dimension=float(gram.trace() ** 2 / (gram**2).sum()) if apart > 0 else 1.0,
    )
