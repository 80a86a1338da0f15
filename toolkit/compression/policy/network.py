"""The policy: from a task's embedding, the layers' shapes and the room in the budget to a log-threshold a layer.

Source: AdaCompact (abstract: task-aware compression policies). Our reading: one small perceptron, shared by all layers.
"""

from dataclasses import dataclass

import torch
from torch import nn

from toolkit.choice import all_dense
from toolkit.compression.allocation import Limits
from toolkit.compression.costs import CostTable
from toolkit.compression.policy.embedding import LAYER_FEATURES, TASK_FEATURES, TaskEmbedding
from toolkit.compression.policy.fingerprint import Fingerprint
from toolkit.errors import BadInput

# Log-thresholds stay within +- this before they are centred: e^2 is a seven-fold price.
_BOUND = 2.0
_DESCRIPTORS = 3
HIDDEN = 32


class PolicyNetwork(nn.Module):
    """(layers, LAYER_FEATURES), (TASK_FEATURES,), shapes and room -> (layers,) log-thresholds of mean 0.

    `mean` and `std` standardise the embedding; they are set from the tasks trained on. Before training all are 0.
    `strength`, 0..1, scales what is said: at 0 the gain curves alone decide.
    """

    mean: torch.Tensor
    std: torch.Tensor
    strength: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        features = len(LAYER_FEATURES) + len(TASK_FEATURES)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.register_buffer("strength", torch.ones(()))
        self.inner = nn.Linear(features + _DESCRIPTORS + 1, HIDDEN)
        self.outer = nn.Linear(HIDDEN, 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(
        self, layers: torch.Tensor, task: torch.Tensor, shapes: list[tuple[int, int]], room: float
    ) -> torch.Tensor:
        """Log-thresholds; `room` is the share of the dense model that may be spent."""
        count = len(shapes)
        embedded = torch.cat([layers, task.expand(count, -1)], 1)
        # Beyond a few deviations a task is unlike any trained on, and only so unlike.
        embedded = ((embedded - self.mean) / self.std).clamp(-3, 3)
        descriptors = torch.cat([torch.tensor(shapes).float().log() / 5, torch.linspace(-1, 1, count)[:, None]], 1)
        log_room = torch.full((count, 1), room).clamp_min(1e-3).log()
        hidden = torch.tanh(self.inner(torch.cat([embedded, descriptors, log_room], 1)))
        raw = _BOUND * torch.tanh(self.outer(hidden)[:, 0])
        return self.strength * (raw - raw.mean())


@dataclass(frozen=True)
class Policy:
    """A trained network and the backbone that it was trained for."""

    backbone: Fingerprint
    network: PolicyNetwork

    @torch.no_grad()
    def log_thresholds(self, embedding: TaskEmbedding, room: float) -> dict[str, float]:
        """By layer, for that task and share of the dense model. Raises BadInput on an embedding by another backbone."""
        self.require_backbone(embedding.backbone)
        shapes = list(self.backbone.shapes.values())
        found = self.network(embedding.layers, embedding.task, shapes, room)
        return dict(zip(self.backbone.shapes, found.tolist(), strict=True))

    def require_backbone(self, backbone: Fingerprint) -> None:
        """Raises BadInput if it is not the one that this policy was trained for."""
        difference = backbone.differs_from(self.backbone)
        if difference is not None:
            raise BadInput(
                f"the policy was trained for another backbone than this model's: {difference}",
                where="policy",
                next="Train a policy for this model, or choose allocator exact.",
            )


def room_of(costs: CostTable, limits: Limits) -> float:
    """The tightest limit as a share of what the dense model takes; 1 without limits."""
    dense = all_dense(costs.parts)
    shares = [1.0]
    if limits.latency_ms is not None:
        shares.append(limits.latency_ms / costs.latency_ms(dense))
    if limits.size_bytes is not None:
        shares.append(limits.size_bytes / costs.size_bytes(dense))
    if limits.peak_bytes is not None:
        shares.append(limits.peak_bytes / costs.peak_bytes(dense))
    return max(0.0, min(shares))
