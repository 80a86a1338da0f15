"""Logging in to an SSH server whose host key is verified: keys, agent, password, and a question as the last resort."""

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from toolkit.devices.ssh.address import Address
from toolkit.errors import BoardError

_VARIABLE = "EDGE_DEPLOY_PASSWORD"
_PASSWORD_KINDS = {"password", "keyboard-interactive"}


@dataclass(frozen=True)
class Login:
    """paramiko's strategy: offers one thing after the other and says what the board refused."""

    address: Address

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Log in. Raises BoardError that names all that was offered."""
        tried = []
        for label, offer in _offers(self.address, transport):
            tried.append(label)
            if offer is None or not transport.is_active():
                continue
            try:
                if not offer():
                    return
                tried[-1] = f"{label} (accepted, but it asks for more)"
            except (paramiko.SSHException, EOFError):
                continue
        _ask.cache_clear()  # a wrong answer is not given twice
        make = "" if tried else "ssh-keygen -t ed25519 && "
        offered = ", ".join(tried) or "no key: none was found"
        mend = "Mend the password, or install" if any("password" in label for label in tried) else "Install"
        raise BoardError(
            f"{self.address.role} refuses user '{self.address.user}' with {offered}",
            where=self.address.where,
            next=self.address.start_lab or f"{mend} your key there: `{make}ssh-copy-id {_copy_id(self.address)}`",
        )


# What a try is called, and the try itself: the kinds of login still asked for, or none. None: it cannot be tried.
Offer = tuple[str, Callable[[], list[str]] | None]


def _offers(address: Address, transport: paramiko.Transport) -> Iterator[Offer]:
    """What the target names comes first: servers hang up after a few refusals."""
    user = address.user

    def key(label: str, loaded: paramiko.PKey) -> Offer:
        return label, lambda: transport.auth_publickey(user, loaded)

    def key_file(path: Path) -> Offer:
        try:
            loaded = paramiko.PKey.from_path(path)
        except FileNotFoundError:
            return f"{path} (no such file)", None
        except (paramiko.PasswordRequiredException, TypeError):
            return f"{path} (locked by a passphrase: `ssh-add` it)", None
        except (paramiko.SSHException, OSError, ValueError, UnsupportedAlgorithm):
            return f"{path} (not a private key)", None
        return key(str(path), loaded)

    def password(label: str, secret: str) -> Offer:
        return label, (lambda: transport.auth_password(user, secret)) if secret else None

    yield from map(key_file, address.identity_files)
    if address.password_file:
        yield password(*_read(address.password_file))
    elif secret := os.environ.get(_VARIABLE):
        yield password(f"the password in {_VARIABLE}", secret)
    if not address.identity_files:
        defaults = [Path(f"~/.ssh/id_{kind}").expanduser() for kind in ("ed25519", "ecdsa", "rsa")]
        yield from (key_file(path) for path in defaults if path.is_file())
    for known in paramiko.Agent().get_keys():
        yield key(f"the agent's {known.fingerprint}", known)
    if sys.stdin.isatty() and _takes_passwords(transport, user):
        yield password("the password typed", _ask(f"Password of {user}@{address.host}: "))


def _read(file: Path) -> tuple[str, str]:
    """What to call a password file, and its first line; an empty one if it has none."""
    try:
        secret = file.read_text().partition("\n")[0].rstrip("\r")
    except (OSError, ValueError) as error:
        return f"the password in {file} ({getattr(error, 'strerror', None) or 'not text'})", ""
    return f"the password in {file}{'' if secret else ' (empty)'}", secret


def _takes_passwords(transport: paramiko.Transport, user: str) -> bool:
    try:
        transport.auth_none(user)
    except paramiko.BadAuthenticationType as error:
        return bool(_PASSWORD_KINDS.intersection(error.allowed_types))
    except (paramiko.SSHException, EOFError):
        return False
    return False


@lru_cache
def _ask(prompt: str) -> str:
    """The answer, asked for once: a lost connection is opened anew without a question."""
    try:
        return getpass.getpass(prompt)
    except EOFError:
        return ""


def _copy_id(address: Address) -> str:
    """`ssh-copy-id` has no -J."""
    return address.login.replace("-J ", "-o ProxyJump=", 1) if address.through else address.login
