"""Live boards: run commands, move files; on top of that the agent's verbs and releases. Knows nothing of models."""

from toolkit.devices.agent_client import Agent, call, install_agent, probe, scratch
from toolkit.devices.connect import connect
from toolkit.devices.device import Completed, Device, check
from toolkit.devices.facts import DeviceFacts
from toolkit.devices.packages import ensure_packages

__all__ = [
    "Agent",
    "Completed",
    "Device",
    "DeviceFacts",
    "call",
    "check",
    "connect",
    "ensure_packages",
    "install_agent",
    "probe",
    "scratch",
]
