"""Which layer of the model each node of an ONNX graph came from."""

import ast
from collections.abc import Collection
from dataclasses import dataclass

import onnx

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN")
_SCOPES = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True)
class Origin:
    """The modules that a node stands in, innermost first, and the weight that it multiplies by, if it has one."""

    modules: tuple[str, ...]
    weight: str | None

    def within(self, names: Collection[str]) -> bool:
        """Whether it belongs to a module of these names, or to a part of one."""
        return any(each == name or each.startswith(f"{name}.") for each in self.modules for name in names)


def origins(model: onnx.ModelProto, root: str, holes: Collection[str]) -> dict[str, Origin]:
    """Origin of every node by its name, which each is given; modules are named as seen from `root`.

    The exporter writes the scopes of a node, but a convolution that swallowed a batch normalisation has the latter's.
    Its weight still says whose it is.
    """
    constants = {each.name for each in model.graph.initializer} | set(holes)
    turned = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Transpose"}
    found = {}
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{index}"
        given = [turned.get(each, each) for each in node.input[:2]] if node.op_type in WEIGHTED else []
        weight = next((each for each in reversed(given) if each in constants), None)
        if weight is not None and weight.endswith(".weight"):
            modules: tuple[str, ...] = (weight.removeprefix(f"{root}.").removesuffix("weight").removesuffix("."),)
        else:
            modules = _scopes(node, root)
        found[node.name] = Origin(modules, weight)
    return found


def _scopes(node: onnx.NodeProto, root: str) -> tuple[str, ...]:
    said = next((each.value for each in node.metadata_props if each.key == _SCOPES), "[]")
    modules = [each for each in ast.literal_eval(said)[:-1] if each == root or each.startswith(f"{root}.")]
    return tuple(each.removeprefix(root).removeprefix(".") for each in reversed(modules))
