"""Whose key is known: what OpenSSH's files say, and how a key that they do not hold is refused."""

import shlex
from dataclasses import dataclass
from typing import NoReturn

import paramiko

from toolkit.devices.ssh.address import Address
from toolkit.errors import BoardError


def load_known_hosts(client: paramiko.SSHClient, address: Address) -> None:
    """Let the client verify against them. Raises OSError, paramiko.SSHException for a file that is none."""
    for file in address.known_hosts:
        if file.exists():
            client.load_host_keys(str(file))


@dataclass(frozen=True)
class RefuseUnknown:
    """paramiko's RejectPolicy, with an error that says which key was offered and how to accept it."""

    address: Address

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:
        """Raises BoardError."""
        address, file = self.address, self.address.known_hosts[0]
        make = "" if file.parent.is_dir() else f"mkdir -p {shlex.quote(str(file.parent))} && "
        accept = f"ssh-keyscan -p {address.port} {shlex.quote(address.host)} >> {shlex.quote(str(file))}"
        if address.through or address.proxy_command or address.host_key_alias:  # ssh-keyscan knows none of these
            files = shlex.quote(f"UserKnownHostsFile={file}")
            alias = f"-o HostKeyAlias={shlex.quote(address.host_key_alias)} " if address.host_key_alias else ""
            accept = f"ssh -o StrictHostKeyChecking=accept-new -o {files} {alias}{address.login} true"
        raise BoardError(
            f"unknown host key {key.fingerprint} ({key.get_name()})",
            where=address.where,
            next=f"Compare it with the fingerprint on {address.role}'s own console (`ssh-keygen -lf "
            f"/etc/ssh/ssh_host_{_kind(key)}_key.pub`); if they are equal: `{make}{accept}`",
        )


def refuse_changed(address: Address, error: paramiko.BadHostKeyException) -> NoReturn:
    """Raises BoardError."""
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
