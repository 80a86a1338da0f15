"""JACTUS: joint adaptation and compression with a task-aware union of subspaces.

From the paper (abstract): the orthogonal union of the pretrained weight's subspace with those of the input and the
pre-activation gradient, a projected low-rank approximation inside it, and training of the compact core alone. Our
reading of the rest: the approximation `U M V^T` is the best in the task's own metric, `1/2 ||Sg^1/2 (W - U M V^T)
Sx^1/2||^2`, the K-FAC estimate of the loss it costs, so that component i saves `1/2 s_i^2` nats, comparable across
layers.
"""

import torch
from torch import nn

from toolkit.compression.calibration import LayerStatistics, calibrate
from toolkit.compression.calibration_set import CalibrationSet
from toolkit.compression.damping import damped
from toolkit.compression.layers import Dense, matrix
from toolkit.compression.spectrum import Spectrum, best_approximations, components_of
from toolkit.compression.subspaces import singular_subspaces, top_eigenvectors, union


def draw_jactus(model: nn.Module, layers: dict[str, Dense], data: CalibrationSet, seed: int) -> dict[str, Spectrum]:
    """Every layer's spectrum, from what general data (if any) and task do in `model`."""
    statistics = calibrate(model, layers, data.batches(), data.objective, seed=seed)
    # Covariances are the larger part of what is held: each goes as its layer is done.
    return {
        name: jactus_spectrum(matrix(layer), statistics.pop(name), components_of(layer))
        for name, layer in layers.items()
    }


def jactus_spectrum(weight: torch.Tensor, statistics: LayerStatistics, k: int) -> Spectrum:
    """Up to k components of `weight` (m, n) inside the unions of k-dimensional subspaces of weight and covariances."""
    sigma_g, sigma_x = damped(statistics.sigma_g), damped(statistics.sigma_x)
    of_outputs, of_inputs = singular_subspaces(weight, k)
    u, v = union(of_outputs, top_eigenvectors(sigma_g, k)), union(of_inputs, top_eigenvectors(sigma_x, k))
    return best_approximations(weight, sigma_g, sigma_x, k, u=u, v=v)
