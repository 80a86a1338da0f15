"""Serial ports behind USB: a board's console may be on one. Those built in are left out: every machine has some."""

from serial.tools.list_ports import comports
from serial.tools.list_ports_common import ListPortInfo

from toolkit.devices.nearby.sighting import Sighting


def serial_ports() -> list[Sighting]:
    """All of them, by name."""
    return [sighting_of(port) for port in sorted(comports()) if is_usb(port)]


def is_usb(port: ListPortInfo) -> bool:
    """Whether it has a vendor, as USB devices do."""
    return port.vid is not None


def sighting_of(port: ListPortInfo) -> Sighting:
    """One port; its adapter is all that can be known without talking to it."""
    return Sighting("usb", port.product or port.description or port.name or port.device, port.device)
