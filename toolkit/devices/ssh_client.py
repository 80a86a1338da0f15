"""A verified, authenticated SSH connection to a target, or one BoardError that says why there is none."""

import getpass
import logging
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from toolkit.errors import BoardError
from toolkit.targets import Target, expand_path

CONNECT_TIMEOUT_S = 10.0
HANDSHAKE_TIMEOUT_S = 30.0
KEEPALIVE_S = 15
SILENCE_MS = 60_000

# Without a handler of its own, paramiko's background thread would write tracebacks to the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Address:
    """Where and as whom to log in, after `~/.ssh/config` has filled what the target leaves open."""

    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    known_hosts: Path
    where: str
    start_lab: str | None

    @property
    def known_as(self) -> str:
        """The host's name in a known_hosts file."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    @property
    def login(self) -> str:
        """The arguments with which OpenSSH's own tools reach the same board."""
        key = f"-i {shlex.quote(str(self.identity_files[0]))} " if self.identity_files else ""
        return f"{key}-p {self.port} {shlex.quote(f'{self.user}@{self.host}')}"


def open_client(address: Address) -> paramiko.SSHClient:
    """Connect, verify the host key against the known ones, log in with a key. Raises BoardError."""
    link = _reach(address)
    client = paramiko.SSHClient()
    try:
        if address.known_hosts.exists():
            client.load_host_keys(str(address.known_hosts))
        client.set_missing_host_key_policy(_RefuseUnknown(address))
        client.connect(
            address.host,
            port=address.port,
            username=address.user,
            sock=link,
            timeout=HANDSHAKE_TIMEOUT_S,
            banner_timeout=HANDSHAKE_TIMEOUT_S,
            auth_timeout=HANDSHAKE_TIMEOUT_S,
            channel_timeout=HANDSHAKE_TIMEOUT_S,
            auth_strategy=_Login(address),
        )
        transport = client.get_transport()
        assert transport
        transport.set_keepalive(KEEPALIVE_S)
    except BaseException as error:
        client.close()
        link.close()
        if isinstance(error, paramiko.BadHostKeyException):
            _refuse_changed(address, error)
        if isinstance(error, paramiko.SSHException | OSError | EOFError | ValueError):
            raise BoardError(
                f"the SSH handshake failed: {error or type(error).__name__}",
                where=address.where,
                next=address.start_lab or f"See what `ssh -v {address.login}` says.",
            ) from None
        raise
    return client


def address_of(target: Target) -> Address:
    """The target's address. Raises BoardError if it names no host, or `~/.ssh/config` cannot be read."""
    asked = target.connection
    if not asked.host:
        raise BoardError(
            "its connection has no host",
            where=f"target {target.name}",
            next=f"Copy its file to targets/{target.name}.toml and set `host` under [connection].",
        )
    config_file = Path("~/.ssh/config").expanduser()
    try:
        text = config_file.read_text() if config_file.is_file() else ""
        config = paramiko.SSHConfig.from_text(text)
        found = config.lookup(asked.host)
        port = asked.port if "port" in asked.model_fields_set else int(found.get("port", asked.port))
    except (paramiko.SSHException, ImportError, OSError, ValueError) as error:
        raise BoardError(f"cannot be used: {error}", where=str(config_file), next="Mend it.") from None
    host, user = found.get("hostname", asked.host), asked.user or found.get("user") or getpass.getuser()
    identities = [asked.identity_file] if asked.identity_file else found.get("identityfile", [])
    in_lab = "{cache}/lab/" in (asked.identity_file or "")
    return Address(
        host=host,
        port=port,
        user=user,
        identity_files=tuple(expand_path(text) for text in identities),
        known_hosts=expand_path(asked.known_hosts_file or "~/.ssh/known_hosts"),
        where=f"target {target.name} ({user}@{host}:{port})",
        start_lab=f"Start it: `deploy lab up {target.name}`." if in_lab else None,
    )


