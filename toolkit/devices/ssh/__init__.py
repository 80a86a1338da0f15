"""A board over SSH."""

from toolkit.devices.ssh.device import SshDevice
from toolkit.devices.ssh.first_contact import (
    HostKey,
    accept_host_key,
    install_public_key,
    offered_host_key,
    public_keys,
)

__all__ = ["HostKey", "SshDevice", "accept_host_key", "install_public_key", "offered_host_key", "public_keys"]
