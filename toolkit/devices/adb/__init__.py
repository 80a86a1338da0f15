"""A board over adb."""

from toolkit.devices.adb.device import AdbDevice

__all__ = ["AdbDevice"]
