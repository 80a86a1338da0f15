"""What a block computed is gone: from the outputs, from the weights, and from what a board would run."""

import copy
import io
from collections import Counter
from functools import cache

import onnx
import pytest
import torch
import torch.nn.functional as F
from residual_networks import NETWORKS, Residual, build
from torch import nn

from toolkit.adaptation.learning_graphs import trace_gradient
from toolkit.compression.depth import ResidualBlock, remove_block, residual_blocks
from toolkit.distillation.batch_norm import batch_statistics
from toolkit.inputs import inputs_of
from toolkit.objectives import Classification
from toolkit.runtimes import executorch, export_with_holes, onnxruntime

# A zero for what the last module of the branch returns is a zero for the branch in all of them but `gated`.
WITH_BLOCKS = [name for name in NETWORKS if name != "gated" and build(name).offered]
# A module of the network, and what it is without its blocks.
WITHOUT = {
    "bottleneck": ("blocks.1", nn.ReLU(inplace=True)),
    "mobilenet": ("blocks.0", nn.Identity()),
    "convnext": ("blocks.0", nn.Identity()),
    "digits": ("blocks.0", nn.Identity()),
    "attending": ("blocks.0", nn.Identity()),
    "encoder": ("blocks.0", nn.Identity()),
    "post_norm": ("blocks.0", nn.LayerNorm(8)),
    "parallel": ("blocks.0", nn.Identity()),
}


@cache
def _blocks(name: str) -> dict[str, ResidualBlock]:
    network = build(name)
    return residual_blocks(network.model, inputs_of(network.x[:1]))[0]


def _without(network: Residual, *blocks: ResidualBlock) -> nn.Module:
    removed = copy.deepcopy(network.model)
    for block in blocks:
        remove_block(removed, block)
    return removed


def _zeroed(network: Residual, *blocks: ResidualBlock) -> nn.Module:
    zeroed = copy.deepcopy(network.model)
    for gone in (each for block in blocks for each in block.gone if each.added):
        zeroed.get_submodule(gone.module).register_forward_hook(
            lambda _, __, output: output * 0 if isinstance(output, torch.Tensor) else (output[0] * 0, *output[1:])
        )
    return zeroed


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_without_blocks_a_network_computes_what_it_does_with_zeros_for_them(name: str) -> None:
    network = build(name)
    blocks = _blocks(name).values()
    for chosen in (*([block] for block in blocks), blocks):
        removed = _without(network, *chosen)
        torch.testing.assert_close(removed(network.x), _zeroed(network, *chosen)(network.x), rtol=1e-4, atol=1e-5)
        assert _values(removed) < _values(network.model)


QUICKLY = ("bottleneck", "encoder", "post_norm")  # one for each kind of module that is left


@pytest.mark.parametrize(
    "name", [each if each in QUICKLY else pytest.param(each, marks=pytest.mark.slow) for each in WITHOUT]
)
def test_the_exported_graph_is_that_of_a_network_without_the_block(name: str) -> None:
    network = build(name)
    removed, written = _removed_and_written(name, network)
    ours, theirs = (_onnx(each, network.x[:1]) for each in (removed, written))
    assert Counter(node.op_type for node in ours.node) == Counter(node.op_type for node in theirs.node)
    assert _shapes(ours) == _shapes(theirs)


@pytest.mark.usefixtures("compiler")  # and ExecuTorch
def test_an_executorch_program_is_that_of_a_network_without_the_block() -> None:
    """In what it computes: XNNPACK leaves out the copies of what a block was added to."""
    network = build("bottleneck")
    removed, written = _removed_and_written("bottleneck", network)
    ours, theirs = (
        executorch.export(export_with_holes(each, inputs_of(network.x[:1]), ()), ()) for each in (removed, written)
    )
    assert len(ours.data) == len(theirs.data)


def test_a_network_without_a_block_is_copied_and_pickled() -> None:
    network = build("attending")
    removed = _without(network, *_blocks("attending").values())
    file = io.BytesIO()
    torch.save(removed, file)
    file.seek(0)
    for again in (copy.deepcopy(removed), torch.load(file, weights_only=False)):
        torch.testing.assert_close(again(network.x), removed(network.x))


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_what_is_left_trains(name: str) -> None:
    """As recovery does it, with statistics of the batch; also where an activation writes over what it is given."""
    network = build(name)
    removed = _without(network, *_blocks(name).values())
    with batch_statistics(removed):
        made = removed(network.x)
    made.square().sum().backward()
    assert any(each.grad.abs().sum() > 0 for each in removed.parameters() if each.grad is not None)


def test_what_is_left_trains_on_a_board() -> None:
    network = build("bottleneck")
    removed = nn.Sequential(_without(network, *_blocks("bottleneck").values()), nn.Linear(12, 2)).eval()
    names = ("1.weight", "1.bias")
    x, y = network.x, torch.arange(2)
    gradient = trace_gradient(removed, names, inputs_of(x), y, Classification()).module()
    losses, logits, *_ = gradient(x, y, torch.ones(2), *[removed.get_parameter(name).detach() for name in names])
    torch.testing.assert_close(logits, removed(x))
    torch.testing.assert_close(losses, F.cross_entropy(removed(x), y, reduction="none"))


def test_which_parameters_train_stays_as_it_is() -> None:
    network = build("bottleneck")
    network.model.requires_grad_(False).get_submodule("stem").requires_grad_(True)
    removed = _without(network, *_blocks("bottleneck").values())
    assert {name for name, each in removed.named_parameters() if each.requires_grad} == {"stem.weight", "stem.bias"}


def test_a_block_of_another_network_is_refused() -> None:
    block = next(iter(_blocks("bottleneck").values()))
    with pytest.raises(AttributeError):
        remove_block(build("digits").model, block)


def _removed_and_written(name: str, network: Residual) -> tuple[nn.Module, nn.Module]:
    """`network` without the blocks in one of its modules, and as one would write it without them."""
    place, rest = WITHOUT[name]
    removed = _without(network, *(block for block in _blocks(name).values() if block.root.startswith(place)))
    written = copy.deepcopy(network.model)
    parent, _, attribute = place.rpartition(".")
    setattr(written.get_submodule(parent), attribute, rest)
    return removed, written.eval()


def _onnx(model: nn.Module, x: torch.Tensor) -> onnx.GraphProto:
    return onnx.load_from_string(onnxruntime.export(export_with_holes(model, inputs_of(x), ()), ()).data).graph


def _shapes(graph: onnx.GraphProto) -> Counter[tuple[int, ...]]:
    return Counter(tuple(each.dims) for each in graph.initializer)


def _values(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())
