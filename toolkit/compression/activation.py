"""The curve of activation-aware compression: what a component does to the layer's output, whatever that is worth.

Source: SVD-LLM (Wang et al. 2024, section 3.1): the weight is whitened by the Cholesky factor of the input covariance,
so that each singular value dropped is the output error it causes. Ours is the covariance damped, as it may be singular.
"""

from torch import nn

from toolkit.compression.calibration import calibrate
from toolkit.compression.calibration_set import CalibrationSet
from toolkit.compression.damping import damped
from toolkit.compression.layers import Dense, matrix
from toolkit.compression.spectrum import Spectrum, best_approximations, components_of


def draw_activation(model: nn.Module, layers: dict[str, Dense], data: CalibrationSet, seed: int) -> dict[str, Spectrum]:
    """The best approximations of each layer's outputs; gains are half their squared error, a position on average."""
    statistics = calibrate(model, layers, data.batches(), data.objective, seed=seed)
    return {
        name: best_approximations(matrix(layer), None, damped(statistics.pop(name).sigma_x), components_of(layer))
        for name, layer in layers.items()
    }
