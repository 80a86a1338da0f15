"""A copy of some modules of a network, where hundreds of whole copies would take longer than what is done to them."""

import copy
from collections.abc import Iterable
from typing import TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def copied_at(model: Model, names: Iterable[str]) -> Model:
    """`model` again, where the modules of those names, what is in them and what they are in are its own.

    All others are those of `model`, for whoever calls the copy without changing them.
    """
    paths = [tuple(name.split(".")) for name in names]
    shared = {}
    for name, module in model.named_modules():
        here = tuple(name.split(".")) if name else ()
        if not any(path[: len(here)] == here or here[: len(path)] == path for path in paths):
            shared[id(module)] = module
    return copy.deepcopy(model, shared)
