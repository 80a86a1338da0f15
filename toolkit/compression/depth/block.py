"""ResidualBlock: what a skip connection spans, so that a network still computes without it."""

from dataclasses import dataclass

from toolkit.compression.depth.returned import Returned


@dataclass(frozen=True)
class Gone:
    """A module that goes with its block. What an `added` one returned, the addition read; others, the block alone."""

    module: str
    returned: Returned
    added: bool


@dataclass(frozen=True)
class ResidualBlock:
    """`x + branch(x)`, of which x stays; nothing else reads what the modules of the branch compute.

    `layers` are the convolutions (Conv2d) and linear layers of the branch, in the order in which they run. `root` is
    the first of them, or the first module of a branch without any.
    """

    root: str
    layers: tuple[str, ...]
    gone: tuple[Gone, ...]

    @property
    def name(self) -> str:
        """What the choice whether the block stays is called, apart from the choice for the layer `root`."""
        return f"block of {self.root}"
