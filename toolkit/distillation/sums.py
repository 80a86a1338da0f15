"""Sums of two activations: an int8 program rounds what a shortcut adds up as it rounds what a layer sees."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_ADDITIONS = {torch.add, torch.Tensor.add, torch.Tensor.add_}  # what `+` and `+=` call, too

Visit = Callable[[str, torch.Tensor], torch.Tensor]


@contextmanager
def visited_sums(model: nn.Module, visit: Visit) -> Iterator[None]:
    """Inside, `model` adds `visit(name, x)` for each operand `x` of a sum of two tensors of one shape.

    Names tell the sums of a call apart by their order: "sum 0 left", "sum 0 right", "sum 1 left".
    """
    sums = _Sums(visit)
    handle = model.register_forward_pre_hook(lambda *_: sums.begin())
    try:
        with sums:
            yield
    finally:
        handle.remove()


class _Sums(TorchFunctionMode):
    def __init__(self, visit: Visit) -> None:
        super().__init__()
        self._visit = visit
        self._count = 0

    def begin(self) -> None:
        self._count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _ADDITIONS and len(args) == 2 and all(isinstance(each, torch.Tensor) for each in args):
            # Counted whatever their shapes: those of a batch of one may be equal by chance.
            name = f"sum {self._count}"
            self._count += 1
            left, right = args
            if left.shape == right.shape and left.is_floating_point():
                args = self._visit(f"{name} left", left), self._visit(f"{name} right", right)
        return func(*args, **(kwargs or {}))
