"""What goes into a network: named tensors with one row an example, and the ports that they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

# Of a batch: four photographs of 224 x 224. What a layer makes of more has left the caches when the next one reads it:
# on two cores MobileNetV2 took 1.10 s for 32 of them at once, 0.51 s for four at a time, ResNet-18 1.05 and 0.86 s.
# ResNet-56 took 0.71 s for 256 images of 32 x 32 at once, 0.55 s for 128 at a time.
_VALUES = 4 * 3 * 224 * 224


@dataclass(frozen=True)
class Port:
    """One input or output of a program: the `shape` of one example, without the batch dimension, and its `dtype`."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Inputs:
    """Tensors by the name of their port, (N, *shape) each, in the order in which a network takes them.

    Iterating gives the tensors, so that `network(*inputs)` calls it; indices, slices and `split` speak of examples.
    """

    tensors: Mapping[str, torch.Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self.tensors.values())

    def __getitem__(self, rows: slice | torch.Tensor | Sequence[int]) -> Inputs:
        return Inputs({name: tensor[rows] for name, tensor in self.tensors.items()})

    @property
    def ports(self) -> tuple[Port, ...]:
        """What takes one example of them."""
        return tuple(
            Port(name, tuple(tensor.shape[1:]), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in self.tensors.items()
        )

    def split(self, size: int) -> Iterator[Inputs]:
        """Batches of `size` examples; the last may be smaller."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def batches(self, at_most: int) -> Iterator[Inputs]:
        """Batches of so many examples, of fewer where they are large: see `_VALUES`."""
        each = sum(tensor[:1].numel() for tensor in self)
        return self.split(min(max(_VALUES // max(each, 1), 1), at_most))

    def floats(self) -> dict[str, torch.Tensor]:
        """Those that can be differentiated, shaken or measured for their spread: no names, no counts, no masks."""
        return {name: tensor for name, tensor in self.tensors.items() if tensor.is_floating_point()}

    def arrays(self, kind: str) -> dict[str, np.ndarray]:
        """As files of arrays have them: `kind.name`."""
        arrays = {name: tensor.detach().numpy() for name, tensor in self.tensors.items()}
        return {f"{kind}.{name}": np.ascontiguousarray(array) for name, array in arrays.items()}

    def images(self) -> dict[str, torch.Tensor]:
        """Those of them that may be images, (N, C, H, W)."""
        return {name: tensor for name, tensor in self.floats().items() if tensor.dim() == 4}

    def with_tensors(self, changed: Mapping[str, torch.Tensor]) -> Inputs:
        """The same with some of them replaced."""
        return Inputs({**self.tensors, **changed})


# What one tensor without a name is called.
ONE_TENSOR = "x"
# What users may give.
Given = Inputs | torch.Tensor | Mapping[str, torch.Tensor]


def inputs_of(given: Given) -> Inputs:
    """What a user gives as the inputs of examples."""
    if isinstance(given, Inputs):
        return given
    return Inputs(dict(given) if isinstance(given, Mapping) else {ONE_TENSOR: given})


def differentiable(x: Inputs) -> Inputs:
    """The same values, of which gradients come back to the floats; those of whole numbers end at what looks them up."""
    return x.with_tensors({name: each.detach().requires_grad_(True) for name, each in x.floats().items()})


def join(parts: Sequence[Inputs]) -> Inputs:
    """The examples of all parts, one after the other."""
    return Inputs({name: torch.cat([part.tensors[name] for part in parts]) for name in parts[0].tensors})
