"""How the terms of a recipe are weighed against each other: fixed, or by Beta-KD.

Beta-KD (abstract): the teacher's supervision is a Gibbs prior over the student's activations, `p(z | teacher, beta)
~ beta^(d/2) exp(-beta D)`, and its precision beta is uncertain. Our reading of the rest:
- closed form: with a Gamma(a, b) prior on beta, its posterior mean is `(a + d/2) / (b + D)`, where d counts the values
  that the term holds and D is its mean loss. The labels' likelihood keeps weight 1.
- learned: `exp(-s) L / 2 + s / 2` (as Kendall et al. 2018 weigh tasks), one s a term, the labels' too; or one an
  example, read linearly from the teacher's features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from toolkit.distillation.terms import Term
from toolkit.recipe import TASK, Recipe

_FIXED = {TASK: 0.3, "kd": 1.0, "features": 10.0, "gradient": 0.3}
# Gamma prior of a precision: shape and rate 1, an expected precision of 1.
_SHAPE, _RATE = 1.0, 1.0
# |s| at most: no term is weighed down to nothing, nor up to all.
_CLAMP = 5.0


class Weighing(Protocol):
    """Makes one loss of all terms; `parameters` train along with the student."""

    @property
    def parameters(self) -> list[torch.Tensor]:
        """What is learned."""

    def __call__(self, terms: dict[str, Term], teacher_features: torch.Tensor) -> torch.Tensor:
        """(N,) of every term and the teacher's features (N, F) -> ()."""


@dataclass(frozen=True)
class Stated:
    """Weights by a rule that learns nothing."""

    weight: Callable[[str, Term], float]

    @property
    def parameters(self) -> list[torch.Tensor]:
        """None."""
        return []

    def __call__(self, terms: dict[str, Term], teacher_features: torch.Tensor) -> torch.Tensor:
        """The weighted sum of the terms' means."""
        return torch.stack([self.weight(name, term) * term.each.mean() for name, term in terms.items()]).sum()


@dataclass(frozen=True)
class Learned:
    """One s = bias + weight . features a term; `weight` (terms, F) is None where s is the same for all examples."""

    names: tuple[str, ...]
    bias: torch.Tensor
    weight: torch.Tensor | None

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Bias, and weight if there is one."""
        return [self.bias] if self.weight is None else [self.bias, self.weight]

    def __call__(self, terms: dict[str, Term], teacher_features: torch.Tensor) -> torch.Tensor:
        """`exp(-s) L / 2 + s / 2`, summed over terms and averaged over examples."""
        s = self.bias.expand(len(teacher_features), -1)
        if self.weight is not None:
            s = s + teacher_features.detach().float() @ self.weight.T
        s = s.clamp(-_CLAMP, _CLAMP)
        each = torch.stack([terms[name].each for name in self.names], 1)
        return (0.5 * torch.exp(-s) * each + 0.5 * s).sum(1).mean()


def weighing_of(recipe: Recipe, feature_size: int) -> Weighing:
    """A fresh weighing for that recipe; learned ones start at s = 0, in float32."""
    if recipe.weighing == "fixed":
        return Stated(lambda name, _: _FIXED[name])
    if recipe.weighing == "beta":
        return Stated(
            lambda name, term: 1.0 if name == TASK else precision(float(term.each.detach().mean()), term.values)
        )
    names = (TASK, *recipe.losses)
    weight = torch.zeros(len(names), feature_size, requires_grad=True) if recipe.weighing == "beta-instances" else None
    return Learned(names, torch.zeros(len(names), requires_grad=True), weight)


def precision(loss: float, values: int) -> float:
    """The closed form: `(a + d/2) / (b + D)`."""
    return (_SHAPE + values / 2) / (_RATE + loss)