def _reach(address: Address) -> socket.socket:
    try:
        link = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = (
            f"no answer within {CONNECT_TIMEOUT_S:g} s"
            if isinstance(error, TimeoutError)
            else getattr(error, "strerror", None) or str(error)
        )
        raise BoardError(
            f"cannot reach the board: {reason}",
            where=address.where,
            next=address.start_lab
            or f"Check that it is on, on this network, and runs an SSH server: `ssh {address.login}`.",
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # else a pulled cable is noticed after a quarter of an hour
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)
    return link


@dataclass(frozen=True)
class _RefuseUnknown:
    """paramiko's RejectPolicy, with an error that says which key was offered and how to accept it."""

    address: Address

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:
        address, file = self.address, self.address.known_hosts
        make = "" if file.parent.is_dir() else f"mkdir -p {shlex.quote(str(file.parent))} && "
        raise BoardError(
            f"unknown host key {key.fingerprint} ({key.get_name()})",
            where=address.where,
            next=address.start_lab
            or f"Compare it with the fingerprint on the board's own console (`ssh-keygen -lf "
            f"/etc/ssh/ssh_host_{_kind(key)}_key.pub`); if they are equal: "
            f"`{make}ssh-keyscan -p {address.port} {shlex.quote(address.host)} >> {shlex.quote(str(file))}`",
        )


def _refuse_changed(address: Address, error: paramiko.BadHostKeyException) -> NoReturn:
    forget = f"ssh-keygen -R {shlex.quote(address.known_as)} -f {shlex.quote(str(address.known_hosts))}"
    raise BoardError(
        f"THE HOST KEY CHANGED: it is now {error.key.fingerprint}, known is {error.expected_key.fingerprint}",
        where=address.where,
        next="Either the board was installed anew, or someone sits between you and it. "
        f"Only if you know that it was installed anew: `{forget}`, and run again.",
    ) from None


@dataclass(frozen=True)
class _Login:
    """Offers one key after the other; paramiko calls it once the host key is verified."""

    address: Address

    def authenticate(self, transport: paramiko.Transport) -> None:
        tried = []
        for label, key in _keys(self.address.identity_files):
            tried.append(label)
            if key is None or not transport.is_active():
                continue
            try:
                if not transport.auth_publickey(self.address.user, key):
                    return
                tried[-1] = f"{label} (accepted, but the board asks for more than a key)"
            except (paramiko.SSHException, EOFError):
                continue
        make = "" if tried else "ssh-keygen -t ed25519 && "
        offered = ", ".join(tried) or "no key: none was found"
        raise BoardError(
            f"the board refuses user '{self.address.user}' with {offered}",
            where=self.address.where,
            next=self.address.start_lab or f"Install your key on the board: `{make}ssh-copy-id {self.address.login}`",
        )


def _keys(identity_files: tuple[Path, ...]) -> list[tuple[str, paramiko.PKey | None]]:
    """Each key to offer with what to call it; None where a file cannot be used, and the name says why."""
    defaults = [Path(f"~/.ssh/id_{kind}").expanduser() for kind in ("ed25519", "ecdsa", "rsa")]
    files = identity_files or tuple(path for path in defaults if path.is_file())
    keys: list[tuple[str, paramiko.PKey | None]] = []
    for path in files:
        try:
            keys.append((str(path), paramiko.PKey.from_path(path)))
        except FileNotFoundError:
            keys.append((f"{path} (no such file)", None))
        except (paramiko.PasswordRequiredException, TypeError):
            keys.append((f"{path} (locked by a passphrase: `ssh-add` it)", None))
        except (paramiko.SSHException, OSError, ValueError, UnsupportedAlgorithm):
            keys.append((f"{path} (not a private key)", None))
    agent = paramiko.Agent()
    keys += [(f"the agent's {key.fingerprint}", key) for key in agent.get_keys()]
    return keys


def _kind(key: paramiko.PKey) -> str:
    name = key.get_name()
    return "ecdsa" if name.startswith("ecdsa") else name.removeprefix("ssh-")
