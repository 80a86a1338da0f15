"""ChannelGroup: channels that several layers share inside a network, so that removing one narrows all of them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cut:
    """What one module loses with a channel: `places[channel]` are indices of its inputs or of its outputs.

    The outputs of a depthwise convolution, and of a normalisation, are its inputs too.
    """

    module: str
    side: Literal["inputs", "outputs"]
    places: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that the layer `root` makes; `layers` are the convolutions and linear layers that are cut with them."""

    root: str
    channels: int
    layers: tuple[str, ...]
    cuts: tuple[Cut, ...]

    @property
    def name(self) -> str:
        """What the choice of how many channels to keep is called, apart from the choice for the layer `root`."""
        return f"channels of {self.root}"


@dataclass(frozen=True)
class RankedChannels:
    """A group and the order of its channels, the most important first: k channels kept are the first k."""

    group: ChannelGroup
    order: tuple[int, ...]
