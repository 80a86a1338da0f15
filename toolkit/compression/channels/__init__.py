"""Channels inside a network that can be removed together: which they are, which matter least, and taking them out."""

from toolkit.compression.channels.find import channel_groups
from toolkit.compression.channels.group import ChannelGroup, Cut, RankedChannels
from toolkit.compression.channels.order import rank_channels
from toolkit.compression.channels.remove import remove_channels

__all__ = [
    "ChannelGroup",
    "Cut",
    "RankedChannels",
    "channel_groups",
    "rank_channels",
    "remove_channels",
]
