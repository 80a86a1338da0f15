"""Residual blocks that can go from a network: which they are, and taking them out."""

from toolkit.compression.depth.block import Gone, ResidualBlock
from toolkit.compression.depth.branches import Untraceable
from toolkit.compression.depth.find import residual_blocks
from toolkit.compression.depth.remove import remove_block

__all__ = [
    "Gone",
    "ResidualBlock",
    "Untraceable",
    "remove_block",
    "residual_blocks",
]
