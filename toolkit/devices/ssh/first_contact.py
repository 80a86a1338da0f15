"""What happens once between a machine and a board: the board's key becomes known here, and ours there.

Nothing here is done without being asked for: elsewhere an unknown host key is refused.
"""

import re
import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import paramiko

from toolkit.devices.device import Device, check
from toolkit.devices.ssh.address import Address, address_of
from toolkit.devices.ssh.link import shake_hands
from toolkit.devices.ssh.offers import usual_keys
from toolkit.errors import BadInput
from toolkit.targets import Target

_PUBLIC_KEY = re.compile(r"(?P<kind>[a-z0-9@.-]+) (?P<blob>[A-Za-z0-9+/]+=*)(?: [^\n\r]*)?")
_HAS_IT = 3


@dataclass(frozen=True)
class HostKey:
    """What a server shows: `ssh-ed25519`, `SHA256:...`, its text, and whether the known_hosts files hold it."""

    kind: str
    fingerprint: str
    base64: str
    is_known: bool


class _Seen(Exception):
    def __init__(self, key: paramiko.PKey, is_known: bool) -> None:
        super().__init__()
        self.host_key = HostKey(key.get_name(), key.fingerprint, key.get_base64(), is_known)


class _Stranger:
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:
        raise _Seen(key, is_known=False)


class _Friend:
    def authenticate(self, transport: paramiko.Transport) -> NoReturn:
        raise _Seen(transport.get_remote_server_key(), is_known=True)


def offered_host_key(target: Target) -> HostKey:
    """The key that the target's server shows; nobody logs in. Raises BadInput, BoardError, also for a changed key."""
    with ExitStack() as ends:
        try:
            shake_hands(address_of(target), ends, _Stranger(), _Friend())
        except _Seen as seen:
            return seen.host_key
    raise AssertionError("a handshake ends with one of the two")


def accept_host_key(target: Target, key: HostKey) -> Path:
    """Write the key into the first known_hosts file, which is returned. Raises BadInput if that cannot be written."""
    address = address_of(target)
    file = address.known_hosts[0]
    name = paramiko.HostKeys.hash_host(address.known_as) if address.hash_known_hosts else address.known_as
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = file.read_bytes() if file.exists() else b""
        gap = "" if not before or before.endswith(b"\n") else "\n"
        with file.open("a") as known:
            known.write(f"{gap}{name} {key.kind} {key.base64}\n")
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", where=str(file), next="Mend its permissions.") from None
    return file


def public_keys(target: Target) -> tuple[Path, ...]:
    """The public halves of the keys with which the target is logged in to, those that there are, the best first."""
    return tuple(file for file in map(_public_half, _keys(address_of(target))) if file.is_file())


def install_public_key(device: Device, public_key: Path, where: str) -> bool:
    """Let its owner log in to the board, as `ssh-copy-id` does; False if that was so already.

    Raises BadInput if the file holds no public key, BoardError.
    """
    try:
        text = public_key.read_text().strip()
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot be read: {error}", where=str(public_key)) from None
    match = _PUBLIC_KEY.fullmatch(text)
    if match is None:
        raise BadInput("is no public key", where=str(public_key), next="Name the file that ends in .pub.")
    # Only ever appended to: it holds other people's keys.
    done = device.run(
        f"cd && umask 077 && mkdir -p .ssh && f=.ssh/authorized_keys && touch $f && "
        f"if grep -qF {match['blob']} $f; then exit {_HAS_IT}; fi; "
        f'if [ -n "$(tail -c 1 $f)" ]; then echo >> $f; fi && echo {shlex.quote(text)} >> $f && '
        "if command -v restorecon; then restorecon -F .ssh $f; fi >/dev/null 2>&1"
    )
    if done.status == _HAS_IT:
        return False
    check(done, "installing the key", where)
    return True


def _keys(address: Address) -> tuple[Path, ...]:
    return address.identity_files or tuple(usual_keys())


def _public_half(key: Path) -> Path:
    return Path(f"{key}.pub")
