"""A graph with holes in int8 for a `.pte`: which of its layers can be, and placeholders where its holes are."""

from dataclasses import dataclass

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from toolkit.runtimes import pt2e, pte_holes
from toolkit.runtimes.arithmetic import Quantisation


@dataclass(frozen=True)
class Int8Graph:
    """A graph without holes, in int8.

    `placeholders` stand in it for each hole, in fp32 and in int8. `layers` are those in int8, by the names of their
    weights in the graph. `fp32_layers` were asked for in int8 and stayed in fp32, as did the `fp32_operators`, told by
    kind.
    """

    graph: ExportedProgram
    placeholders: dict[int, list[torch.Tensor]]
    layers: dict[str, str]
    fp32_layers: tuple[str, ...]
    fp32_operators: tuple[str, ...]
    quantised_holes: tuple[str, ...]
    input_type: str


def int8_graph(
    graph: ExportedProgram, holes: tuple[str, ...], quantisation: Quantisation, impossible: frozenset[str], alone: bool
) -> Int8Graph:
    """`graph`, as `export_with_holes` traces it, in int8; the layers in `impossible` stay in fp32.

    One that is `alone` stands for a layer between others in int8: it takes and gives int8, if it can.

    A hole is in fp32 where its layer has a bias: XNNPACK quantises a bias beforehand, by the scales of the weight.
    """
    inputs, _ = graph.example_inputs
    values = [value.detach().clone() for value in inputs[len(inputs) - len(holes) :]]
    module = pte_holes.with_constants(graph, values).module()
    _unshare(module)
    weighted = list(pt2e.weighted_nodes(module))
    filled = {node.name: pte_holes.hole_of(node.args[1]) for node in weighted}
    layers = {node.name: _layer(node.args[1], holes) for node in weighted}
    asked = {name: layer for name, layer in layers.items() if not _within(layer, quantisation.fp32_layers)}
    tried = {
        node.name
        for node in weighted
        if node.name in asked and asked[node.name] not in impossible and _may_be_int8(node, values, quantisation)
    }
    operators = () if quantisation.arithmetic.activations == "dynamic" else pt2e.without_int8(module)
    converted = pt2e.quantise(module, tried, quantisation)
    int8 = [node for node in converted.graph.nodes if node.name in tried and pt2e.is_int8(node)]
    placeholders = _empty(converted, {node: filled[node.name] for node in int8}, values)
    done = {node.name for node in int8}
    given = inputs[: len(inputs) - len(holes)]
    input_type = torch.int8 if alone and pt2e.cut_conversions(converted) else given[0].dtype
    with torch.no_grad():
        types = (input_type, *(each.dtype for each in given[1:]))
        zeros = tuple(torch.zeros(each.shape, dtype=dtype) for each, dtype in zip(given, types, strict=True))
        closed = torch.export.export(converted, zeros)
    return Int8Graph(
        closed,
        placeholders,
        {_weight_name(node): layers[node.name] for node in int8},
        tuple(dict.fromkeys(layer for name, layer in asked.items() if name not in done)),
        operators,
        tuple(holes[index] for index, own in placeholders.items() if any(each.dtype == torch.int8 for each in own)),
        str(input_type).removeprefix("torch."),
    )


def _unshare(module: GraphModule) -> None:
    """Give each layer nodes for its weight and bias, and each convolution values: what follows one is folded into it.

    The quantiser passes over a layer that reads a node of another. Holes stay what they are.
    """
    seen: set[str] = set()
    for node in list(pt2e.weighted_nodes(module)):
        for constant in node.args[1:3]:
            if not isinstance(constant, Node) or constant.op != "get_attr":
                continue
            name = str(constant.target)
            if name in seen:
                own = name
                if pte_holes.hole_of(constant) is None:
                    own = f"{name}_{node.name}"
                    parent, _, last = own.rpartition(".")
                    value = module.get_parameter(name).detach().clone()
                    module.get_submodule(parent).register_parameter(last, torch.nn.Parameter(value, False))
                with module.graph.inserting_before(node):
                    again = module.graph.get_attr(own)
                again.meta = dict(constant.meta)
                node.replace_input_with(constant, again)
            seen.add(name)
    module.recompile()


def _layer(weight: object, holes: tuple[str, ...]) -> str:
    """The module that a constant of a graph with constants is the weight of."""
    assert isinstance(weight, Node)
    index = pte_holes.hole_of(weight)
    parameter = str(weight.target).removeprefix("function.").removeprefix("model.") if index is None else holes[index]
    return parameter.rpartition(".")[0]


def _within(layer: str, modules: frozenset[str]) -> bool:
    return any(layer == module or layer.startswith(f"{module}.") for module in modules)


def _may_be_int8(node: Node, values: list[torch.Tensor], quantisation: Quantisation) -> bool:
    if not pt2e.has_int8(node, quantisation.arithmetic):
        return False
    bias = node.args[2] if len(node.args) > 2 else None
    index = pte_holes.hole_of(node.args[1])
    if index is None:
        return pte_holes.hole_of(bias) is None
    # The runner's scales are along the first axis, which a transposed convolution's output channels are not.
    return bias is None and "transpose" not in str(node.target) and pte_holes.may_be_int8(index, values[index])


@torch.no_grad()
def _empty(
    module: GraphModule, filled: dict[Node, int | None], values: list[torch.Tensor]
) -> dict[int, list[torch.Tensor]]:
    """Put placeholders in the place of the holes' values; `filled` says which int8 nodes read which holes."""
    placed: dict[int, list[torch.Tensor]] = {index: [] for index in range(len(values))}
    for node, index in filled.items():
        if index is None:
            continue
        weight = node.args[1]
        assert isinstance(weight, Node)
        for constant, name, value in zip(
            weight.args[:2], ("values", "scales"), pte_holes.int8_placeholders(index, values[index].shape), strict=True
        ):
            assert isinstance(constant, Node)
            constant.target = f"{pte_holes.hole_name(index)}_{name}"
            module.register_buffer(constant.target, value)
            placed[index].append(value)
    for node in module.graph.nodes:
        index = pte_holes.hole_of(node)
        if index is not None:
            placed[index].append(value := pte_holes.placeholder(index, values[index].shape))
            module.get_parameter(str(node.target)).copy_(value)
    module.recompile()
    return placed


def _weight_name(node: Node) -> str:
    """What the int8 weight of a converted node is called."""
    weight = node.args[1]
    assert isinstance(weight, Node)
    assert isinstance(weight.args[0], Node)
    return str(weight.args[0].target)
