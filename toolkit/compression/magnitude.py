"""The curve that knows nothing of any data: the weight's own singular values. A baseline."""

from torch import nn

from toolkit.compression.calibration_set import CalibrationSet
from toolkit.compression.layers import Dense, matrix
from toolkit.compression.spectrum import Spectrum, best_approximations, components_of


def draw_magnitude(model: nn.Module, layers: dict[str, Dense], data: CalibrationSet, seed: int) -> dict[str, Spectrum]:
    """The best approximations of each weight in the Frobenius norm (Eckart & Young 1936); gains are squared weights."""
    return {
        name: best_approximations(matrix(layer), None, None, components_of(layer)) for name, layer in layers.items()
    }
