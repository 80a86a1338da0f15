"""The gain curves by name: what makes one component worth more than another."""

from collections.abc import Callable

from torch import nn

from toolkit.compression.activation import draw_activation
from toolkit.compression.calibration_set import CalibrationSet
from toolkit.compression.dual import draw_dual
from toolkit.compression.jactus import draw_jactus
from toolkit.compression.layers import Dense
from toolkit.compression.magnitude import draw_magnitude
from toolkit.compression.random_order import draw_random
from toolkit.compression.spectrum import Spectrum

# Model (x -> features), its layers by name, what to calibrate on, seed -> each layer's spectrum.
Curve = Callable[[nn.Module, dict[str, Dense], CalibrationSet, int], dict[str, Spectrum]]

CURVES: dict[str, Curve] = {
    "jactus": draw_jactus,
    "activation": draw_activation,
    "magnitude": draw_magnitude,
    "random": draw_random,
    "dual": draw_dual,
}
