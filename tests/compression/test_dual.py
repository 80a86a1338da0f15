"""Dual importance: what either domain needs is important, in nats, and both are asked."""

import pytest
import torch
from torch import nn

from toolkit.compression import (
    CalibrationSet,
    Labelled,
    LayerStatistics,
    calibrate,
    compressible_layers,
    factors_at,
)
from toolkit.compression.dual import draw_dual, dual_curvature, dual_spectrum, importance
from toolkit.errors import BadInput
from toolkit.tasks import Examples


def _diagonal(*values: float) -> torch.Tensor:
    return torch.diag(torch.tensor(values, dtype=torch.float64))


def test_general_importance_is_the_error_of_removal() -> None:
    # Optimal brain surgery, Hassibi & Stork 1993, (5): w^2 / (2 [H^-1]_qq), with H the Kronecker product of both
    # covariances, inverted here as the whole; a hundredth of the mean eigenvalue damps each.
    torch.manual_seed(0)
    rows_x, rows_g = torch.randn(20, 3, dtype=torch.float64), torch.randn(20, 2, dtype=torch.float64)
    statistics = LayerStatistics(rows_x.T @ rows_x / 20, rows_g.T @ rows_g / 20)
    weight = torch.randn(2, 3)
    damped = [each + 0.01 * each.diagonal().mean() * torch.eye(len(each)) for each in vars(statistics).values()]
    inverse = torch.linalg.inv(torch.kron(damped[1], damped[0])).diagonal().reshape(2, 3)
    found = importance(weight, dual_curvature(statistics, torch.zeros(2, 3)))
    torch.testing.assert_close(found, weight.double() ** 2 / (2 * inverse))


def test_a_weight_that_either_domain_needs_is_important() -> None:
    general = LayerStatistics(_diagonal(1.0, 1e-9, 1e-9), _diagonal(1.0, 1.0))
    task = torch.tensor([[0.0, 2.0, 0.0], [0.0, 2.0, 0.0]])
    found = importance(torch.ones(2, 3), dual_curvature(general, task))
    assert (found[:, :2] > 100 * found[:, 2:]).all()


def test_components_keep_what_either_domain_needs_and_not_what_is_merely_large() -> None:
    # Of eight inputs the general domain uses the first three, the task the next three, nobody the last two.
    general = LayerStatistics(_diagonal(1, 1, 1, 0, 0, 0, 0, 0), torch.eye(8, dtype=torch.float64))
    task = torch.zeros(8, 8)
    task[:, 3:6] = 1
    weight = torch.diag(torch.tensor([1.0] * 6 + [3.0] * 2))
    spectrum = dual_spectrum(weight, dual_curvature(general, task), 6)
    reached = factors_at(spectrum, 6).v.square().sum(1)
    torch.testing.assert_close(reached, torch.tensor([1.0] * 6 + [0.0] * 2), atol=1e-5, rtol=0)
    assert spectrum.removal - spectrum.gain(6) < 0.02 * spectrum.removal


def test_without_general_data_the_curve_is_refused() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    data = CalibrationSet(Labelled(Examples(torch.randn(6, 8), torch.arange(6) % 3), nn.Linear(8, 3)))
    layers = compressible_layers(model, data.task.examples.x[:1])
    with pytest.raises(BadInput, match="the task has no general data") as refusal:
        draw_dual(model, layers, data, 0)
    assert refusal.value.where == "compression.curve=dual"
    assert calibrate(model, layers, data.batches())  # the others are drawn all the same
