"""Which backbone a policy or an embedding belongs to: told by a sketch of its weights, not by their last bit.

The same training on another machine ends in nearly the same weights; a digest of them would call it another backbone.
"""

from dataclasses import dataclass

import torch

from toolkit.compression.layers import Dense, matrix

_SIZE = 512
# Cosine of two sketches. Unrelated weights: 0 with a standard deviation of 1 / sqrt(size) = 0.044.
_SAME = 0.5


@dataclass(frozen=True)
class Fingerprint:
    """Names and shapes (m, n) of the layers, and a count sketch (size,) of their weights, each layer of unit norm."""

    shapes: dict[str, tuple[int, int]]
    sketch: torch.Tensor

    def differs_from(self, other: "Fingerprint") -> str | None:
        """What makes them different backbones; None if nothing does."""
        if list(self.shapes) != list(other.shapes):
            changed = sorted(set(self.shapes) ^ set(other.shapes)) or list(self.shapes)
            return f"its layers are others ({', '.join(changed[:3])}{', ...' if len(changed) > 3 else ''})"
        for layer, shape in self.shapes.items():
            if shape != other.shapes[layer]:
                return f"its layer {layer} is {_by(shape)}, not {_by(other.shapes[layer])}"
        likeness = float(torch.cosine_similarity(self.sketch, other.sketch, dim=0))
        return None if likeness > _SAME else f"its weights are others (likeness {likeness:.2f})"


def fingerprint(layers: dict[str, Dense]) -> Fingerprint:
    """Of a backbone's compressible layers. Count sketch: Charikar et al. 2002."""
    generator = torch.Generator().manual_seed(0)
    sketch = torch.zeros(_SIZE)
    for layer in layers.values():
        weights = matrix(layer).flatten()
        place = torch.randint(_SIZE, weights.shape, generator=generator)
        sign = torch.randint(2, weights.shape, generator=generator) * 2 - 1
        sketch.index_add_(0, place, sign * weights / weights.norm().clamp_min(1e-30))
    return Fingerprint(
        {name: (matrix(layer).shape[0], matrix(layer).shape[1]) for name, layer in layers.items()}, sketch
    )


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
