"""A verified, authenticated SSH connection, by way of jump hosts if need be, or one BoardError that says why not."""

import logging
import shlex
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NoReturn

import paramiko

from toolkit.devices.ssh.address import Address
from toolkit.devices.ssh.login import Login
from toolkit.errors import BoardError

CONNECT_TIMEOUT_S = 10.0
HANDSHAKE_TIMEOUT_S = 30.0
KEEPALIVE_S = 15
SILENCE_MS = 60_000

# Without a handler of its own, paramiko's background thread would write tracebacks to the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Link:
    """A connection that is ready for use, and the one that it goes through."""

    client: paramiko.SSHClient
    through: "Link | None"

    @property
    def transport(self) -> paramiko.Transport:
        """What channels are opened on. Raises EOFError once the connection is closed."""
        transport = self.client.get_transport()
        if transport is None:
            raise EOFError
        return transport

    def close(self) -> None:
        """Close it and what it goes through."""
        self.client.close()
        if self.through:
            self.through.close()


def open_link(address: Address) -> Link:
    """Connect, verify each host's key against the known ones, log in. Raises BoardError."""
    with ExitStack() as undo:
        through = open_link(address.through) if address.through else None
        if through:
            undo.callback(through.close)
        line = _jump(address, through) if through else _reach(address)
        undo.callback(line.close)
        client = undo.enter_context(paramiko.SSHClient())
        _shake_hands(client, line, address)
        undo.pop_all()
    return Link(client, through)


def _shake_hands(client: paramiko.SSHClient, line: socket.socket | paramiko.Channel, address: Address) -> None:
    try:
        for file in address.known_hosts:
            if file.exists():
                client.load_host_keys(str(file))
        client.set_missing_host_key_policy(_RefuseUnknown(address))
        client.connect(
            address.host_key_alias or address.host,  # with a line given, no more than the name of its key
            port=22 if address.host_key_alias else address.port,
            username=address.user,
            sock=line,
            timeout=HANDSHAKE_TIMEOUT_S,
            banner_timeout=HANDSHAKE_TIMEOUT_S,
            auth_timeout=HANDSHAKE_TIMEOUT_S,
            channel_timeout=HANDSHAKE_TIMEOUT_S,
            auth_strategy=Login(address),
        )
        transport = client.get_transport()
        assert transport
        transport.set_keepalive(KEEPALIVE_S)
    except paramiko.BadHostKeyException as error:
        _refuse_changed(address, error)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        raise BoardError(
            f"the SSH handshake failed: {error or type(error).__name__}",
            where=address.where,
            next=address.start_lab or f"See what `ssh -v {address.login}` says.",
        ) from None


def _reach(address: Address) -> socket.socket:
    try:
        line = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = (
            f"no answer within {CONNECT_TIMEOUT_S:g} s"
            if isinstance(error, TimeoutError)
            else getattr(error, "strerror", None) or str(error)
        )
        raise BoardError(
            f"cannot reach {address.role}: {reason}",
            where=address.where,
            next=address.start_lab
            or f"Check that it is on, on this network, and runs an SSH server: `ssh {address.login}`.",
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # else a pulled cable is noticed after a quarter of an hour
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)
    return line


def _jump(address: Address, through: Link) -> paramiko.Channel:
    try:
        here = ("127.0.0.1", 0)
        there = (address.host, address.port)
        return through.transport.open_channel("direct-tcpip", there, here, timeout=CONNECT_TIMEOUT_S)
    except (paramiko.SSHException, OSError, EOFError) as error:
        reason = error.text.lower() if isinstance(error, paramiko.ChannelException) else str(error).rstrip(".")
        raise BoardError(
            f"cannot be reached from its jump host: {reason or 'the connection was lost'}",
            where=address.where,
            next=f"Check that it is on and that the jump host may forward to it: `ssh {address.login}`.",
        ) from None


@dataclass(frozen=True)
class _RefuseUnknown:
    """paramiko's RejectPolicy, with an error that says which key was offered and how to accept it."""

    address: Address

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:
        address, file = self.address, self.address.known_hosts[0]
        make = "" if file.parent.is_dir() else f"mkdir -p {shlex.quote(str(file.parent))} && "
        accept = f"ssh-keyscan -p {address.port} {shlex.quote(address.host)} >> {shlex.quote(str(file))}"
        if address.through or address.host_key_alias:  # ssh-keyscan knows neither
            files = shlex.quote(f"UserKnownHostsFile={file}")
            alias = f"-o HostKeyAlias={shlex.quote(address.host_key_alias)} " if address.host_key_alias else ""
            accept = f"ssh -o StrictHostKeyChecking=accept-new -o {files} {alias}{address.login} true"
        raise BoardError(
            f"unknown host key {key.fingerprint} ({key.get_name()})",
            where=address.where,
            next=address.start_lab
            or f"Compare it with the fingerprint on {address.role}'s own console (`ssh-keygen -lf "
            f"/etc/ssh/ssh_host_{_kind(key)}_key.pub`); if they are equal: `{make}{accept}`",
        )


def _refuse_changed(address: Address, error: paramiko.BadHostKeyException) -> NoReturn:
    files = [file for file in address.known_hosts if file.exists()]
    forget = "; ".join(f"ssh-keygen -R {shlex.quote(address.known_as)} -f {shlex.quote(str(file))}" for file in files)
    raise BoardError(
        f"THE HOST KEY CHANGED: it is now {error.key.fingerprint}, known is {error.expected_key.fingerprint}",
        where=address.where,
        next="Either the board was installed anew, or someone sits between you and it. "
        f"Only if you know that it was installed anew: `{forget}`, and run again.",
    ) from None


def _kind(key: paramiko.PKey) -> str:
    name = key.get_name()
    return "ecdsa" if name.startswith("ecdsa") else name.removeprefix("ssh-")
