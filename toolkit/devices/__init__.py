"""Live boards: run commands, move files; on top of that the agent's verbs and releases. Knows nothing of models."""

from toolkit.devices.agent_client import Agent, call, probe
from toolkit.devices.connect import connect
from toolkit.devices.device import Completed, Device, check
from toolkit.devices.facts import DeviceFacts
from toolkit.devices.home import Home, find_home, open_home, scratch
from toolkit.devices.install_agent import install_agent
from toolkit.devices.packages import ensure_packages
from toolkit.devices.releases.lock import locked
from toolkit.devices.session import connected, hold, hold_deployed, visit, visit_deployed

__all__ = [
    "Agent",
    "Completed",
    "Device",
    "DeviceFacts",
    "Home",
    "call",
    "check",
    "connect",
    "connected",
    "ensure_packages",
    "find_home",
    "hold",
    "hold_deployed",
    "install_agent",
    "locked",
    "open_home",
    "probe",
    "scratch",
    "visit",
    "visit_deployed",
]
