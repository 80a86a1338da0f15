"""What a task makes of a frozen dense backbone, in a few numbers a layer: one forward and one backward pass.

Source: AdaCompact (abstract: policies conditioned on task embeddings) over Task2Vec (Achille et al. 2019): the diagonal
of the Fisher information of a frozen network embeds a task. Our reading of both: the diagonal is that of K-FAC,
`E[g_i^2] E[x_j^2]`, and statistics of it, of activations and of gradients stand for each layer.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.compression.layers import Dense
from toolkit.compression.policy.fingerprint import Fingerprint, fingerprint
from toolkit.inputs import differentiable
from toolkit.tasks import Complexity, Examples, complexity_of

# In this order: log mean square, and effective dimension as a share, of inputs; the same of gradients; of the Fisher
# diagonal its log mean and concentration (log); the log of the loss that removing the weights costs by it.
LAYER_FEATURES = (
    "input",
    "input_dimension",
    "gradient",
    "gradient_dimension",
    "fisher",
    "fisher_concentration",
    "worth",
)
TASK_FEATURES = tuple(Complexity.__dataclass_fields__)
# Gradients of so many examples say what a task needs; of a larger support these are drawn.
_EXAMPLES, _CHUNK = 32, 256
_TINY = 1e-12


@dataclass(frozen=True)
class TaskEmbedding:
    """`layers` (layers, len(LAYER_FEATURES)) and `task` (len(TASK_FEATURES),), seen through that backbone."""

    backbone: Fingerprint
    layers: torch.Tensor
    task: torch.Tensor


def embed_task(
    backbone: nn.Module,
    layers: dict[str, Dense],
    support: Examples,
    classify: Callable[[torch.Tensor], torch.Tensor],
    classes: int,
    *,
    seed: int = 0,
    seen: Fingerprint | None = None,
) -> TaskEmbedding:
    """Embed a task's support; `classify` maps features (N, d) to logits (N, classes).

    Gradients are those of labels drawn from the softened prediction, as in `calibrate`: they do not vanish on a support
    that the head fits, of one example a class too. `seen` is the backbone's fingerprint where it is known already.
    """
    moments = {name: _Moments(layer) for name, layer in layers.items()}
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(support), generator=generator)[:_EXAMPLES]
    handles = [layer.register_forward_hook(moments[name].see) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            log_p = F.log_softmax(classify(backbone(*differentiable(support.x[drawn]))), -1)
        labels = torch.multinomial(log_p.detach().exp(), 1, generator=generator)[:, 0]
        _add_gradients(F.nll_loss(log_p, labels, reduction="sum"), moments)
    finally:
        for handle in handles:
            handle.remove()
    with torch.no_grad():
        features = torch.cat([backbone(*x) for x in support.x.split(_CHUNK)])
    looks = asdict(complexity_of(features, support.y, classes))
    return TaskEmbedding(
        seen or fingerprint(layers),
        torch.stack([each.statistics(len(drawn)) for each in moments.values()]),
        torch.tensor([_log(looks[name]) for name in TASK_FEATURES], dtype=torch.float32),
    )


class _Moments:
    """Running second moments of one layer's inputs and gradients, by channel."""

    def __init__(self, layer: Dense) -> None:
        self.layer = layer
        self.inputs: torch.Tensor | float = 0.0
        self.gradients: torch.Tensor | float = 0.0
        self.positions = 0
        self.outputs: list[torch.Tensor] = []

    def see(self, _: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        rows = self._rows(inputs[0].detach())
        self.inputs = self.inputs + rows.T @ rows
        self.positions += len(rows)
        self.outputs.append(output)

    def add(self, gradient: torch.Tensor) -> None:
        rows = self._rows(gradient)
        self.gradients = self.gradients + rows.T @ rows

    def statistics(self, examples: int) -> torch.Tensor:
        """LAYER_FEATURES, of means over positions (inputs) and examples (gradients)."""
        x, g = torch.as_tensor(self.inputs) / self.positions, torch.as_tensor(self.gradients) / examples
        x_diagonal, g_diagonal = x.diagonal(), g.diagonal()
        by_channels = (
            self.layer.weight.detach().flatten(2) if self.layer.weight.dim() > 2 else self.layer.weight.detach()
        )
        squares = by_channels.square().sum(-1) if by_channels.dim() > 2 else by_channels.square()
        concentration = sum(
            _log(float((d**2).mean() / d.mean().clamp_min(_TINY) ** 2)) for d in (x_diagonal, g_diagonal)
        )
        return torch.tensor(
            [
                _log(float(x_diagonal.mean())),
                _dimension(x),
                _log(float(g_diagonal.mean())),
                _dimension(g),
                _log(float(x_diagonal.mean() * g_diagonal.mean())),
                concentration,
                _log(float(g_diagonal @ squares @ x_diagonal)),
            ],
            dtype=torch.float32,
        )

    def _rows(self, values: torch.Tensor) -> torch.Tensor:
        """(positions, channels)."""
        if isinstance(self.layer, nn.Conv2d):
            values = values.movedim(1, -1)
        return values.reshape(-1, values.shape[-1])


def _add_gradients(loss: torch.Tensor, moments: dict[str, _Moments]) -> None:
    outputs = [output for each in moments.values() for output in each.outputs]
    gradients = iter(torch.autograd.grad(loss, outputs))
    for each in moments.values():
        for _ in each.outputs:
            each.add(next(gradients))
        each.outputs.clear()


def _dimension(covariance: torch.Tensor) -> float:
    """Participation ratio, as a share of the channels."""
    return float(covariance.trace() ** 2 / (covariance**2).sum().clamp_min(_TINY**2)) / len(covariance)


def _log(value: float) -> float:
    return float(torch.tensor(max(value, _TINY)).log())
