"""A board over its console: a login shell on a serial line, and nothing else."""

from toolkit.devices.serial.device import SerialDevice

__all__ = ["SerialDevice"]
