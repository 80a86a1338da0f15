"""What may be removed from a network beside components of its layers: groups of channels, and residual blocks."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from toolkit.compression import ChannelGroup, ResidualBlock, Untraceable, channel_groups, residual_blocks
from toolkit.errors import BadInput
from toolkit.few import few
from toolkit.inputs import Inputs
from toolkit.stages.watch import Watch

T = TypeVar("T")


def removable(
    find: Callable[[nn.Module, Inputs, Watch], dict[str, T]],
    asked: bool | None,
    backbone: nn.Module,
    example: Inputs,
    watch: Watch,
) -> dict[str, T]:
    """What may be removed of the network, `example` being the inputs of one; nothing where its graph cannot be drawn.

    Raises BadInput instead where it was `asked` for, or where no runtime could have the network either.
    """
    try:
        return find(backbone, example, watch)
    except Untraceable:
        raise
    except BadInput as error:
        if asked:
            raise
        watch.note(f"only ranks are chosen of it: {error.what}")
        return {}


def find_groups(backbone: nn.Module, example: Inputs, watch: Watch) -> dict[str, ChannelGroup]:
    """Groups of channels, by name. Whoever wonders why a layer keeps its channels finds it in a note."""
    groups, failed = channel_groups(backbone, example)
    if failed:
        watch.note(
            f"all channels of {few(failed)} stay: the head reads them, or what follows would not work with fewer"
        )
    return groups


def find_blocks(backbone: nn.Module, example: Inputs, watch: Watch) -> dict[str, ResidualBlock]:
    """Residual blocks, by name; a note says which of them have to stay."""
    blocks, failed = residual_blocks(backbone, example)
    if failed:
        watch.note(
            f"the residual blocks of {few(failed)} stay: the network would not compute the same without them as "
            "with zeros for what they add"
        )
    return blocks
