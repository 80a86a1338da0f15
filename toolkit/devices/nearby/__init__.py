"""Boards that can be seen from this machine, each with the address that `deploy connect` takes."""

from toolkit.devices.nearby.adb_list import adb_boards
from toolkit.devices.nearby.mdns import ssh_servers
from toolkit.devices.nearby.serial_ports import serial_ports
from toolkit.devices.nearby.sighting import Sighting

__all__ = ["Sighting", "adb_boards", "serial_ports", "ssh_servers"]
