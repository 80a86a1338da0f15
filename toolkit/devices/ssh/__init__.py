"""A board over SSH."""

from toolkit.devices.ssh.device import SshDevice

__all__ = ["SshDevice"]
