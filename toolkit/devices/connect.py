"""From a Target to its live Device."""

from toolkit.devices.adb import AdbDevice
from toolkit.devices.device import Device
from toolkit.devices.framed import FramedDevice
from toolkit.devices.local import LocalDevice
from toolkit.devices.serial import SerialDevice
from toolkit.devices.ssh import SshDevice
from toolkit.lab import reached
from toolkit.targets import AdbPlace, LabPlace, LocalPlace, SerialPlace, SshPlace, Target


def connect(target: Target) -> Device:
    """Open the target's transport; answers are read between markers. Raises BoardError without an answer."""
    return FramedDevice(_open(target), f"target {target.name}")


def _open(target: Target) -> Device:
    match target.place:
        case LabPlace():
            return _open(reached(target))
        case LocalPlace():
            return LocalDevice()
        case AdbPlace():
            return AdbDevice(target)
        case SerialPlace():
            return SerialDevice(target)
        case SshPlace():
            return SshDevice(target)
