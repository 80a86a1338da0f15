"""Calls of networks that are one network but for a few modules: what runs before the first of these is known already.

True losses are measured of hundreds of networks that each differ from the dense one in one layer, or a few.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import accumulate

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolkit.inputs import Inputs

# A network, which batch of several it is given, and that batch.
Call = Callable[[nn.Module, int, Inputs], torch.Tensor]

# Of all leaves with weights, the share that is recorded as one: what is between is computed again, and costs no memory.
_AT_ONCE = 1 / 8
_MOST_BYTES = 2**30


def call(network: nn.Module, _: int, batch: Inputs) -> torch.Tensor:
    """As nothing is known of it."""
    return network(*batch)


class Known:
    """What modules of the network `dense` put out, batch by batch, for networks that differ from it in some.

    Outputs for `examples` examples in all are kept in 1 GiB: those of the first modules, if all would take more.
    """

    def __init__(self, dense: nn.Module, examples: int) -> None:
        self._dense = dense
        self._examples = examples
        self._units = _units(dense)
        self._outputs: dict[int, dict[str, torch.Tensor]] = {}
        self._known: list[str] = []

    def record(self, dense: nn.Module, number: int, batch: Inputs) -> torch.Tensor:
        """Call the dense network, and keep what its modules put out for the batch of that number."""
        calls: list[tuple[str, object]] = []
        with _forwards(dense, {name: _recording(name, dense.get_submodule(name), calls) for name in self._units}):
            whole = dense(*batch)
        names = [name for name, _ in calls]
        outputs = {
            name: output for name, output in calls if isinstance(output, torch.Tensor) and names.count(name) == 1
        }
        self._units = list(outputs)  # in the order of their calls
        held = accumulate(output.numel() * output.element_size() for output in outputs.values())
        most = _MOST_BYTES * len(batch) / self._examples
        self._outputs[number] = {
            name: output for (name, output), so_far in zip(outputs.items(), held, strict=True) if so_far <= most
        }
        return whole

    def call(self, network: nn.Module, number: int, batch: Inputs) -> torch.Tensor:
        """The same as `network(*batch)`, which was recorded of the dense one under that number; 0 comes first.

        Batch normalisation that is not computed gets the dense network's statistics.
        """
        if number == 0:  # another pass, before which the very same network may have been changed
            self._known = self._before_changes(network)
        outputs = self._outputs[number]
        known = [name for name in self._known if name in outputs]
        for name in known:
            _copy_statistics(self._dense.get_submodule(name), network.get_submodule(name))
        with _forwards(network, {name: _answering(outputs[name]) for name in known}):
            return network(*batch)

    def _before_changes(self, network: nn.Module) -> list[str]:
        """Modules that run before the first that differs; none where what is in no recorded module does."""
        inside = {f"{name}.{below}".rstrip(".") for name in self._units for below, _ in _below(self._dense, name)}
        ours, theirs = dict(self._dense.named_modules()), dict(network.named_modules())
        outside = ours.keys() - inside
        if any(name not in theirs or not _is_same(ours[name], theirs[name]) for name in outside):
            return []
        found = []
        for name in self._units:
            if name not in theirs or not _are_same(ours[name], theirs[name]):
                break
            found.append(name)
        return found


def _units(network: nn.Module) -> list[str]:
    """Modules with weights, none inside another, that hold no more than a share of all."""
    most = max(1, int(_AT_ONCE * _leaves(network)))
    found: list[str] = []

    def visit(name: str, module: nn.Module) -> None:
        if name and 0 < _leaves(module) <= most:
            found.append(name)
            return
        for child, below in module.named_children():
            visit(f"{name}.{child}" if name else child, below)

    visit("", network)
    return found


def _leaves(module: nn.Module) -> int:
    return sum(1 for each in module.modules() if next(each.parameters(recurse=False), None) is not None)


def _below(network: nn.Module, name: str) -> list[tuple[str, nn.Module]]:
    return list(network.get_submodule(name).named_modules())


def _are_same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules compute the same, but for statistics of batch normalisation."""
    ours, theirs = dict(one.named_modules()), dict(other.named_modules())
    return ours.keys() == theirs.keys() and all(_is_same(module, theirs[name]) for name, module in ours.items())


def _is_same(one: nn.Module, other: nn.Module) -> bool:
    """The same of the modules themselves, without what is below them."""
    if type(one) is not type(other) or ("forward" in vars(one)) != ("forward" in vars(other)):
        return False
    ours, theirs = _own(one), _own(other)
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def _own(module: nn.Module) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = dict(module.named_parameters(recurse=False))
    if not isinstance(module, _BatchNorm):
        tensors |= dict(module.named_buffers(recurse=False))
    return tensors


def _copy_statistics(one: nn.Module, other: nn.Module) -> None:
    for ours, theirs in zip(one.modules(), other.modules(), strict=True):
        if isinstance(ours, _BatchNorm):
            for name, value in ours.named_buffers(recurse=False):
                theirs.get_buffer(name).copy_(value)


def _recording(name: str, module: nn.Module, calls: list[tuple[str, object]]) -> Callable[..., object]:
    forward = module.forward

    def record(*args: object, **kwargs: object) -> object:
        output = forward(*args, **kwargs)
        # A copy: what follows may write into it.
        calls.append((name, output.clone() if isinstance(output, torch.Tensor) else output))
        return output

    return record


def _answering(output: torch.Tensor) -> Callable[..., torch.Tensor]:
    return lambda *args, **kwargs: output.clone()


@contextmanager
def _forwards(network: nn.Module, forwards: Mapping[str, Callable[..., object]]) -> Iterator[None]:
    """Inside, modules of those names compute so; hooks on them go on as they do."""
    modules = {name: network.get_submodule(name) for name in forwards}
    before = {name: module.__dict__.get("forward") for name, module in modules.items()}
    for name, module in modules.items():
        module.forward = forwards[name]
    try:
        yield
    finally:
        for name, module in modules.items():
            del module.forward
            if (forward := before[name]) is not None:
                module.forward = forward
