"""Find the groups of channels in a network: Torch-Pruning's dependency graph (Fang et al. 2023), and a check of it.

The graph follows operations that it knows. Others it takes for elementwise ones, and may then couple the wrong
channels: a shortcut that pads channels with zeros is one. So a group is offered only where removing half of its
channels does what it should: the network then computes what it computes when the layers that read those channels
multiply them by zero.
"""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolkit.compression.channels.group import ChannelGroup, Cut, RankedChannels
from toolkit.compression.channels.remove import remove_channels
from toolkit.compression.shaken import shaken
from toolkit.compression.sharing import holders
from toolkit.copied import copied_at
from toolkit.errors import BadInput, first_line
from toolkit.inputs import Inputs
from toolkit.models import MISFIT

_TOLERANCE = 1e-4


def channel_groups(model: nn.Module, example: Inputs) -> tuple[dict[str, ChannelGroup], tuple[str, ...]]:
    """Groups by name that `model` holds, in the order of its modules, and the roots of those that failed the check.

    `example` are the inputs of one. No two groups touch the same module, so that what one costs does not
    depend on another; those of fewest layers are taken first: in a residual network, the channels inside each block.
    Raises BadInput if the dependency graph cannot be drawn.
    """
    noisy = shaken(model)
    taken: set[str] = set()
    found: list[ChannelGroup] = []
    failed: list[str] = []
    for group in sorted(_coupled(model, example), key=lambda each: len(each.layers)):
        touched = {cut.module for cut in group.cuts}
        if group.channels < 2 or not taken.isdisjoint(touched):
            continue
        if holds(noisy, group, example):
            taken |= touched
            found.append(group)
        else:
            failed.append(group.root)
    order = [name for name, _ in model.named_modules()]
    return {each.name: each for each in sorted(found, key=lambda each: order.index(each.root))}, tuple(failed)


@torch.no_grad()
def holds(model: nn.Module, group: ChannelGroup, example: Inputs) -> bool:
    """Whether `model` without every other channel, and without one, computes what it does with them read as zero.

    It is shaken (`shaken`): a scale of zero would let any group pass.
    Attention takes any number of whole heads: half of the channels may be one, all but one are none.
    """
    if not all(_can_be_cut(model, cut) for cut in group.cuts):
        return False
    order = (*range(0, group.channels, 2), *range(1, group.channels, 2))
    half = (group.channels + 1) // 2
    return all(_holds(model, RankedChannels(group, order), kept, example) for kept in {half, group.channels - 1})


def _holds(model: nn.Module, ranked: RankedChannels, kept: int, example: Inputs) -> bool:
    group = ranked.group
    zeroed, removed = (copied_at(model, {cut.module for cut in group.cuts}) for _ in range(2))
    readers = [cut for cut in group.cuts if cut.side == "inputs"]
    try:
        remove_channels(removed, ranked, kept)
        for cut in readers:
            places = [place for channel in ranked.order[kept:] for place in cut.places[channel]]
            zeroed.get_submodule(cut.module).weight[:, places] = 0  # type: ignore[operator]
        expected, made = zeroed(*example), removed(*example)
    except MISFIT:
        return False
    if not readers or made.shape != expected.shape:
        return False
    return bool((made - expected).abs().max() <= _TOLERANCE * expected.abs().max())


def draw_graph(model: nn.Module, example: Inputs) -> Any:
    """The library's dependency graph of `model`, whose parameters must require gradients. Raises BadInput."""
    import torch_pruning  # a second's import that few verbs need

    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it guesses of parameters without a module, the check shows
            return torch_pruning.DependencyGraph().build_dependency(model, example_inputs=tuple(example))
    except Exception as error:  # the library divides by zero where it meets what it does not follow
        raise _not_followed(error) from error


def _not_followed(error: Exception) -> BadInput:
    return BadInput(
        f"Torch-Pruning cannot follow its channels: {first_line(error)}",
        where="model",
        next="Leave them: --set compression.channels=false.",
    )


def _coupled(model: nn.Module, example: Inputs) -> Iterator[ChannelGroup]:
    """Every group as the library sees it."""
    import torch_pruning

    model = copy.deepcopy(model).requires_grad_(True)
    names: dict[Any, str] = {module: name for name, module in model.named_modules()}
    reading = (torch_pruning.prune_conv_in_channels, torch_pruning.prune_linear_in_channels)
    try:  # not before it looks for groups does it miss what a flattened image or a recurrent layer made of them
        groups = list(draw_graph(model, example).get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]))
    except BadInput:
        raise
    except Exception as error:
        raise _not_followed(error) from error
    for group in groups:
        root = group[0].dep.target.module
        channels = len(group[0].idxs)
        cuts = []
        for item in group:
            name = names.get(item.dep.target.module)
            if name is None:  # an operation without weights
                continue
            places: list[list[int]] = [[] for _ in range(channels)]
            for index, channel in zip(item.idxs, item.root_idxs, strict=True):
                if channel is not None:
                    places[channel].append(index)
            cuts.append(Cut(name, "inputs" if item.dep.handler in reading else "outputs", tuple(map(tuple, places))))
        layers = {cut.module for cut in cuts if isinstance(model.get_submodule(cut.module), nn.Conv2d | nn.Linear)}
        yield ChannelGroup(_maker(model, cuts) or names[root], channels, tuple(sorted(layers)), tuple(cuts))


def _maker(model: nn.Module, cuts: list[Cut]) -> str | None:
    """The layer that makes the channels, in their order: the library may begin at a depthwise one that filters them."""
    for cut in cuts:
        layer = model.get_submodule(cut.module)
        makes = isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
        if makes and cut.side == "outputs" and all(of == (place,) for place, of in enumerate(cut.places)):
            return cut.module
    return None


def _can_be_cut(model: nn.Module, cut: Cut) -> bool:
    """A layer, or a normalisation of single channels, with weights of its own."""
    module = model.get_submodule(cut.module)
    if any(name not in module._parameters for name in ("weight", "bias")):  # computed from others
        return False
    if isinstance(module, nn.Conv2d | nn.Linear):
        depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels
        plain = isinstance(module, nn.Linear) or module.groups == 1 or (depthwise and cut.side == "outputs")
        return plain and len(holders(model, module)) == 1
    return isinstance(module, _BatchNorm)
