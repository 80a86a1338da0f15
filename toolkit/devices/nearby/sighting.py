"""Something that may be a board."""

import shlex
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Sighting:
    """Where it was seen, what it calls itself, its address; `hindrance` is what must be done before it can be met."""

    by: Literal["mdns", "adb", "usb"]
    name: str
    address: str
    hindrance: str = ""

    @property
    def command(self) -> str:
        """What meets it."""
        return f"deploy connect {shlex.quote(self.address)}"
