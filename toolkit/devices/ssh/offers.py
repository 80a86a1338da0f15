"""What one login has to offer: keys of files and of the agent, passwords, and questions where there is a terminal."""

import base64
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
from toolkit.devices.ssh.questions import Questions

PASSWORD_VARIABLE = "EDGE_DEPLOY_PASSWORD"
PASSWORD_METHODS = frozenset({"password", "keyboard-interactive"})
TYPED_PASSWORD, TYPED_ANSWERS = "the password typed", "the answers typed"
_USUAL_KEYS = ("ed25519", "ecdsa", "rsa", "ed25519_sk", "ecdsa_sk")
_TOKEN_KEY = b"sk-"  # in the type of a key whose secret half is in a security token


class Unusable(Exception):
    """An offer that cannot be made after all, and why."""


@dataclass(frozen=True)
class Offer:
    """Something to log in with. `give` returns the methods still asked for, or none; None: it cannot be given.

    `give` raises paramiko.SSHException if it is refused, Unusable.
    """

    label: str
    methods: frozenset[str]
    give: Callable[[paramiko.Transport, frozenset[str]], list[str]] | None


def offers(address: Address, questions: Questions) -> Iterator[Offer]:
    """What the target names comes first: servers hang up after a few refusals."""
    agent = {key.asbytes(): key for key in paramiko.Agent().get_keys()}
    named = [_key_file(path, address.user, agent) for path in address.identity_files]
    yield from named
    if address.password_file:
        yield _password(*_read(address.password_file), address.user, questions)
    elif secret := os.environ.get(PASSWORD_VARIABLE):
        yield _password(f"the password in {PASSWORD_VARIABLE}", secret, address.user, questions)
    if not address.identity_files:
        yield from (_key_file(path, address.user, agent) for path in usual_keys() if path.is_file())
    if not address.identities_only:
        yield from (_key(f"the agent's {key.fingerprint}", key, address.user) for key in agent.values())
    if sys.stdin.isatty():
        yield _typed_password(address)
        yield Offer(
            TYPED_ANSWERS,
            frozenset({"keyboard-interactive"}),
            lambda transport, _: questions.answer(transport, address.user, None),
        )


def usual_keys() -> list[Path]:
    """Where keys lie if nothing else is said, whether they are there or not."""
    return [Path(f"~/.ssh/id_{kind}").expanduser() for kind in _USUAL_KEYS]


def _key(label: str, key: paramiko.PKey, user: str) -> Offer:
    return Offer(label, frozenset({"publickey"}), lambda transport, _: transport.auth_publickey(user, key))


def _key_file(path: Path, user: str, agent: dict[bytes, paramiko.AgentKey]) -> Offer:
    """The file's key, or the agent's where it holds the same: it needs no passphrase and no token's driver."""
    held = agent.get(_public_half(path))
    if held:
        return _key(str(path), held, user)

    def cannot(why: str) -> Offer:
        return Offer(f"{path} ({why})", frozenset({"publickey"}), None)

    def unlock(transport: paramiko.Transport, _: frozenset[str]) -> list[str]:
        try:
            key = paramiko.PKey.from_path(path, password=ask(f"Passphrase of {path}: ").encode())
        except (paramiko.SSHException, ValueError, TypeError):
            ask.cache_clear()
            raise Unusable("that was not its passphrase") from None
        return transport.auth_publickey(user, key)

    try:
        return _key(str(path), paramiko.PKey.from_path(path), user)
    except FileNotFoundError:
        return cannot("no such file")
    except (paramiko.PasswordRequiredException, TypeError):
        if sys.stdin.isatty():
            return Offer(str(path), frozenset({"publickey"}), unlock)
        return cannot(f"locked by a passphrase: `ssh-add {path}`")
    except (paramiko.SSHException, OSError, ValueError, UnsupportedAlgorithm):
        token = _TOKEN_KEY in _public_half(path) or _TOKEN_KEY in _decoded(path)
        return cannot(f"its secret is in a security token: `ssh-add {path}`" if token else "not a private key")


def _public_half(path: Path) -> bytes:
    """The key of the file beside it, as the agent names it; nothing if there is none."""
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return b""


def _decoded(path: Path) -> bytes:
    try:
        return base64.b64decode("".join(path.read_text().split("-----")[2].split()))
    except (OSError, ValueError, IndexError):
        return b""


def _password(label: str, secret: str, user: str, questions: Questions) -> Offer:
    def give(transport: paramiko.Transport, allowed: frozenset[str]) -> list[str]:
        if "password" in allowed:
            return transport.auth_password(user, secret, fallback=False)
        return questions.answer(transport, user, secret)

    return Offer(label, PASSWORD_METHODS, give if secret else None)


def _typed_password(address: Address) -> Offer:
    prompt = f"Password of {address.user}@{address.host}: "
    return Offer(
        TYPED_PASSWORD,
        frozenset({"password"}),
        lambda transport, _: transport.auth_password(address.user, ask(prompt), fallback=False),
    )


def _read(file: Path) -> tuple[str, str]:
    """What to call a password file, and its first line; an empty one if it has none."""
    try:
        secret = file.read_text().partition("\n")[0].rstrip("\r")
    except (OSError, ValueError) as error:
        return f"the password in {file} ({getattr(error, 'strerror', None) or 'not text'})", ""
    return f"the password in {file}{'' if secret else ' (empty)'}", secret


@lru_cache
def ask(prompt: str) -> str:
    """The answer, asked for once: a lost connection is opened anew without a question."""
    try:
        return getpass.getpass(prompt)
    except EOFError:
        return ""
