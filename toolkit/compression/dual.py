"""D-Pruner's dual importance: what the general domain needs of a weight, and what the task needs of it.

From the paper (Zhang et al. 2024, abstract; its repository is empty): general importance is the error that removing a
weight causes on a general calibration set; it regularises the task's loss; importance is then approximated efficiently
from the gradients of that refined loss on the task's calibration set. Our reading: the removal error is that of optimal
brain surgery, `w^2 / (2 [H^-1])` with the K-FAC Hessian `H = Sg x Sx` of the general data; the regulariser is the
quadratic that rises by just that when the weight is removed; the refined loss has the curvature `F + strength / [H^-1]`
with the empirical Fisher F of the task, and a weight's importance is `1/2 w^2` times that, in nats.

Importance is of single weights. Where the runtime is dense it is summed to the channels that they connect: the
curvature becomes the outer product that has its row and column sums, and components are the best ones in that metric
(as FWSVD, Hsu et al. 2022, does with row sums). Where the hardware gains from it, it is kept by weight: `sparse_mask`.
"""

import torch
from torch import nn

from toolkit.compression.calibration import LayerStatistics, calibrate
from toolkit.compression.calibration_set import CalibrationSet, in_batches
from toolkit.compression.damping import damped
from toolkit.compression.fisher import diagonal_fisher
from toolkit.compression.layers import Dense, matrix
from toolkit.compression.spectrum import Spectrum, best_approximations, components_of
from toolkit.errors import BadInput

# A nat lost by an example of the general domain counts as one lost by an example of the task.
_STRENGTH = 1.0


def draw_dual(model: nn.Module, layers: dict[str, Dense], data: CalibrationSet, seed: int) -> dict[str, Spectrum]:
    """Every layer's spectrum, from general data and task apart. Raises BadInput if there are no general data."""
    if data.general is None:
        raise without_general_data()
    general = calibrate(model, layers, in_batches(data.general), data.objective, seed=seed)
    fisher = diagonal_fisher(model, layers, data.task, data.objective)
    return {
        name: dual_spectrum(matrix(layer), dual_curvature(general.pop(name), fisher.pop(name)), components_of(layer))
        for name, layer in layers.items()
    }


def without_general_data() -> BadInput:
    """The refusal of a task that has none."""
    return BadInput(
        "weighs the general domain against the task, and the task has no general data",
        where="compression.curve=dual",
        next="Give general_x and general_y (or Task.general), or choose curve jactus.",
    )


def dual_spectrum(weight: torch.Tensor, curvature: torch.Tensor, k: int) -> Spectrum:
    """Up to k components of `weight` (m, n), the best where curvature (m, n) is summed to outputs and to inputs."""
    outputs, inputs = curvature.sum(1), curvature.sum(0)
    return best_approximations(weight, torch.diag(outputs), torch.diag(inputs / inputs.sum()), k)


def dual_curvature(general: LayerStatistics, fisher: torch.Tensor, strength: float = _STRENGTH) -> torch.Tensor:
    """Curvature of the refined loss in each weight, (m, n): `fisher` of the task, and what the general data demand."""
    return fisher + strength / torch.outer(_inverse_diagonal(general.sigma_g), _inverse_diagonal(general.sigma_x))


def importance(weight: torch.Tensor, curvature: torch.Tensor) -> torch.Tensor:
    """Nats an example that removing each weight of (m, n) alone costs."""
    return 0.5 * curvature * weight.double() ** 2


def _inverse_diagonal(covariance: torch.Tensor) -> torch.Tensor:
    """The diagonal of the damped covariance's inverse."""
    return torch.cholesky_inverse(torch.linalg.cholesky(damped(covariance))).diagonal()
