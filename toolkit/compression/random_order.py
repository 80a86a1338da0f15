"""The curve of chance: a weight's singular components in no order. A baseline."""

import torch
from torch import nn

from toolkit.compression.calibration_set import CalibrationSet
from toolkit.compression.layers import Dense, matrix
from toolkit.compression.spectrum import Spectrum, components_of, ordered


def draw_random(model: nn.Module, layers: dict[str, Dense], data: CalibrationSet, seed: int) -> dict[str, Spectrum]:
    """Components of each weight as `seed` shuffles them; gains are the squared weights that they hold."""
    generator = torch.Generator().manual_seed(seed)
    spectra = {}
    for name, layer in layers.items():
        p, values, qh = torch.linalg.svd(matrix(layer).double(), full_matrices=False)
        kept = torch.randperm(len(values), generator=generator)[: components_of(layer)]
        removal = 0.5 * float((values**2).sum())
        spectra[name] = ordered(p[:, kept] * values[kept], qh[kept].T, values[kept], removal)
    return spectra
