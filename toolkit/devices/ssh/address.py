"""Where a target's SSH server is, as whom to log in and through which hosts: what OpenSSH would make of it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from toolkit.destination import parse_destination
from toolkit.devices.ssh.settings import SshSettings, settings_of
from toolkit.errors import BadInput, BoardError
from toolkit.targets import SshPlace, Target, expand_path


@dataclass(frozen=True)
class Address:
    """One SSH server, after `~/.ssh/config` has filled what the target leaves open.

    `through` is the hop before it, `proxy_command` a command that leads there; at most one of them is set.
    `is_default`: nobody gave this address, it is only where such boards usually answer.
    """

    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    known_hosts: tuple[Path, ...]
    where: str
    role: str = "the board"
    is_default: bool = False
    identities_only: bool = False
    hash_known_hosts: bool = False
    host_key_alias: str | None = None
    password_file: Path | None = None
    through: "Address | None" = None
    proxy_command: str | None = None

    @property
    def known_as(self) -> str:
        """The host's name in a known_hosts file."""
        return self.host_key_alias or (self.host if self.port == 22 else f"[{self.host}]:{self.port}")

    @property
    def login(self) -> str:
        """The arguments with which OpenSSH's own tools reach the same board."""
        hops: list[str] = []
        hop = self.through
        while hop:
            hops.insert(0, f"{hop.user}@{f'[{hop.host}]' if ':' in hop.host else hop.host}:{hop.port}")
            hop = hop.through
        jump = f"-J {shlex.quote(','.join(hops))} " if hops else ""
        proxy = f"-o {shlex.quote(f'ProxyCommand={self.proxy_command}')} " if self.proxy_command else ""
        key = f"-i {shlex.quote(str(self.identity_files[0]))} " if self.identity_files else ""
        return f"{jump}{proxy}{key}-p {self.port} {shlex.quote(f'{self.user}@{self.host}')}"


def address_of(target: Target) -> Address:
    """The address of a target whose place is an SSH server.

    Raises BadInput if its host is no name, BoardError if ssh's own files cannot be used.
    """
    asked, where = target.place, f"target {target.name}"
    assert isinstance(asked, SshPlace)
    try:
        named = parse_destination(asked.host)
    except BadInput as error:
        raise BadInput(error.what, where=where, next=error.next) from None
    found = settings_of(named.host, asked.user or named.user, asked.port or named.port)
    through = _through(asked.proxy_jump or found.proxy_jump, where, (named.host,))
    return Address(
        host=found.host,
        port=found.port,
        user=found.user,
        identity_files=(expand_path(asked.identity_file),) if asked.identity_file else found.identity_files,
        known_hosts=(expand_path(asked.known_hosts_file),) if asked.known_hosts_file else found.known_hosts,
        where=f"{where} ({found.user}@{found.host}:{found.port})",
        is_default=target.place_is_default,
        identities_only=found.identities_only,
        hash_known_hosts=found.hash_known_hosts,
        host_key_alias=found.host_key_alias,
        password_file=expand_path(asked.password_file) if asked.password_file else None,
        through=through,
        proxy_command=None if asked.proxy_jump else found.proxy_command,
    )


def _through(jump: str | None, where: str, seen: tuple[str, ...]) -> Address | None:
    """The last of the hosts in `jump`, which reaches its own by those before it; the first may have its own jump."""
    last: Address | None = None
    for text in jump.split(",") if jump and jump.lower() != "none" else []:
        try:
            named = parse_destination(text)
        except BadInput:
            raise BoardError(
                f"'{text}' names no jump host",
                where=where,
                next="Write ProxyJump (`proxy_jump` in the target's file) as user@host:port, with commas between hops.",
            ) from None
        found = settings_of(named.host, named.user, named.port)
        if not last and found.proxy_jump and named.host in seen:
            raise BoardError(
                f"the jump hosts lead in a circle: {' -> '.join((*seen, named.host))}",
                where=where,
                next=f"Give `Host {named.host}` a `ProxyJump none` before other hosts in ~/.ssh/config.",
            )
        last = _hop(found, last or _through(found.proxy_jump, where, (*seen, named.host)), where)
    return last


def _hop(found: SshSettings, through: Address | None, where: str) -> Address:
    return Address(
        host=found.host,
        port=found.port,
        user=found.user,
        identity_files=found.identity_files,
        known_hosts=found.known_hosts,
        where=f"{where}, its jump host ({found.user}@{found.host}:{found.port})",
        role="the jump host",
        identities_only=found.identities_only,
        hash_known_hosts=found.hash_known_hosts,
        host_key_alias=found.host_key_alias,
        through=through,
        proxy_command=None if through else found.proxy_command,
    )
