"""Nothing: what a removed branch adds to its input."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

_ADDITIONS = {
    torch.add,
    torch.Tensor.add,
    torch.Tensor.add_,
    torch.Tensor.__add__,
    torch.Tensor.__radd__,
    torch.Tensor.__iadd__,
}


class Nothing:
    """A zero of any shape that is no tensor: `x + Nothing()` is a copy of x, in Python, so that no graph holds a sum.

    A tensor of zeros would be added on the board, and stored there where the sum is taken in place. Whatever else is
    computed with nothing is nothing too. It has no shape.
    """

    def __add__(self, other: Any) -> Any:
        """The other one: a new tensor, as a sum is, because what follows may change it in place."""
        return other.clone()

    __radd__ = __add__

    def __mul__(self, other: Any) -> "Nothing":
        """Nothing, by whatever it is multiplied."""
        return self

    __rmul__ = __truediv__ = __getitem__ = __mul__

    def __getattr__(self, name: str) -> Callable[..., "Nothing"]:
        """The methods of a tensor, each of which gives nothing; AttributeError for its other attributes."""
        if name.startswith("_") or not callable(getattr(torch.Tensor, name, None)):
            raise AttributeError(f"nothing has no {name}")
        return lambda *_, **__: self

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, inputs: Iterable[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        """How torch computes with it: sums give the other one, anything else gives nothing."""
        if function not in _ADDITIONS:
            return cls()
        one, other = (*inputs, *(named or {}).values())[:2]
        return other + one if isinstance(one, cls) else one.clone()
