"""torchao's PT2E with XNNPACK's quantiser: a traced function computed in int8, its weights per output channel.

Layers are told by their weights' names: whoever traced a module kept those. Operators without weights (additions,
products, concatenations, pooling) are int8 where all that they read is, so that no conversion is added for them alone.
"""

import dataclasses
from collections.abc import Iterator, Set
from typing import TYPE_CHECKING

import torch
from torch._ops import OpOverload
from torch.fx import GraphModule, Node

from toolkit.inputs import Inputs
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation, Ranges
from toolkit.runtimes.examples import drawn

if TYPE_CHECKING:
    from torchao.quantization.pt2e.quantizer import QuantizationConfig

_aten = torch.ops.aten
_LINEAR = _aten.linear.default
_WEIGHTED = {
    _LINEAR,
    _aten.conv1d.default,
    _aten.conv1d.padding,
    _aten.conv2d.default,
    _aten.conv2d.padding,
    _aten.conv3d.default,
    _aten.conv3d.padding,
    _aten.convolution.default,
    _aten.conv_transpose1d.default,
    _aten.conv_transpose2d.input,
    _aten.conv_transpose3d.input,
}
_JOINING = {_aten.add.Tensor, _aten.add_.Tensor, _aten.mul.Tensor, _aten.mul_.Tensor, _aten.cat.default}
_POOLING = {_aten.adaptive_avg_pool2d.default}
_PASSING = _POOLING | {
    _aten.relu.default,
    _aten.relu_.default,
    _aten.hardtanh.default,
    _aten.hardtanh_.default,
    _aten.batch_norm.default,
    _aten.max_pool2d.default,
    _aten.view.default,
    _aten.reshape.default,
    _aten.flatten.using_ints,
    _aten.permute.default,
    _aten.transpose.int,
    _aten.dropout.default,
}
# What moves or names values: it has no precision.
_MOVING = {
    _aten.slice.Tensor,
    _aten.select.int,
    _aten.expand.default,
    _aten.squeeze.dim,
    _aten.unsqueeze.default,
    _aten.clone.default,
    _aten.contiguous.default,
}
# The same operators as the quantiser does not touch them.
_OF_NUMBERS = {_aten.add.Tensor: _aten.add.Scalar, _aten.mul.Tensor: _aten.mul.Scalar}
# What may pad with zeros, and what stands between its sizes and that value then.
_PADDING: dict[OpOverload, tuple[str, ...]] = {_aten.pad.default: ("constant",), _aten.constant_pad_nd.default: ()}
# The finest scale of a weight: a channel of zeros must have one, and the library's own (2 ** -12) is coarse for the
# weights of wide layers.
_FINEST_WEIGHT = 2.0**-20


def weighted_nodes(module: GraphModule) -> Iterator[Node]:
    """Every linear and convolution whose weight, its second argument, is a constant of `module`."""
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target in _WEIGHTED:
            weight = node.args[1]
            if isinstance(weight, Node) and weight.op == "get_attr":
                yield node


def has_int8(node: Node, arithmetic: Arithmetic) -> bool:
    """Whether a weighted node is tried in that arithmetic: convolutions gain nothing from dynamic activations."""
    return node.target is _LINEAR or arithmetic.activations != "dynamic"


def without_int8(module: GraphModule) -> tuple[str, ...]:
    """Kinds of operators that XNNPACK's quantiser has nothing for, as torch names them."""
    known = _WEIGHTED | _JOINING | _PASSING | _MOVING
    called = [node.target for node in module.graph.nodes if node.op == "call_function" and node.target not in known]
    return tuple(dict.fromkeys(each.overloadpacket.__name__ for each in called if isinstance(each, OpOverload)))


def is_int8(node: Node) -> bool:
    """Whether a weighted node of a converted module reads an int8 weight."""
    weight = node.args[1]
    return isinstance(weight, Node) and weight.target is torch.ops.quantized_decomposed.dequantize_per_channel.default


def quantise(module: GraphModule, int8: Set[str], quantisation: Quantisation) -> GraphModule:
    """`module`, whose inputs are (batch, *shape) each, with the nodes of those names in int8.

    The names of nodes stay, `module` is spent. No two of the nodes may read one weight or bias. Method: torchao's
    prepare, calibrate, convert; 256 examples at most go through it, a batch at a time ("entropy" twice), and no more
    than their ranges is kept. Raises BadInput if the examples cannot be used.
    """
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    _keep_integers(module)
    left = _left_in_fp32(module, int8)
    _leave_joined(module, left)
    quantizer = XNNPACKQuantizer()
    # Torch folds batch normalisation before it quantises; to search for what is left of it, each of twelve patterns is
    # traced at every call: half of what a layer's export takes.
    quantizer.SUPPORTED_PATTERNS = [each for each in quantizer.SUPPORTED_PATTERNS if not each.is_qat]
    quantizer.set_global(_configuration(quantisation.arithmetic, quantisation.ranges))
    quantizer.set_filter_function(lambda node: node.name not in left)
    with torch.no_grad():
        prepared = prepare_pt2e(module, quantizer)
        _calibrate(prepared, quantisation)
        converted = convert_pt2e(prepared)
    _keep_paddings(converted)
    return converted


