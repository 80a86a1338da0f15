"""A diagnosis as JSON that can be sent to strangers: what the board is and lacks, not whose it is or where."""

import getpass
import json
import platform
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from importlib import metadata
from typing import Any

from toolkit.contact.diagnose import Diagnosis
from toolkit.targets import AdbPlace, SerialPlace, SshPlace, Target

VERSION = 1
_HOME_FOLDERS = re.compile(r"/(?:home|Users)/[^/\s\"':`]+")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{16,}|(?:[0-9a-f]{2}:){5,}[0-9a-f]{2}")
_ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|(?<![\w:])[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*(?:%\w+)?", re.IGNORECASE)
# Everybody's, and words of our own messages.
_PUBLIC = {"", "root", "pi", "user", "board", "host", "localhost", "ssh", "adb"}


def report(diagnosis: Diagnosis, at: datetime) -> dict[str, Any]:
    """Names of users and hosts, addresses, serial numbers, home folders and fingerprints are left out."""
    survey = asdict(diagnosis.survey) if diagnosis.survey else None
    whole = {
        "report_version": VERSION,
        "at": at.isoformat(timespec="seconds"),
        "toolkit": metadata.version("edge-deploy-toolkit"),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "target": diagnosis.target.name,
        "family": diagnosis.target.family.name,
        "transport": diagnosis.target.place.transport,
        "ok": diagnosis.ok,
        "checks": [asdict(each) for each in diagnosis.checks],
        "survey": survey,
    }
    secrets = sorted(set(_private(diagnosis.target)) - _PUBLIC, key=len, reverse=True)
    return _redacted(whole, secrets, keep=("at", "target", "family"))


def _private(target: Target) -> Iterator[str]:
    """What this machine and its user are called, and the board's own."""
    yield from (getpass.getuser(), socket.gethostname())
    match target.place:
        case SshPlace() as place:
            yield from (place.host, place.user or "", place.proxy_jump or "")
            yield from (place.identity_file or "", place.known_hosts_file or "", place.password_file or "")
        case AdbPlace() as place:
            yield place.serial or ""
        case SerialPlace() as place:
            yield from (place.device, place.user or "", place.password_file or "")


def _redacted(value: Any, secrets: list[str], keep: tuple[str, ...] = ()) -> Any:
    if isinstance(value, dict):
        return {key: each if key in keep else _redacted(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(each, secrets) for each in value]
    if not isinstance(value, str):
        return value
    text = _FINGERPRINT.sub("<key>", value)
    for secret in secrets:
        text = re.sub(rf"(?<![\w-]){re.escape(secret)}(?![\w-])", "<private>", text)
    return _ADDRESS.sub("<address>", _HOME_FOLDERS.sub("~", text))


def report_text(told: dict[str, Any]) -> str:
    """As it is written to a file."""
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"
