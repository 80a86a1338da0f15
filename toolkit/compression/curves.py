"""The gain curves by name: what makes one component worth more than another."""

from collections.abc import Callable

from torch import nn

from toolkit.compression.activation import draw_activation
from toolkit.compression.calibration import calibrate
from toolkit.compression.calibration_set import CalibrationSet
from toolkit.compression.damping import damped
from toolkit.compression.dual import draw_dual
from toolkit.compression.fisher import diagonal_fisher
from toolkit.compression.jactus import draw_jactus
from toolkit.compression.layers import Dense
from toolkit.compression.magnitude import draw_magnitude
from toolkit.compression.random_order import draw_random
from toolkit.compression.spectrum import Spectrum, best_approximations
from toolkit.compression.subspaces import top_eigenvectors

# Model (x -> features), its layers by name, what to calibrate on, seed -> each layer's spectrum.
Curve = Callable[[nn.Module, dict[str, Dense], CalibrationSet, int], dict[str, Spectrum]]

CURVES: dict[str, Curve] = {
    "jactus": draw_jactus,
    "activation": draw_activation,
    "magnitude": draw_magnitude,
    "random": draw_random,
    "dual": draw_dual,
}


def made_by(curve: str) -> tuple[Callable[..., object], ...]:
    """Functions of the modules whose code a spectrum of that curve depends on: what a cached result's key must hold."""
    return (calibrate, damped, diagonal_fisher, top_eigenvectors, best_approximations, CURVES[curve])
