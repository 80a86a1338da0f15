"""A verified, authenticated SSH connection, by way of jump hosts if need be, or one BoardError that says why not."""

import logging
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NoReturn

import paramiko
from paramiko.auth_strategy import AuthStrategy
from paramiko.ssh_exception import IncompatiblePeer

from toolkit.devices.ssh.address import Address
from toolkit.devices.ssh.known_hosts import RefuseUnknown, load_known_hosts, refuse_changed
from toolkit.devices.ssh.login import Login
from toolkit.devices.ssh.proxy_command import Proxy, start_proxy
from toolkit.errors import BoardError

CONNECT_TIMEOUT_S = 10.0
HANDSHAKE_TIMEOUT_S = 30.0
KEEPALIVE_S = 15
SILENCE_MS = 60_000

# Without a handler of its own, paramiko's background thread would write tracebacks to the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Link:
    """A connection that is ready for use, and what ends it and all that it goes through."""

    client: paramiko.SSHClient
    ends: ExitStack

    @property
    def transport(self) -> paramiko.Transport:
        """What channels are opened on. Raises EOFError once the connection is closed."""
        transport = self.client.get_transport()
        if transport is None:
            raise EOFError
        return transport

    def close(self) -> None:
        """Close it and what it goes through."""
        self.ends.close()


def open_link(address: Address) -> Link:
    """Connect, verify each host's key against the known ones, log in. Raises BoardError."""
    with ExitStack() as ends:
        client = shake_hands(address, ends, RefuseUnknown(address), Login(address))
        return Link(client, ends.pop_all())


def shake_hands(
    address: Address,
    ends: ExitStack,
    unknown: paramiko.MissingHostKeyPolicy,
    login: AuthStrategy,
) -> paramiko.SSHClient:
    """A client that `login` has let in. `ends` gets what closes it. Raises BoardError; what the two policies raise."""
    client = paramiko.SSHClient()
    line = _open_line(address, ends)
    ends.callback(client.close)
    try:
        load_known_hosts(client, address)
        client.set_missing_host_key_policy(unknown)
        client.connect(
            address.host_key_alias or address.host,  # with a line given, no more than the name of its key
            port=22 if address.host_key_alias else address.port,
            username=address.user,
            sock=line.line if isinstance(line, Proxy) else line,
            timeout=2 * HANDSHAKE_TIMEOUT_S,  # after the banner's, so that its silence has its own error
            banner_timeout=HANDSHAKE_TIMEOUT_S,
            auth_timeout=HANDSHAKE_TIMEOUT_S,
            channel_timeout=HANDSHAKE_TIMEOUT_S,
            auth_strategy=login,
        )
        transport = client.get_transport()
        assert transport
        transport.set_keepalive(KEEPALIVE_S)
    except paramiko.BadHostKeyException as error:
        refuse_changed(address, error)
    except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
        _explain(address, error, line.said if isinstance(line, Proxy) else "")
    return client


def _explain(address: Address, error: Exception, proxy_said: str) -> NoReturn:
    what, cure = (
        f"the SSH handshake failed: {error or type(error).__name__}",
        f"See what `ssh -v {address.login}` says.",
    )
    if "No existing session" in str(error):
        what = f"the SSH handshake did not end within {2 * HANDSHAKE_TIMEOUT_S:g} s"
    if proxy_said:
        what, cure = f"cannot reach {address.role}: its ProxyCommand says: {proxy_said}", "Mend ProxyCommand."
    elif isinstance(error, IncompatiblePeer):
        what = f"its SSH server knows only algorithms that are no longer safe, such as SHA-1 ({error})"
        cure = f"Update the SSH server of {address.role}: OpenSSH 7.2 and Dropbear 2020.79 or later will do."
    elif "protocol banner" in str(error):
        silent = isinstance(error.__context__, TimeoutError)
        did = f"sends no SSH banner within {HANDSHAKE_TIMEOUT_S:g} s" if silent else "ends it before any SSH banner"
        what = f"port {address.port} accepts the connection and {did}"
        cure = f"Check that it is an SSH server's port, and that {address.role} is not overloaded; {cure.lower()}"
    raise BoardError(what, where=address.where, next=cure) from None


def _open_line(address: Address, ends: ExitStack) -> socket.socket | paramiko.Channel | Proxy:
    if address.through:
        through = open_link(address.through)
        ends.callback(through.close)
        line: socket.socket | paramiko.Channel | Proxy = _jump(address, through)
    elif address.proxy_command:
        line = _run_proxy(address, address.proxy_command)
    else:
        line = _reach(address)
    ends.callback(line.close)
    return line


def _run_proxy(address: Address, command: str) -> Proxy:
    try:
        return start_proxy(command)
    except OSError as error:
        raise BoardError(
            f"its ProxyCommand cannot be run: {error.strerror}", where=address.where, next="Mend ProxyCommand or SHELL."
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
        cure = f"Check that it is on, on this network, and runs an SSH server: `ssh {address.login}`."
        if address.is_default:
            cure = (
                f"{address.host} is only the default: give yours with `--host [USER@]HOST` or `deploy connect`. {cure}"
            )
        raise BoardError(f"cannot reach {address.role}: {reason}", where=address.where, next=cure) from None
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
