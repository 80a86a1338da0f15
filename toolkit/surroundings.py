"""What surrounds a layer: how its network calls it, what is hung on it, and what is read of it."""

from typing import Any

from torch import nn

from toolkit.inputs import Inputs


def call_by_position(model: nn.Module, x: Inputs) -> None:
    """From now on, layers that `model` calls by the name of their input on `x` see it as others do: as an argument."""
    named: list[nn.Module] = []

    def look(module: nn.Module, _: tuple[Any, ...], others: dict[str, Any]) -> None:
        if "input" in others and module not in named:
            named.append(module)

    layers = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_pre_hook(look, with_kwargs=True) for layer in layers]
    try:
        model(*x)
    finally:
        for handle in handles:
            handle.remove()
    for layer in named:
        layer.register_forward_pre_hook(_by_position, with_kwargs=True)


def is_touched(module: nn.Module) -> bool:
    """Whether somebody hung a hook on it, or gave this one a forward of its own: both would go with the module."""
    before = [hook for hook in module._forward_pre_hooks.values() if hook is not _by_position]
    return bool(before or module._forward_hooks) or "forward" in vars(module)


def look_like(module: nn.Module, other: nn.Module) -> None:
    """Give `other` the plain attributes of `module`: sizes, strides, and what a user may have marked it with."""
    for name, value in vars(module).items():
        if not name.startswith("_") and name != "training" and not hasattr(type(other), name):
            setattr(other, name, value)


def _by_position(
    _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    others = {name: value for name, value in named.items() if name != "input"}
    return (named["input"], *inputs) if "input" in named else inputs, others
