"""From a Target to its live Device."""

from toolkit.devices.device import Device
from toolkit.devices.local import LocalDevice
from toolkit.devices.ssh import SshDevice
from toolkit.errors import BadInput
from toolkit.targets import Target


def connect(target: Target) -> Device:
    """Open the target's transport. Raises BoardError without an answer, BadInput if none is built yet."""
    match target.connection.transport:
        case "local":
            return LocalDevice()
        case "ssh":
            return SshDevice(target)
        case other:
            raise BadInput(
                f"the {other} transport is not built yet",
                where=f"target {target.name}",
                next="Run an SSH server on the board and give it a target with transport = 'ssh'.",
            )
