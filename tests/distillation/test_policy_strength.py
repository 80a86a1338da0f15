"""A policy is followed as far as it lowers the loss of further tasks, and not at all where that may be chance."""

import pytest
import torch

from toolkit.distillation.policy_strength import strength_that_pays


@pytest.mark.parametrize(
    ("change", "spread", "expected"),
    [
        ([-0.1, -0.2, -0.4], 0.1, 1.0),
        ([-0.1, -0.3, 0.2], 0.1, 0.5),
        ([-0.2, -0.1, 0.0], 0.1, 0.25),
        ([0.1, 0.2, 0.4], 0.1, 0.0),
        ([-0.001, -0.002, -0.004], 1.0, 0.0),
        ([0.0, 0.0, 0.0], 0.0, 0.0),
    ],
)
def test_the_least_loss_beyond_chance_decides(change: list[float], spread: float, expected: float) -> None:
    tasks = torch.linspace(1, 3, 32)[:, None]  # tasks differ by much more than strengths do
    around = spread * torch.randn(32, 3, generator=torch.Generator().manual_seed(0))
    around = around - around.mean(0)
    losses = torch.cat([tasks, tasks + torch.tensor(change) + around], 1)
    assert strength_that_pays(losses) == expected