def _calibrate(prepared: GraphModule, quantisation: Quantisation) -> None:
    from toolkit.runtimes.clipping_observer import ClippingObserver

    examples = drawn(quantisation.examples)
    for example in _batches(prepared, examples):
        prepared(*example)
    observers = [each for each in prepared.modules() if isinstance(each, ClippingObserver)]
    if observers and quantisation.ranges == "entropy":
        for each in observers:
            each.look_again()
        for example in _batches(prepared, examples):
            prepared(*example)


def _batches(module: GraphModule, examples: Inputs) -> Iterator[Inputs]:
    """The examples in the batches that the module was traced with; a last one that is not full starts anew."""
    [size] = {len(node.meta["val"]) for node in module.graph.nodes if node.op == "placeholder"}
    for start in range(0, len(examples), size):
        yield examples[torch.arange(start, start + size) % len(examples)]


def _configuration(arithmetic: Arithmetic, ranges: Ranges) -> "QuantizationConfig":
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import get_symmetric_quantization_config
    from torchao.quantization.pt2e import PerChannelMinMaxObserver

    from toolkit.runtimes.clipping_observer import ClippingObserver

    dynamic = arithmetic.activations == "dynamic"
    chosen = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic)
    weight = dataclasses.replace(
        chosen.weight, observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=_FINEST_WEIGHT)
    )
    chosen = dataclasses.replace(chosen, weight=weight)
    if dynamic:
        return chosen
    observer = ClippingObserver.with_args(ranges=ranges, eps=2.0**-12)
    activation = dataclasses.replace(chosen.input_activation, observer_or_fake_quant_ctr=observer)
    return dataclasses.replace(chosen, input_activation=activation, output_activation=activation)


def _keep_integers(module: GraphModule) -> None:
    """The quantiser makes a float of every number that is added or multiplied: positions would name rows no more."""
    for node in module.graph.nodes:
        numbers = [each for each in node.args if not isinstance(each, Node)]
        if node.target in _OF_NUMBERS and numbers and not node.meta["val"].is_floating_point():
            node.target = _OF_NUMBERS[node.target]
    module.recompile()


def _keep_paddings(converted: GraphModule) -> None:
    """Pad with what is next to nothing where zeros would do, between a value that leaves int8 and one in fp32.

    The delegate takes a padding with zeros that reads such a value for one in int8, and cannot load it beside fp32.
    """
    decomposed = torch.ops.quantized_decomposed
    for node in converted.graph.nodes:
        if node.target not in _PADDING or node.all_input_nodes[0].target != decomposed.dequantize_per_tensor.default:
            continue
        if any(user.target == decomposed.quantize_per_tensor.default for user in node.users):
            continue
        mode = _PADDING[node.target]
        given, value = node.args[2 : 2 + len(mode)], node.args[2 + len(mode) :]
        if given in ((), mode) and not any(value):
            node.args = (*node.args[:2], *mode, torch.finfo(torch.float32).tiny)
    converted.recompile()


def _leave_joined(module: GraphModule, left: Set[str]) -> None:
    """The quantiser filters all but concatenations: those that stay in fp32 must look as if it had been there.

    One may join what is empty, as a cache of keys is at first, and that has no range.
    """
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

    for node in module.graph.nodes:
        if node.target is _aten.cat.default and node.name in left:
            node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(_annotated=True)


def _left_in_fp32(module: GraphModule, int8: Set[str]) -> set[str]:
    """Names of the nodes that the quantiser must not touch."""
    known: dict[Node, bool] = {}

    def computed_in_int8(node: Node) -> bool:
        if node not in known:
            if node.target in _WEIGHTED:
                known[node] = node.name in int8
            elif node.op == "get_attr":
                known[node] = True
            elif node.target in _JOINING:
                known[node] = all(computed_in_int8(each) for each in node.all_input_nodes)
            else:
                known[node] = node.target in _PASSING and computed_in_int8(node.all_input_nodes[0])
        return known[node]

    deciding = _WEIGHTED | _JOINING | _POOLING
    return {node.name for node in module.graph.nodes if node.target in deciding and not computed_in_int8(node)}


def cut_conversions(module: GraphModule) -> bool:
    """Let a converted module take and give int8 instead of converting its only input and its only output.

    False, and as it was, if it does not convert both.
    """
    decomposed = torch.ops.quantized_decomposed
    [given] = [node for node in module.graph.nodes if node.op == "placeholder"]
    [output] = [node for node in module.graph.nodes if node.op == "output"]
    [made] = output.all_input_nodes
    read = [node for node in given.users if node.op == "call_function"]
    converted = [*(node.target for node in read), made.target]
    if converted != [decomposed.quantize_per_tensor.default, decomposed.dequantize_per_tensor.default]:
        return False
    read[0].replace_all_uses_with(given)
    output.replace_input_with(made, made.all_input_nodes[0])
    module.graph.eliminate_dead_code()
    module.recompile()
    return True
