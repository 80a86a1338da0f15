"""Operators of a graph become the layers that they were before it was exported, so that these may become compact."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

_aten = torch.ops.aten
_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def with_layers(module: fx.GraphModule) -> fx.GraphModule:
    """The same module, in which linear maps, convolutions and batch norms are layers by the names of their weights.

    Weights that anything else reads, too, stay with their operators.
    """
    calls: dict[str, list[fx.Node]] = defaultdict(list)
    for node in module.graph.nodes:
        if node.target in _LAYERS and (weight := _attribute(node.args[1])).endswith(".weight"):
            calls[weight.removesuffix(".weight")].append(node)
    for name, nodes in calls.items():
        if _reads_all(module, name, nodes):
            module.set_submodule(name, _LAYERS[nodes[0].target](nodes[0], *map(_value(module), nodes[0].args[1:])))
            for node in nodes:
                _call(module, name, node)
    for node in reversed(module.graph.nodes):
        if node.op == "get_attr" and not node.users:
            module.graph.erase_node(node)
    for node in module.graph.nodes:
        node.meta = {}  # which module of the exported model it came from: that is not here
    module.recompile()
    return module


def _attribute(node: object) -> str:
    """Which tensor of the module it reads; nothing for other nodes."""
    return str(node.target) if isinstance(node, fx.Node) and node.op == "get_attr" else ""


def _value(module: nn.Module) -> Callable[[object], Any]:
    """An argument as the operator would get it."""

    def of(argument: object) -> object:
        name = _attribute(argument)
        if not name:
            return argument
        owner, _, tensor = name.rpartition(".")
        return getattr(module.get_submodule(owner), tensor)

    return of


def _reads_all(module: fx.GraphModule, name: str, nodes: list[fx.Node]) -> bool:
    """Whether these calls, which are alike, are all that reads tensors of that name, and they read nothing else."""
    first, arguments = nodes[0], nodes[0].args[1:]
    alike = all(node.target is first.target and node.args[1:] == arguments and not node.kwargs for node in nodes)
    computed = any(isinstance(each, fx.Node) for each in map(_value(module), arguments))
    elsewhere = any(each and each.rpartition(".")[0] != name for each in map(_attribute, arguments))
    readers = {user for node in module.graph.nodes if _attribute(node).startswith(f"{name}.") for user in node.users}
    has_children = any(module.get_submodule(name).children())
    return alike and readers <= set(nodes) and not (computed or elsewhere or has_children)


def _call(module: fx.GraphModule, name: str, node: fx.Node) -> None:
    with module.graph.inserting_before(node):
        call = module.graph.call_module(name, node.args[:1])
    call.meta = node.meta
    node.replace_all_uses_with(call)
    module.graph.erase_node(node)


def _linear(_: fx.Node, weight: nn.Parameter, bias: nn.Parameter | None = None) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    return _filled(layer, weight, bias)


def _convolution(
    _: fx.Node,
    weight: nn.Parameter,
    bias: nn.Parameter | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> nn.Module:
    kind: Any = nn.Conv2d if weight.dim() == 4 else nn.Conv1d
    sizes = [each if isinstance(each, int | str) else tuple(each) for each in (stride, padding, dilation)]
    channels = weight.shape[1] * groups, weight.shape[0]
    layer = kind(*channels, tuple(weight.shape[2:]), *sizes, groups=groups, bias=False, device="meta")
    return _filled(layer, weight, bias)


def _norm(
    node: fx.Node,
    weight: nn.Parameter,
    bias: nn.Parameter,
    mean: torch.Tensor,
    variance: torch.Tensor,
    _: bool,
    momentum: float,
    epsilon: float,
    __: bool,
) -> nn.Module:
    layer = _NORMS[node.meta["val"].dim()](len(weight), epsilon, momentum)
    layer.running_mean, layer.running_var = mean, variance
    return _filled(layer, weight, bias)


def _filled(layer: Any, weight: nn.Parameter, bias: nn.Parameter | None) -> nn.Module:
    layer.weight, layer.bias = weight, bias
    return layer


_LAYERS: dict[Any, Callable[..., nn.Module]] = {
    _aten.linear.default: _linear,
    _aten.conv1d.default: _convolution,
    _aten.conv1d.padding: _convolution,
    _aten.conv2d.default: _convolution,
    _aten.conv2d.padding: _convolution,
    _aten.batch_norm.default: _norm,
}
